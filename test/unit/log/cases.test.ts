import { hash } from "node:crypto";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LIMITS } from "../../../src/limits.ts";
import { packedCases } from "../../../src/log/case-packs.ts";
import { CaseFolder } from "../../../src/log/cases.ts";

let home: string;
let folder: string;
let cases: CaseFolder;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "portcullis-cases-"));
  folder = join(home, "cases");
  cases = new CaseFolder(folder);
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const CASE = Buffer.from("a case, with --password=hunter2");
const NAME = `${hash("sha256", CASE, "hex")}.case`;
const failing = (code: string) => expect.objectContaining({ name: "LogError", code });

test("a case is kept under its digest, for its owner only", async () => {
  const digest = await cases.write(CASE);
  expect(Buffer.from(await cases.read(digest))).toEqual(CASE);
  expect(readdirSync(folder)).toEqual([NAME]);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  expect(statSync(join(folder, NAME)).mode & 0o777).toBe(0o600);
});

test("the same case again is the same file", async () => {
  await cases.write(CASE);
  await cases.write(CASE);
  expect(readdirSync(folder)).toEqual([NAME]);
});

test("two at once", async () => {
  await Promise.all([cases.write(CASE), cases.write(CASE), cases.write(Buffer.from("other"))]);
  expect(readdirSync(folder)).toHaveLength(2);
});

test("an altered, absent, widened or replaced case is not read", async () => {
  const digest = await cases.write(CASE);
  writeFileSync(join(folder, NAME), "another");
  await expect(cases.read(digest)).rejects.toThrow(/was altered/);
  chmodSync(join(folder, NAME), 0o644);
  await expect(cases.read(digest)).rejects.toThrow(/chmod 600/);
  rmSync(join(folder, NAME));
  await expect(cases.read(digest)).rejects.toThrow(failing("log.case"));
  mkdirSync(join(folder, NAME), { mode: 0o700 });
  await expect(cases.read(digest)).rejects.toThrow(failing("log.case"));
});

test.each<[string, () => void]>([
  ["the folder is open to others", () => mkdirSync(folder, { mode: 0o755 })],
  ["a file lies at the folder's place", () => writeFileSync(folder, "")],
  ["home is gone", () => rmSync(home, { recursive: true })],
  ["home is a file", () => [rmSync(home, { recursive: true }), writeFileSync(home, "")]],
  [
    "a folder lies at the case's place",
    () => mkdirSync(join(folder, NAME, "x"), { recursive: true, mode: 0o700 }),
  ],
])("unwritable, also as root: %s", async (what, spoil) => {
  spoil();
  if (what === "the folder is open to others") chmodSync(folder, 0o755);
  await expect(cases.write(CASE)).rejects.toThrow(failing("log.unwritable"));
  if (what.startsWith("a folder lies")) expect(readdirSync(folder)).toEqual([NAME]);
});

test("a case beyond the bound is not kept", async () => {
  const large = new Uint8Array(LIMITS.caseBytes + 1);
  await expect(cases.write(large)).rejects.toThrow(failing("log.unwritable"));
});

describe("a pack", () => {
  const MANY = Array.from({ length: 20 }, (_, i) => Buffer.alloc(i * 40, i));
  const packs = () => readdirSync(folder).filter((name) => name.endsWith(".cases"));

  test("holds many cases, for their owner only, each found by its digest", async () => {
    const digests = [
      ...(await cases.writeAll(MANY.slice(0, 7))),
      ...(await cases.writeAll(MANY.slice(7))),
    ];
    await cases.close();
    expect(packs()).toHaveLength(1);
    expect(statSync(join(folder, packs()[0] ?? "")).mode & 0o777).toBe(0o600);
    const later = new CaseFolder(folder);
    for (const [i, digest] of digests.entries()) {
      expect(Buffer.from(await later.read(digest))).toEqual(MANY[i]);
    }
    await expect(later.read(new Uint8Array(32))).rejects.toThrow(failing("log.case"));
    const all = [...packedCases(folder)];
    expect(all.map(({ digest }) => digest)).toEqual(digests);
    expect(all.map(({ bytes }) => Buffer.from(bytes))).toEqual(MANY);
  });

  test("torn at any place gives what is whole, and nothing else", async () => {
    const digests = await cases.writeAll(MANY.slice(0, 4));
    await cases.close();
    const file = join(folder, packs()[0] ?? "");
    const whole = readFileSync(file);
    for (let size = 0; size < whole.length; size++) {
      writeFileSync(file, whole.subarray(0, size));
      let end = 0;
      for (const [i, digest] of digests.entries()) {
        end += 36 + (MANY[i]?.length ?? 0);
        const read = cases.read(digest).then((bytes) => Buffer.from(bytes));
        if (end <= size) await expect(read).resolves.toEqual(MANY[i]);
        else await expect(read).rejects.toThrow(failing("log.case"));
      }
    }
  });

  test("of which a byte was changed gives no case that it does not name", async () => {
    const [digest = new Uint8Array(0)] = await cases.writeAll([CASE]);
    await cases.close();
    const file = join(folder, packs()[0] ?? "");
    const whole = readFileSync(file);
    for (let at = 0; at < whole.length; at++) {
      const changed = Buffer.from(whole);
      changed.writeUInt8((whole[at] ?? 0) ^ 1, at);
      writeFileSync(file, changed);
      await expect(cases.read(digest)).rejects.toThrow(failing("log.case"));
    }
    writeFileSync(file, whole);
    chmodSync(file, 0o644);
    await expect(cases.read(digest)).rejects.toThrow(/chmod 600/);
  });

  test("that could not be written to is left alone: the next cases go to another", async () => {
    await cases.writeAll([CASE]);
    await expect(cases.writeAll([Buffer.alloc(LIMITS.caseBytes + 1)])).rejects.toThrow(
      failing("log.unwritable"),
    );
    // Nor do more failures leave more files: of a full disk there would be no end.
    for (let i = 0; i < 3; i++) {
      await expect(cases.writeAll([Buffer.alloc(LIMITS.caseBytes + 1)])).rejects.toThrow();
    }
    expect(packs()).toHaveLength(1);
    const [digest = new Uint8Array(0)] = await cases.writeAll([Buffer.from("another")]);
    await cases.close();
    expect(packs()).toHaveLength(2);
    expect(Buffer.from(await cases.read(digest)).toString()).toBe("another");
  });
});
