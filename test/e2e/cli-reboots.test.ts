/**
 * One machine over reboots, lost power, sleep and TPM2_Clear: what a run says, and how it goes on.
 */
import { connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openTpm } from "../../src/tpm/open.ts";
import { clear, shutdown, startup } from "../../src/tpm/startup.ts";
import { preparedMachines, reboot } from "../../swtpm/index.ts";
import { Place, type Ran } from "./cli-support.ts";
import { rebootEarly, softwareTpm } from "./tpm-support.ts";

const ATTEMPTS = 8;
const tpms = softwareTpm();
let place: Place;
let vendor: string[];

interface Status {
  readonly node: { readonly ueid: string; readonly statusIndex: number };
  readonly counters: {
    readonly resetCount: number;
    readonly restartCount: number;
    readonly clock: string;
  };
}
const status = () => place.json<Status>(["status"]);
const at = () => ["--tpm", tpms.machine.uri];
const run = (uri = tpms.machine.uri) =>
  place.run(["run", "--tpm", uri, "--grant", "echo.grant", "--", "/bin/echo", "hello"]);
const enroll = (...words: string[]) =>
  place.run(["enroll", ...at(), ...vendor, ...words, "--json"]);

beforeAll(async () => {
  place = await Place.make();
  const { root, issuer } = await preparedMachines();
  const files = [await place.write("root.pem", root), await place.write("issuer.pem", issuer)];
  vendor = ["--root", files[0] ?? "", "--intermediate", files[1] ?? ""];
  await place.json(["init", "example.org"]);
  expect((await enroll()).code).toBe(0);
  await place.json(["policy", "capture", "base", ...at()]);
  await place.json(["policy", "activate", "base"]);
  const words = ["--exec", "/bin/echo", "--arg", "hello", "--env", "LANG=C", "--uses", "30"];
  await place.json(["authorize", ...words, "--out", "echo.grant"]);
  expect(await run()).toMatchObject({ code: 0, out: "hello\n" });
});
afterAll(() => place.remove());

async function onTpm(use: (tpm: Awaited<ReturnType<typeof openTpm>>) => Promise<void>) {
  await using tpm = await openTpm(tpms.machine.uri);
  await use(tpm);
}

test("an orderly reboot goes on, and raises the floor", async () => {
  const before = await status();
  await onTpm((tpm) => reboot(tpms.machine, tpm, "orderly"));
  expect(await run()).toMatchObject({ code: 0, out: "hello\n" });
  const after = await status();
  expect(after.counters.resetCount).toBe(before.counters.resetCount + 1);
  expect(after.counters.restartCount).toBe(0);
});

test("a TPM Restart goes on in the same resetCount", async () => {
  const before = await status();
  await onTpm(async (tpm) => {
    await shutdown(tpm, "STATE");
    await tpms.machine.reset();
    await startup(tpm);
  });
  expect(await run()).toMatchObject({ code: 0, out: "hello\n" });
  const { counters } = await status();
  expect(counters.resetCount).toBe(before.counters.resetCount);
  expect(counters.restartCount).toBe(before.counters.restartCount + 1);
});

/** What a command says to whom the TPM loses power at the moment when it is asked. */
async function withoutPower(ask: (uri: string) => Promise<Ran>): Promise<Ran> {
  await onTpm((tpm) => rebootEarly(tpms.machine, tpm));
  const server = createServer(async (client) => {
    await onTpm((tpm) => reboot(tpms.machine, tpm, "unorderly"));
    const tpm = connect(tpms.machine.uri.replace("swtpm:path=", ""));
    for (const socket of [client, tpm]) socket.on("error", () => undefined);
    client.pipe(tpm).pipe(client);
  });
  const path = place.file("tpm");
  await new Promise<void>((done) => server.listen(path, done));
  try {
    return await ask(`swtpm:path=${path}`);
  } finally {
    server.close();
  }
}

test("lost power has its own code; doctor says what to do, and a saved clock heals it", async () => {
  const { code, err } = await withoutPower(run);
  expect(err).toMatch(/^environment\.clock-unsafe: .*\nnext: .*saves its clock/);
  expect(code).toBe(75);
  const { out } = await withoutPower((uri) => place.run(["doctor", "--tpm", uri]));
  expect(out).toMatch(/FAIL +TPM clock .*safe = NO.*\n.*next: .*saves its clock/);
  let healed = await run();
  for (let i = 0; i < ATTEMPTS && healed.code !== 0; i++) {
    expect(healed.err).toMatch(/^environment\.clock-unsafe/);
    await sleep(1_000);
    healed = await run();
  }
  expect(healed).toMatchObject({ code: 0, out: "hello\n" });
});

test("TPM2_Clear has its own code; enrolling again is the same node, with floors anew", async () => {
  const before = await status();
  await onTpm((tpm) => clear(tpm));
  const { code, err } = await run();
  expect(err.split(":")[0]).toBe("internal.attestation-key");
  expect(err).toMatch(/\nnext: .*enroll --replace/);
  expect(code).toBe(70);
  const { out } = await place.run(["doctor", ...at()]);
  expect(out).toMatch(/FAIL +attestation key .*\n.*next: .*enroll --replace/);
  expect((await enroll()).err).toMatch(/enroll\.rekey|replace/);
  expect(await enroll("--replace")).toMatchObject({ code: 0 });
  const after = await status();
  expect(after.node.ueid).toBe(before.node.ueid);
  expect(after.node.statusIndex).toBeGreaterThan(before.node.statusIndex);
  expect(after.counters.resetCount).toBeLessThan(before.counters.resetCount);
  expect(BigInt(after.counters.clock)).toBeLessThan(BigInt(before.counters.clock));
  expect(await run()).toMatchObject({ code: 0, out: "hello\n" });
});
