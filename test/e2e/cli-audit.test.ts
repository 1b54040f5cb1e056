import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CaseFolder } from "../../src/log/cases.ts";
import { Journal } from "../../src/log/journal.ts";
import { formatNoteVerifier, noteSigner } from "../../src/log/note.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { sha256 } from "../../src/wire/digests.ts";
import { writeKeyFile } from "../../src/wire/key-files.ts";
import { generateKey } from "../../src/wire/keys.ts";
import { makeWorld } from "../support/world.ts";
import { Place } from "./cli-support.ts";

const ORIGIN = "log.example.org";
const LEAVES = 4;

let place: Place;
const key = generateKey("Ed25519");
const digestOf = (text: string): Uint8Array => sha256(Buffer.from(text));

/** As a gate records them. */
async function record(home: string, count: number): Promise<string> {
  const store = openSqliteStore(join(home, "state.db"));
  const journal = new Journal({ store, origin: ORIGIN, signer: noteSigner(ORIGIN, key) });
  let head = "";
  for (let i = 0; i < count; i++) {
    const leaf = {
      event: "denied",
      time: 1_900_000_000 + i,
      code: "window.expired",
      request: digestOf(`request ${i}`),
      run: null,
      parentRun: null,
      case: null,
      core: digestOf("core"),
      job: null,
      chain: null,
      exit: null,
      warnings: [],
      mark: null,
    } as const;
    ({ head } = await journal.record({ proven: null, leaf }));
  }
  await store.close();
  return head;
}

async function makeHome(): Promise<Place> {
  const made = await Place.make();
  await made.json(["init", "example.org", "--origin", ORIGIN]);
  await mkdir(join(made.home, "node"), { mode: 0o700 });
  await writeKeyFile(join(made.home, "node/log.pem"), key);
  return made;
}

beforeAll(async () => {
  place = await makeHome();
});
afterAll(() => place.remove());

describe("audit", () => {
  test("an empty log verifies, and shows nothing", async () => {
    expect(await place.json(["audit", "verify"])).toMatchObject({ verified: true, size: 0 });
    expect(await place.json(["audit", "show"])).toEqual({
      size: 0,
      head: null,
      from: 0,
      leaves: [],
    });
  });

  test("verify: every leaf from the first on; show: what they say", async () => {
    const head = await record(place.home, LEAVES);
    const earlier = await place.write("earlier", head);
    await record(place.home, 1);
    const told = await place.json(["audit", "verify", "--earlier", earlier]);
    expect(told).toMatchObject({
      verified: true,
      origin: ORIGIN,
      size: LEAVES + 1,
      events: { denied: LEAVES + 1, intent: 0 },
      open: [],
      key: formatNoteVerifier(noteSigner(ORIGIN, key).verifier),
    });
    const shown = await place.run(["audit", "show", "--from", "1", "--count", "2"]);
    expect(shown.out.split("\n").slice(0, 2)).toEqual([
      expect.stringMatching(/^ {5}1 {2}2030-.*denied .*window\.expired$/),
      expect.stringMatching(/^ {5}2 {2}2030-/),
    ]);
    const json = await place.json<{ leaves: unknown[] }>(["audit", "show", "--count", "2"]);
    expect(json).toMatchObject({ size: LEAVES + 1, from: LEAVES - 1 });
    expect(json.leaves).toMatchObject([{ index: 3 }, { index: 4, leaf: { event: "denied" } }]);
    expect(await place.json(["status"])).toMatchObject({ log: { size: LEAVES + 1 } });
  });

  test("one leaf changed: exit 77, and which", async () => {
    const other = await makeHome();
    const head = await record(other.home, LEAVES);
    const db = new DatabaseSync(join(other.home, "state.db"));
    const row = db.prepare("SELECT bytes FROM leaves WHERE leaf_index = 2").get();
    const bytes = row?.bytes instanceof Uint8Array ? Uint8Array.from(row.bytes) : null;
    if (bytes === null) throw new Error("no such leaf");
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    db.exec("DROP TRIGGER leaves_kept");
    db.prepare("UPDATE leaves SET bytes = ? WHERE leaf_index = 2").run(bytes);
    db.close();
    const { code, out } = await other.run(["audit", "verify", "--json"]);
    expect(code).toBe(77);
    expect(JSON.parse(out)).toMatchObject({ verified: false, code: "log.leaf-bytes", index: 2 });
    const told = await other.run(["audit", "verify"]);
    expect([told.code, told.out]).toEqual([
      77,
      expect.stringMatching(/^NOT VERIFIED {2}log\.leaf-/),
    ]);
    await other.remove();
    // A log that was begun anew does not contain what an auditor kept.
    const fresh = await makeHome();
    await record(fresh.home, LEAVES - 1);
    const kept = await fresh.write("kept", head);
    expect((await fresh.run(["audit", "verify"])).code).toBe(0);
    const shorter = await fresh.run(["audit", "verify", "--earlier", kept, "--json"]);
    expect([shorter.code, JSON.parse(shorter.out)]).toMatchObject([77, { code: "log.shorter" }]);
    await fresh.remove();
  });

  test("another key than the log's: not verified; no key: usage", async () => {
    const stranger = noteSigner(ORIGIN, generateKey("Ed25519")).verifier;
    const { code, out } = await place.run([
      "audit",
      "verify",
      "--key",
      formatNoteVerifier(stranger),
    ]);
    expect([code, out]).toEqual([77, expect.stringMatching(/log\.head-signature/)]);
    const bad = await place.run(["audit", "verify", "--key", "x"]);
    expect([bad.code, bad.err]).toEqual([64, expect.stringMatching(/no Ed25519 note key/)]);
    const home = place.file("without a key");
    await place.json(["init", "example.org", "--home", home]);
    const none = await place.run(["audit", "verify", "--home", home]);
    expect([none.code, none.err]).toEqual([64, expect.stringMatching(/no log key yet/)]);
  });
});

describe("replay", () => {
  test("an allowed case: exit 0, every family proven", async () => {
    const bytes = await makeWorld().caseBytes();
    const file = await place.write("allowed.case", bytes);
    const { code, out } = await place.run(["replay", file]);
    expect([code, out.split("\n")[0]]).toEqual([0, "allow"]);
    const shape = await place.json<{ families: object }>(["replay", file]);
    expect(shape).toMatchObject({ allow: true, code: null, codes: [] });
    const { internal, ...families } = { internal: "", ...shape.families };
    expect(internal).toBe("not evaluated");
    expect(new Set(Object.values(families))).toEqual(new Set(["proven"]));
  });

  test("a denied case: exit 77, each code with what to do next", async () => {
    const bytes = await makeWorld().caseBytes({ snapshot: { freeze: "new" }, job: { uid: 0 } });
    const file = await place.write("denied.case", bytes);
    const { code, out } = await place.run(["replay", file]);
    expect(code).toBe(77);
    expect(out).toMatch(/^deny\n/);
    expect(out).toMatch(/\ngovernance\.frozen: [^\n]+\nnext: [^\n]+\npolicy\.user: /);
    const json = await place.run(["replay", file, "--json"]);
    expect(json.code).toBe(77);
    expect(JSON.parse(json.out)).toMatchObject({
      allow: false,
      code: "governance.frozen",
      codes: [
        { code: "governance.frozen", retry: false },
        { code: "policy.user", next: expect.any(String) },
      ],
    });
  });

  test("bytes that are no case are a denial; a recorded case is found by its digest", async () => {
    const none = await place.run(["replay", await place.write("none", "none")]);
    expect([none.code, none.out]).toEqual([
      77,
      expect.stringMatching(/^deny\n.*internal\.case: /s),
    ]);
    const bytes = await makeWorld().caseBytes();
    const folder = new CaseFolder(join(place.home, "cases"));
    const digest = Buffer.from(await folder.write(bytes)).toString("hex");
    expect((await place.run(["replay", digest])).code).toBe(0);
    expect(await readFile(join(place.home, `cases/${digest}.case`))).toEqual(Buffer.from(bytes));
    const absent = await place.run(["replay", "0".repeat(64)]);
    expect([absent.code, absent.err]).toEqual([64, expect.stringMatching(/cannot be read/)]);
  });
});
