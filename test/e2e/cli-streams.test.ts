/**
 * Readers that go away, streams without room, and a TPM that never answers: the exit code stays the
 * verdict's, it comes in time, and nothing starts whose receipt nobody can have.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { preparedMachines, SoftwareTpm } from "../../swtpm/index.ts";
import { Place, root } from "./cli-support.ts";

const main = join(root, "src/cli/main.ts");
let place: Place;
let tpm: SoftwareTpm;
let granted: string[];

beforeAll(async () => {
  place = await Place.make();
  const { states, root, issuer } = await preparedMachines();
  tpm = await SoftwareTpm.start({ template: states[0] ?? "" });
  const files = [await place.write("root.pem", root), await place.write("issuer.pem", issuer)];
  await place.json(["init", "example.org", "--tpm", tpm.uri]);
  await place.json(["enroll", "--root", files[0] ?? "", "--intermediate", files[1] ?? ""]);
  await place.json(["policy", "capture", "base"]);
  await place.json(["policy", "activate", "base"]);
  const job = ["--exec", "/bin/echo", "--arg=up", "--cwd", "/", "--uses", "9"];
  await place.json(["authorize", ...job, "--out", place.file("up.grant")]);
  granted = ["--grant", place.file("up.grant"), "--", "/bin/echo", "up"];
});
afterAll(async () => {
  await tpm.stop();
  await place.remove();
});

/** Runs a command with its streams redirected, in the words of bash. */
async function redirected(words: readonly string[], redirection: string) {
  const script = `"$0" "$@" ${redirection}; exit $?`;
  const child = spawn("bash", ["-c", script, process.execPath, main, ...words], {
    env: { PATH: process.env.PATH, PORTCULLIS_HOME: place.home },
    cwd: place.path,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const code = await new Promise((done) => {
    if (child.exitCode !== null) done(child.exitCode);
    else child.once("exit", done);
  });
  return { code, out, err };
}

/** A pipe whose reader is gone before anything is written. */
const GONE = "> >(exec sleep 0 >&-)";

const events = async (): Promise<Record<string, number>> =>
  (await place.json<{ events: Record<string, number> }>(["audit", "verify"])).events;

describe("standard output and error", () => {
  test.each([
    ["a denied run, --json, output gone", ["run", "--json", "--", "/bin/echo"], `1${GONE}`, 77],
    ["a denied check, --json, output gone", ["check", "--json", "--", "/bin/echo"], `1${GONE}`, 77],
    ["a denied run, nobody to complain to", ["run", "--", "/bin/echo"], `2${GONE}`, 77],
    ["status without room", ["status", "--json"], ">/dev/full", 70],
  ])("%s", async (_, words, redirection, exits) => {
    const { code, err } = await redirected(words, redirection);
    expect(err).not.toMatch(/\n {4}at /);
    expect(code, err).toBe(exits);
  });
});

describe("--status-fd", () => {
  test("without room before the start: nothing starts, and the log says so", async () => {
    const before = await events();
    const words = ["run", "--status-fd", "9", ...granted];
    const { code, out, err } = await redirected(words, "9>/dev/full");
    expect([code, out]).toEqual([70, ""]);
    expect(err).toContain("no receipt could be written to --status-fd: ENOSPC");
    expect(err).toContain("internal.exec");
    const after = await events();
    expect([after.intent, after.outcome]).toEqual([
      (before.intent ?? 0) + 1,
      (before.outcome ?? 0) + 1,
    ]);
    expect(after.aborted).toBe(before.aborted);
  });

  test("a reader that leaves after the first receipt: the job's exit code stands", async () => {
    const words = ["run", "--status-fd", "9", ...granted];
    const { code, out, err } = await redirected(words, "9> >(head -n 1 >/dev/null)");
    expect([code, out]).toEqual([0, "up\n"]);
    expect(err).toMatch(
      /^(portcullis: no receipt could be written to --status-fd: EPIPE[^\n]*\n)?$/,
    );
  });

  test("a denial stays what it is", async () => {
    const words = ["run", "--status-fd", "9", "--", "/bin/echo"];
    const { code, err } = await redirected(words, "9>/dev/full");
    expect(code).toBe(77);
    expect(err).toContain("artifact.missing");
  });

  test("a descriptor of Node's own is not the caller's", async () => {
    for (const fd of ["9", "300"]) {
      const { code, err } = await redirected(["run", "--status-fd", fd, ...granted], "");
      expect([code, err]).toEqual([64, expect.stringContaining(`descriptor ${fd} `)]);
    }
  });
});

test("a TPM that never answers: a denial, and the end of the process, within its seconds", async () => {
  const silent = createServer().listen(place.file("silent"));
  await once(silent, "listening");
  const started = performance.now();
  const ran = await place.run(["run", "--tpm", `swtpm:path=${place.file("silent")}`, ...granted]);
  expect([ran.code, ran.out, ran.err]).toEqual([
    75,
    "",
    expect.stringMatching(/^internal.timeout/),
  ]);
  expect(performance.now() - started).toBeLessThan(60_000);
  silent.close();
});
