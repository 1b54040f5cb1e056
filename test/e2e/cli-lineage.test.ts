/** `delegate` and `lineage` as people use them: keys in files, chains in files, no TPM needed. */
import { generateKeyPairSync } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseChain } from "../../src/domain/chains.ts";
import { Place, POLICY, UEID } from "./cli-support.ts";

let place: Place;
const pem = { type: "pkcs8", format: "pem" } as const;

beforeAll(async () => {
  place = await Place.make();
  await place.json(["init", "example.org"]);
  await place.json(["policy", "sign", await place.write("base.yaml", POLICY)]);
  await place.json(["policy", "activate", "base"]);
  for (const name of ["agent", "helper"]) {
    const { privateKey, publicKey } = generateKeyPairSync("ed25519");
    await place.write(`${name}.pem`, String(privateKey.export(pem)));
    await place.write(`${name}.pub`, String(publicKey.export({ type: "spki", format: "pem" })));
  }
  const job = ["--exec", "/bin/echo", "--arg", "hello", "--env", "LANG=C", "--node", UEID];
  const held = ["--holder", "agent.pub", "--depth", "2", "--uses", "3", "--sub", "alice"];
  await place.json(["authorize", ...job, ...held, "--out", place.file("job.grant")]);
});
afterAll(() => place.remove());

const delegate = (from: string, key: string, ...words: string[]) =>
  place.run(["delegate", from, "--key", key, ...words]);

test("a grant is handed on twice, shown as a tree, and verified by the core", async () => {
  const first = ["--holder", "helper.pub", "--uses", "2", "--depth", "1", "--out", "one.grant"];
  expect((await delegate("job.grant", "agent.pem", ...first)).err).toBe("");
  const second = ["--holder", "node", "--lifetime", "5m", "--drop-env", "--out", "two.grant"];
  expect((await delegate("one.grant", "helper.pem", ...second)).err).toBe("");
  expect((await stat(place.file("two.grant"))).mode & 0o777).toBe(0o600);
  const chain = parseChain(new Uint8Array(await readFile(place.file("two.grant"))));
  expect(chain.links.map(({ claims }) => claims.depth)).toEqual([1, 2]);
  expect(chain.links[0]?.claims.scope).toEqual({ uses: 2 });

  const { out } = await place.run(["lineage", "show", "two.grant"]);
  const tree = out.split("\n").filter((line) => /grant|link/.test(line));
  expect(tree[0]).toMatch(/^grant [0-9a-f]{64}$/);
  expect(tree[1]).toMatch(/^└─ link [0-9a-f]{64}$/);
  expect(tree[2]).toMatch(/^ {3}└─ link [0-9a-f]{64}$/);
  expect(out).toContain("not to be delegated");
  expect(out).toContain("NOT verified");

  const verified = await place.run(["lineage", "verify", "two.grant", "--json"]);
  const { families, codes } = JSON.parse(verified.out);
  expect(codes).toEqual([]);
  expect(families).toMatchObject({ signature: "proven", window: "proven", lineage: "proven" });
  // Not enrolled: who is revoked is judged on a node.
  expect(families.revocation).toBe("not evaluated");
  expect(verified.code).toBe(77);
});

test("what is wider, another's, or no chain is refused, and nothing is written", async () => {
  const out = ["--holder", "node", "--out", "never.grant"];
  const refusals: [string[], RegExp][] = [
    [["job.grant", "agent.pem", "--uses", "4"], /3 at most/],
    [["job.grant", "agent.pem", "--lifetime", "2h"], /end after/],
    [["job.grant", "agent.pem", "--arg", "other"], /Argument 1/],
    [["job.grant", "agent.pem", "--keep-env", "HOME"], /HOME/],
    [["job.grant", "helper.pem"], /does not hold/],
    [["base.yaml", "agent.pem"], /no grant or chain/],
  ];
  for (const [[from = "", key = "", ...words], why] of refusals) {
    const { code, err } = await delegate(from, key, ...words, ...out);
    expect([code, err]).toEqual([64, expect.stringMatching(why)]);
  }
  await expect(stat(place.file("never.grant"))).rejects.toThrow();
});

test("two grants in one file are no chain, and inspect says where a chain is shown", async () => {
  const chain = await readFile(place.file("job.grant"));
  const spliced = await place.write("spliced.grant", Buffer.concat([chain, chain]));
  expect((await place.run(["lineage", "show", spliced])).code).toBe(64);
  const { err } = await place.run(["inspect", spliced]);
  expect(err).toContain("lineage show");
});

test("run takes a chain's file, and is denied for what this machine lacks alone", async () => {
  const { code, err } = await place.run([
    "run",
    "--grant",
    "two.grant",
    "--",
    "/bin/echo",
    "hello",
  ]);
  expect(err).toMatch(/^identity\.missing/);
  expect(code).toBe(77);
});

test("revoke: of a chain's file its last link, and nothing above it", async () => {
  const { elements } = await place.json<{ elements: { digest: string }[] }>([
    ...["lineage", "show", "two.grant"],
  ]);
  const { revoked } = await place.json<{ revoked: unknown }>(["revoke", "two.grant"]);
  expect(revoked).toEqual([{ kind: "element", digest: elements[2]?.digest }]);
});

test("runs: none has begun here, and an unknown one is said to be so", async () => {
  expect(await place.json(["lineage", "runs"])).toEqual({ runs: [] });
  const { code, err } = await place.run(["lineage", "runs", "ab".repeat(32)]);
  expect([code, err]).toEqual([64, expect.stringMatching(/no run of this id/)]);
});
