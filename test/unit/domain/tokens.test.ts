import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { TokenFolder } from "../../../src/domain/tokens.ts";
import { makeToken, verifyToken } from "../../../src/plane/index.ts";

let home: string;
let folder: TokenFolder;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "portcullis-tokens-"));
  folder = new TokenFolder(home);
});
afterEach(() => rm(home, { recursive: true }));

const TERMS = { role: "enroll", labels: ["web", "eu"], replace: true, expires: 2_000 } as const;

test("a token is found as it was added, and nothing in its file is its secret", async () => {
  const { text, record } = makeToken(TERMS);
  await folder.add(record);
  expect(await folder.find(record.id)).toEqual(record);
  expect(await folder.all()).toEqual([record]);
  const [name = ""] = await readdir(join(home, "tokens"));
  const file = join(home, "tokens", name);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const secret = text.split("_").slice(2).join("_");
  const bytes = await readFile(file);
  expect(bytes.includes(secret)).toBe(false);
  expect(bytes.includes(Buffer.from(secret, "base64url"))).toBe(false);
  expect(await verifyToken(folder, text, 1_999)).toEqual(record);
  expect(await verifyToken(folder, text, 2_000)).toBeNull();
});

test("one is added once, and removed once", async () => {
  const { record } = makeToken(TERMS);
  await folder.add(record);
  await expect(folder.add({ ...record, role: "operate" })).rejects.toMatchObject({
    code: "domain.exists",
  });
  expect((await folder.find(record.id))?.role).toBe("enroll");
  expect(await folder.remove(record.id)).toBe(true);
  expect(await folder.remove(record.id)).toBe(false);
  expect(await folder.find(record.id)).toBeNull();
  expect(await folder.all()).toEqual([]);
});

test("an id that is none names no file", async () => {
  await writeFile(join(home, "evil.token"), "");
  for (const id of ["", "../evil", "0123456789abcdeF", "0".repeat(17), `${"0".repeat(16)}/`]) {
    expect(await folder.find(id)).toBeNull();
    expect(await folder.remove(id)).toBe(false);
  }
});

test("a damaged token is an error at every truncation, never a token", async () => {
  const { text, record } = makeToken(TERMS);
  await folder.add(record);
  const file = join(home, "tokens", `${record.id}.token`);
  const whole = await readFile(file);
  for (let size = 0; size < whole.length; size++) {
    await writeFile(file, whole.subarray(0, size));
    await expect(verifyToken(folder, text, 0)).rejects.toMatchObject({ code: "domain.malformed" });
  }
});
