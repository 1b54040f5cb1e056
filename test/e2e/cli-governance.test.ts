/** Charters rotated, and grants, snapshots and policies signed, by keys that lie apart. */
import { chmod, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Layout } from "../../src/domain/layout.ts";
import { gatherGovernance } from "../../src/domain/materials.ts";
import { writeKeyFile } from "../../src/wire/key-files.ts";
import { generateKey } from "../../src/wire/keys.ts";
import { parseSigned } from "../../src/wire/objects.ts";
import { Place, POLICY, UEID } from "./cli-support.ts";

let place: Place;
beforeEach(async () => {
  place = await Place.make();
  const sets = ["--authority", "2/2", "--governance", "2/3", "--curve", "P-256"];
  await place.json(["init", "example.org", ...sets]);
  // As they should lie: apart from the home.
  await mkdir(place.file("apart"), { mode: 0o700 });
  await rename(join(place.home, "keys"), place.file("apart/keys"));
  await mkdir(join(place.home, "keys"), { mode: 0o700 });
});
afterEach(() => place.remove());

const key = (name: string): string => place.file(`apart/keys/${name}.pem`);
interface Draft {
  readonly digest: string;
  readonly changes: readonly string[];
  readonly signatures: readonly { readonly signed: number }[];
}
const show = (file: string): Promise<Draft> => place.json(["governance", "show", place.file(file)]);

/** Each of the keys signs the proposal apart; gives the files. */
async function signedApart(file: string, keys: readonly string[], more: string[] = []) {
  const { digest } = await place.json<Draft>(["governance", "show", place.file(file), ...more]);
  const parts: string[] = [];
  for (const name of keys) {
    const out = place.file(`${file}.${name}`);
    const words = ["sign", place.file(file), "--digest", digest, "--key", key(name), "--out", out];
    const status = ["--status", place.file(`${file}.status`)];
    await place.json(["governance", ...words, ...(file.startsWith("s") ? status : []), ...more]);
    parts.push(out);
  }
  return parts;
}

const publish = (files: readonly string[]) => {
  const status = files.filter((file) => file.includes("/s")).slice(0, 1);
  const list = status.map((file) => `${file.replace(/\.draft\..*/, ".draft")}.status`);
  const words = list.flatMap((one) => ["--status", one]);
  return place.run(["governance", "publish", ...files, ...words]);
};

async function propose(words: readonly string[], out = "charter.draft"): Promise<Draft> {
  return place.json(["governance", "propose", ...words, "--out", place.file(out)]);
}

async function snapshotUnder(): Promise<string> {
  const words = ["snapshot", "renew", "--for-signing", place.file("s.draft")];
  await place.json([...words, "--under", place.file("charter.draft")]);
  return "s.draft";
}

test("a rotation by keys that lie apart: proposed, shown, signed, published in one step", async () => {
  await writeKeyFile(key("governance-new"), generateKey("P-256"));
  const removed = key("governance-1");
  const proposed = await propose([
    ...["--add", `governance=${key("governance-new")}`],
    ...["--remove", `governance=${removed}`, "--threshold", "root=3", "--lifetime", "90d"],
  ]);
  expect(proposed.changes).toContain("- number: 1");
  expect(proposed.changes).toContain("+ number: 2");
  expect(proposed.changes).toContain("+ keysets.root.threshold: 3");
  expect(
    proposed.changes.filter((line) => /[-+] keysets.governance.keys: P-256/.test(line)),
  ).toHaveLength(2);
  const charter = await signedApart("charter.draft", ["root-1", "root-2", "root-3"]);
  await snapshotUnder();
  const under = ["--under", place.file("charter.draft")];
  const snapshot = await signedApart("s.draft", ["governance-2", "governance-new"], under);
  // The old key counts no more.
  const old = await place.run([
    ...[
      "governance",
      "sign",
      place.file("s.draft"),
      "--digest",
      (await place.json<Draft>(["governance", "show", place.file("s.draft"), ...under])).digest,
    ],
    ...["--key", removed, "--out", place.file("old.part"), ...under],
  ]);
  expect(old.code).toBe(64);
  expect(old.err).toContain("may not sign");

  const few = await publish([...charter.slice(1), ...snapshot]);
  expect(few.code).toBe(64);
  expect(few.err).toContain("asks for 3 signatures, and 2 are there");
  const alone = await publish(charter);
  expect(alone.err).toContain("A charter takes effect with the snapshot that names it");
  const published = await publish([...snapshot, ...charter]);
  expect(published.err).toBe("");
  expect(published.code).toBe(0);
  const { charters } = await gatherGovernance(new Layout(place.home), 1, []);
  expect(charters).toHaveLength(2);
  const status = await place.json<{ charter: { number: number } }>(["status"]);
  expect(status.charter.number).toBe(2);
  const again = await publish([...snapshot, ...charter]);
  expect(again.err).toContain("Charter 2 is in force: charter 2 does not follow it");
});

describe("fails closed", () => {
  test("different proposals of one number, strangers' keys, open key files, other digests", async () => {
    const one = await propose(["--lifetime", "30d"]);
    await propose(["--lifetime", "31d"], "other.draft");
    const [first = ""] = await signedApart("charter.draft", ["root-1"]);
    const [second = ""] = await signedApart("other.draft", ["root-2"]);
    const mixed = await publish([first, second]);
    expect(mixed.code).toBe(64);
    expect(mixed.err).toContain("hold different objects");

    const signing = (file: string, digest: string, name: string) =>
      place.run([
        ...["governance", "sign", place.file(file), "--digest", digest],
        ...["--key", key(name), "--out", place.file("x.part")],
      ]);
    expect((await signing("charter.draft", one.digest, "governance-1")).err).toContain(
      "may not sign",
    );
    expect((await signing("other.draft", one.digest, "root-1")).err).toContain("another digest");
    await chmod(key("root-1"), 0o640);
    const open = await signing("charter.draft", one.digest, "root-1");
    expect(open.code).toBe(64);
    expect(open.err).toContain("root-1.pem");
    await chmod(key("root-1"), 0o600);

    const damaged = new Uint8Array(await readFile(first));
    damaged.set([(damaged.at(-1) ?? 0) ^ 1], damaged.length - 1);
    await writeFile(place.file("damaged.part"), damaged);
    const refused = await publish([place.file("damaged.part")]);
    expect(refused.err).toMatch(
      /damaged\.part: the signature of [0-9a-f]{16}\.\.\. does not verify/,
    );
    const twice = await place.run([
      ...["governance", "sign", first, "--digest", one.digest],
      ...["--key", key("root-1"), "--out", place.file("x.part")],
    ]);
    expect(twice.err).toContain("one key signs twice");
    expect((await gatherGovernance(new Layout(place.home), 1, [])).charters).toHaveLength(1);
  });

  test("a proposal that nobody signed is no charter, and runs nothing", async () => {
    await propose(["--lifetime", "30d"]);
    const bytes = await readFile(place.file("charter.draft"));
    expect(() => parseSigned("charter", bytes)).toThrow(/without a signature/);
    expect((await publish([place.file("charter.draft")])).err).toContain("and 0 are there");
  });
});

test("snapshots, policies and grants are signed the same way", async () => {
  await place.write("base.yaml", POLICY);
  await place.json([
    "policy",
    "sign",
    place.file("base.yaml"),
    "--for-signing",
    place.file("p.draft"),
  ]);
  const policy = await signedApart("p.draft", ["policy-1"]);
  expect((await publish(policy)).code).toBe(0);

  await place.json(["policy", "activate", "base", "--for-signing", place.file("s.draft")]);
  const shown = await show("s.draft");
  expect(shown.changes.some((line) => line.startsWith("+ policies.base: "))).toBe(true);
  const snapshot = await signedApart("s.draft", ["governance-1", "governance-3"]);
  expect((await publish(snapshot.slice(0, 1))).err).toContain("asks for 2 signatures, and 1 is");
  expect((await publish(snapshot)).code).toBe(0);
  expect((await publish(snapshot)).err).toContain("Snapshot 2 is published");

  const job = ["--exec", "/bin/true", "--node", UEID];
  await place.json(["authorize", ...job, "--for-signing", place.file("g.draft")]);
  const grant = await signedApart("g.draft", ["authority-1", "authority-2"]);
  expect((await publish(grant.slice(1))).err).toContain("asks for 2 signatures, and 1 is");
  const issued = await publish(grant);
  expect(issued.err).toBe("");
  expect((await publish(grant)).err).toContain("bears another already");
  const verified = await place
    .json<{ families: { signature: string } }>([
      ...["lineage", "verify", join(place.home, "grants/0.grant")],
    ])
    .catch((error: Error) => error.message);
  expect(JSON.stringify(verified)).not.toContain("signature.");

  await place.json(["revoke", "--grant", "0", "--for-signing", place.file("s2.draft")]);
  expect((await show("s2.draft")).changes).toContain("+ revoked grant: 0");
});
