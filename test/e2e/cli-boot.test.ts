/**
 * A policy over boot events, from its capture to an update that rolls in, on a software TPM whose
 * PCRs were extended with the events of a log.
 */
import { appendFile, chmod, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openTpm, pcrExtend, TPM_ALG } from "../../src/tpm/index.ts";
import { preparedMachines, reboot } from "../../swtpm/index.ts";
import { COMMAND, command, EVENTS } from "../support/boots.ts";
import { agileLog, type MadeEvent } from "../support/event-logs.ts";
import { Place } from "./cli-support.ts";
import { softwareTpm } from "./tpm-support.ts";

const tpms = softwareTpm();
let place: Place;

/** Measures the events, and leaves their log where the configuration says. */
async function boot(events: readonly MadeEvent[]): Promise<void> {
  await using tpm = await openTpm(tpms.machine.uri);
  for (const { pcr, digests } of events) {
    if (digests.sha256)
      await pcrExtend(tpm, pcr, [{ hash: TPM_ALG.SHA256, digest: digests.sha256 }]);
  }
  await place.write("boot.log", agileLog(["sha256"], events));
}

async function bootAgain(events: readonly MadeEvent[]): Promise<void> {
  {
    await using tpm = await openTpm(tpms.machine.uri);
    await reboot(tpms.machine, tpm, "orderly");
  }
  await boot(events);
}

const UPDATED = EVENTS.map((event) => (event === COMMAND ? command("linux quiet splash") : event));
const run = () => place.run(["run", "--grant", "job.grant", "--", "/bin/echo", "hello"]);
const cases = () => join(place.home, "cases");

beforeAll(async () => {
  place = await Place.make();
  const { root, issuer } = await preparedMachines();
  await place.json(["init", "example.org", "--tpm", tpms.machine.uri]);
  const config = join(place.home, "config.yaml");
  await appendFile(config, `event-log: ${JSON.stringify(place.file("boot.log"))}\n`);
  await boot(EVENTS);
  const vendor = ["--root", await place.write("root.pem", root)];
  await place.json([
    "enroll",
    ...vendor,
    "--intermediate",
    await place.write("issuer.pem", issuer),
  ]);
});
afterAll(() => place.remove());

test("a boot is captured for review, signed, and judged; an update rolls in beside it", async () => {
  const drafted = await place.run(["policy", "capture", "base", "--events", "--out", "base.yaml"]);
  expect([drafted.code, drafted.err]).toEqual([0, ""]);
  const yaml = await readFile(place.file("base.yaml"), "utf8");
  for (const line of ["- secure-boot: on", '- variable: "dbx"', '- text: "linux quiet"']) {
    expect(yaml).toContain(line);
  }
  const compiled = await place.json<{ rows: string[] }>(["policy", "compile", "base.yaml"]);
  expect(compiled.rows).toContainEqual(
    expect.stringMatching(/^sha256 PCR 7 events: must occur [0-9a-f]{64} \(secure boot on\)$/),
  );
  await place.json(["policy", "sign", "base.yaml"]);
  await place.json(["policy", "activate", "base"]);
  const words = ["--exec", "/bin/echo", "--arg", "hello", "--uses", "9", "--out", "job.grant"];
  await place.json(["authorize", ...words]);
  expect(await run()).toMatchObject({ code: 0, out: "hello\n" });

  // Another command line: denied, and named by the recorded case.
  await bootAgain(UPDATED);
  const reason = /^ {2}policy base: sha256 PCR 8: not allowed: event \d+, "linux quiet splash"$/m;
  const { err } = await run();
  expect(err).toMatch(/^environment\.eventlog-event/);
  expect(err).toMatch(reason);
  const replays = await Promise.all(
    (await readdir(cases())).map((name) => place.run(["replay", join(cases(), name)])),
  );
  expect(replays.map(({ code, out }) => [code, reason.test(out)]).sort()).toEqual([
    [0, false],
    [77, true],
  ]);
  const tried = await place.run(["policy", "test", "base", cases()]);
  expect(tried.code).toBe(77);
  expect(tried.out).toMatch(/PCR 8: not allowed: event \d+, "linux quiet splash"/);
  expect(tried.out).toMatch(/did not occur: linux quiet/);
  expect(tried.out).toMatch(/1 of 2 would be allowed\n$/);

  // The next version allows both, and says so before it is active.
  const next = yaml.replace(
    '- text: "linux quiet"',
    '- text: ["linux quiet", "linux quiet splash"]',
  );
  await place.write("next.yaml", next);
  const told = await place.run(["policy", "diff", "base", "next.yaml"]);
  expect(told.out).toMatch(/^- .*\(linux quiet\)\n\+ .*\(linux quiet \| linux quiet splash\)\n$/);
  expect((await place.run(["policy", "test", "next.yaml", cases()])).out).toMatch(/2 of 2/);
  await place.json(["policy", "sign", "next.yaml"]);
  await place.json(["policy", "activate", "base"]);
  expect(await run()).toMatchObject({ code: 0, out: "hello\n" });
  await bootAgain(EVENTS);
  expect(await run()).toMatchObject({ code: 0, out: "hello\n" });

  // A version for the updated machines alone: the others meet an older one, which is active too.
  const only = yaml.replace('- text: "linux quiet"', '- text: "linux quiet splash"');
  await place.json(["policy", "sign", await place.write("only.yaml", only)]);
  await place.json(["policy", "activate", "base"]);
  expect(await run()).toMatchObject({ code: 0, out: "hello\n" });
  await place.json(["policy", "activate", "base", "--replace"]);
  expect((await run()).err).toMatch(/^environment\.eventlog-event/);
  await bootAgain(UPDATED);
  expect(await run()).toMatchObject({ code: 0, out: "hello\n" });
});

test("what is missing is told: no log, an empty one, one of another boot", async () => {
  const look = async () => {
    const { out } = await place.run(["doctor"]);
    return /^(ok {2}|FAIL) {2}boot log +(.*)$/m.exec(out)?.slice(1, 3);
  };
  expect(await look()).toEqual([
    "ok  ",
    expect.stringMatching(/^\d+ events, which replay to .*sha256$/),
  ]);
  await rm(place.file("boot.log"));
  expect(await look()).toEqual([
    "FAIL",
    expect.stringMatching(/does not exist.*ask for it: base$/),
  ]);
  const absent = await run();
  expect(absent.code).toBe(77);
  expect(absent.err).toMatch(/^environment\.eventlog-absent: .*boot\.log: it does not exist/);
  await place.write("boot.log", "");
  expect((await run()).err).toMatch(/it is empty: the firmware handed no log over/);
  await place.write("boot.log", agileLog(["sha256"], EVENTS));
  expect((await run()).err).toMatch(/^environment\.eventlog-mismatch/);
  const { code, err } = await place.run(["policy", "capture", "base", "--events"]);
  expect([code, err]).toEqual([64, expect.stringMatching(/does not replay to PCR 8/)]);
  expect(await look()).toEqual(["FAIL", expect.stringMatching(/not replay to sha256 PCR 8/)]);
  if (process.getuid?.() !== 0) {
    await chmod(place.file("boot.log"), 0o000);
    expect((await run()).err).toMatch(/this user may not read it/);
  }
});
