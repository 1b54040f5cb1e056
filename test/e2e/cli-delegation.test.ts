/**
 * A grant handed on and run, from the first command to the log, on a software TPM: an agent's run
 * and its sub-jobs.
 */
import { generateKeyPairSync } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { preparedMachines } from "../../swtpm/index.ts";
import { Place } from "./cli-support.ts";
import { softwareTpm } from "./tpm-support.ts";

const tpms = softwareTpm();
let place: Place;

beforeAll(async () => {
  place = await Place.make();
  const { root, issuer } = await preparedMachines();
  await place.json(["init", "example.org"]);
  const tpm = ["--tpm", tpms.machine.uri];
  const vendor = ["--root", await place.write("root.pem", root)];
  const between = ["--intermediate", await place.write("issuer.pem", issuer)];
  await place.json(["enroll", ...tpm, ...vendor, ...between]);
  await place.json(["policy", "capture", "base", ...tpm]);
  await place.json(["policy", "activate", "base"]);
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  await place.write("agent.pem", String(privateKey.export({ type: "pkcs8", format: "pem" })));
  await place.write("agent.pub", String(publicKey.export({ type: "spki", format: "pem" })));
  const words = ["--exec", "/bin/echo", "--arg", "hello", "--env", "LANG=C", "--uses", "2"];
  const held = ["--holder", "agent.pub", "--depth", "1", "--out", "agent.grant"];
  await place.json(["authorize", ...words, ...held]);
});
afterAll(() => place.remove());

const run = (grant: string, ...words: string[]) =>
  place.run([
    "run",
    "--tpm",
    tpms.machine.uri,
    "--grant",
    grant,
    ...words,
    "--",
    "/bin/echo",
    "hello",
  ]);
const handOn = (out: string) =>
  place.json(["delegate", "agent.grant", "--key", "agent.pem", "--holder", "node", "--out", out]);

test("what an agent hands on runs, twice at most however many links it signs, until it is revoked", async () => {
  expect((await run("agent.grant")).err).toMatch(/^identity\.proof/);
  await handOn("first.grant");
  expect(await place.json(["lineage", "verify", "first.grant"])).toMatchObject({ holds: true });
  expect(await run("first.grant")).toMatchObject({ code: 0, out: "hello\n" });
  const invented = await run("first.grant", "--parent", "ab".repeat(32));
  expect(invented.err).toMatch(/^replay\.run/);

  await handOn("second.grant");
  await place.json(["revoke", "second.grant"]);
  expect((await run("second.grant")).err).toMatch(/^revocation\.artifact/);
  expect((await place.run(["lineage", "verify", "second.grant"])).code).toBe(77);

  expect(await run("agent.grant", "--key", "agent.pem")).toMatchObject({ code: 0, out: "hello\n" });
  await handOn("third.grant");
  expect((await run("third.grant")).err).toMatch(/^replay\.use/);

  const { runs } = await place.json<{ runs: { depth: number }[] }>(["lineage", "runs"]);
  expect(runs).toMatchObject([
    { depth: 0, parent: null, end: { kind: "code", number: 0 } },
    { depth: 0, parent: null, end: { kind: "code", number: 0 } },
  ]);

  await place.json(["revoke", "agent.grant"]);
  expect((await run("first.grant")).err).toMatch(/^revocation\.ancestor/);
  const told = await place.run(["lineage", "verify", "first.grant", "--json"]);
  expect(JSON.parse(told.out).codes[0].code).toBe("revocation.ancestor");
});

test("what was captured here is signed elsewhere", async () => {
  const capture = ["policy", "capture", "apart", "--tpm", tpms.machine.uri];
  const draft = ["--for-signing", place.file("apart.draft")];
  const proposed = await place.json<{ digest: string; pcrs: object }>([...capture, ...draft]);
  expect(Object.keys(proposed.pcrs)).toContain("sha256:7");
  const both = await place.run([...capture, ...draft, "--signer", "x.pem"]);
  expect(both.err).toContain("--for-signing and --signer exclude each other");
  const key = `${place.home}/keys/policy-1.pem`;
  const sign = ["sign", "apart.draft", "--digest", proposed.digest, "--key", key];
  await place.json(["governance", ...sign, "--out", "apart.part"]);
  await place.json(["governance", "publish", "apart.part"]);
  const shown = await place.json<{ policies: { digest: string }[] }>(["policy", "show", "apart"]);
  expect(shown.policies).toMatchObject([{ digest: proposed.digest, active: false }]);
});
