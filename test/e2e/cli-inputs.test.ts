/** Files that are not what a verb wants: one line that names the file, exit 64, at once. */
import { execFileSync } from "node:child_process";
import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Place, root } from "./cli-support.ts";

let place: Place;
beforeAll(async () => {
  place = await Place.make();
  await place.json(["init", "example.org"]);
  await place.write("empty", "");
  await place.write("zeros", new Uint8Array(300));
  await place.write("text", "hello: [1, 2\n");
  await mkdir(place.file("folder"));
  await symlink(place.file("loop"), place.file("loop"));
  execFileSync("mkfifo", [place.file("pipe")]);
});
afterAll(() => place.remove());

/** What each verb is asked to do with a file. */
const VERBS: readonly (readonly [string, (file: string) => string[]])[] = [
  ["inspect", (file) => ["inspect", file]],
  ["eventlog", (file) => ["eventlog", file]],
  ["revoke", (file) => ["revoke", file]],
  ["delegate", (file) => ["delegate", file, "--key", file, "--holder", "node", "--out", "x"]],
  ["lineage show", (file) => ["lineage", "show", file]],
  ["policy sign", (file) => ["policy", "sign", file]],
  ["policy test", (file) => ["policy", "test", file, file]],
  ["governance show", (file) => ["governance", "show", file]],
  ["authorize", (file) => ["authorize", file]],
  ["restore", (file) => ["restore", file, "--home", place.file("other")]],
  ["enroll", (file) => ["enroll", "--root", file]],
];
const FILES = ["empty", "zeros", "text", "folder", "loop", "pipe", "missing"];

describe.each(VERBS)("%s", (_, words) => {
  test.each(FILES)("%s", async (file) => {
    const { code, out, err } = await place.run(words(place.file(file)));
    expect([code, out, err]).toEqual([64, "", expect.stringMatching(/^portcullis: [^\n]+\n$/)]);
    expect(err).toContain(place.path);
  });
});

test.each(["folder", "loop", "pipe", "missing"])("run with the grant %s", async (file) => {
  const words = ["run", "--grant", place.file(file), "--", "/bin/true"];
  const { code, err } = await place.run(words);
  expect([code, err]).toEqual([64, expect.stringMatching(/^portcullis: [^\n]+\n$/)]);
  expect(err).toContain(place.file(file));
});

test("bytes that are not UTF-8 are refused, not replaced: they would name another job", () => {
  const env = { PATH: process.env.PATH, PORTCULLIS_HOME: place.home };
  const run = (words: string, more = {}): string => {
    const script = `"$0" "$1" run ${words} 2>&1; echo " exit $?"`;
    const args = ["--norc", "-c", script, process.execPath, join(root, "src/cli/main.ts")];
    return execFileSync("bash", args, { env: { ...env, ...more }, encoding: "utf8" });
  };
  expect(run("-- /bin/echo $'\\xff'")).toMatch(/The command line is not UTF-8.*exit 64/s);
  const set = "--env BAD -- /bin/echo";
  expect(run(set, { BAD: "\ufffd" })).not.toContain("UTF-8");
  expect(run(`${set} 2>&1; export BAD=$'\\xff'; "$0" "$1" run ${set}`)).toMatch(
    /A variable that --env names is not UTF-8.*exit 64/s,
  );
});

test.each(["zeros", "folder"])("ima %s", async (file) => {
  const { code, err } = await place.run(["ima", place.file(file)]);
  expect([code, err]).toEqual([64, expect.stringContaining(place.file(file))]);
});
