/** Software TPMs as machines: reboots, power cuts, hangs; and nothing of them stays behind. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, cp, mkdtemp, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readClock } from "../../src/tpm/attestation.ts";
import { pcrExtend, pcrRead } from "../../src/tpm/integrity.ts";
import { openTpm } from "../../src/tpm/open.ts";
import { clear, getRandom } from "../../src/tpm/startup.ts";
import { TPM_ALG } from "../../src/tpm/structures/constants.ts";
import { TpmTransportError } from "../../src/tpm/structures/errors.ts";
import { manufacture, preparedMachines, reboot, SoftwareTpm } from "../../swtpm/index.ts";
import { rebootEarly } from "./tpm-support.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const run = promisify(execFile);
let template: string;

beforeAll(async () => {
  [template = ""] = (await preparedMachines()).states;
});

async function clock(machine: SoftwareTpm) {
  await using tpm = await openTpm(machine.uri);
  return (await readClock(tpm)).clockInfo;
}

/** A machine that can lose power. */
async function started(): Promise<SoftwareTpm> {
  const machine = await SoftwareTpm.start({ template });
  await using tpm = await openTpm(machine.uri);
  await rebootEarly(machine, tpm);
  return machine;
}

async function extend(machine: SoftwareTpm): Promise<void> {
  await using tpm = await openTpm(machine.uri);
  await pcrExtend(tpm, 8, [{ hash: TPM_ALG.SHA256, digest: new Uint8Array(32).fill(8) }]);
}

async function pcr8(machine: SoftwareTpm): Promise<Uint8Array | undefined> {
  await using tpm = await openTpm(machine.uri);
  return (await pcrRead(tpm, [{ hash: TPM_ALG.SHA256, pcrs: [8] }]))[0]?.value;
}

describe("a machine", () => {
  test.each(["orderly", "unorderly"] as const)(
    "reboots %s under an open connection",
    async (how) => {
      await using machine = await started();
      await extend(machine);
      const before = await clock(machine);
      await using tpm = await openTpm(machine.uri);
      await reboot(machine, tpm, how);
      const { clockInfo } = await readClock(tpm);
      expect(clockInfo.resetCount).toBe(before.resetCount + 1);
      expect(clockInfo.restartCount).toBe(0);
      expect(clockInfo.safe).toBe(how === "orderly");
      await tpm.close();
      expect(await pcr8(machine)).toEqual(new Uint8Array(32));
    },
  );

  test("loses power in the middle: commands fail, and it comes up again unsafe", async () => {
    await using machine = await started();
    const before = await clock(machine);
    const tpm = await openTpm(machine.uri);
    await machine.powerOff();
    await expect(getRandom(tpm, 8)).rejects.toThrow(TpmTransportError);
    await expect(openTpm(machine.uri)).rejects.toThrow(/Cannot connect/);
    await machine.powerOn();
    const after = await clock(machine);
    expect(after.resetCount).toBe(before.resetCount + 1);
    expect(after.safe).toBe(false);
  });

  test.each(["uri", "tctiUri"] as const)(
    "that hangs is given up after the time limit (%s)",
    async (uri) => {
      await using machine = await SoftwareTpm.start({ template });
      const tpm = await openTpm(machine[uri], { timeoutMs: 1_000 });
      machine.pause();
      const began = performance.now();
      await expect(getRandom(tpm, 8)).rejects.toThrow(
        /did not answer TPM2_GetRandom within 1000 ms/,
      );
      expect(performance.now() - began).toBeGreaterThanOrEqual(999);
      machine.resume();
      await tpm.close();
    },
  );

  test("that is cleared counts from the beginning, with other keys", async () => {
    await using machine = await SoftwareTpm.start({ template });
    await using tpm = await openTpm(machine.uri);
    await reboot(machine, tpm, "orderly");
    expect((await readClock(tpm)).clockInfo.resetCount).toBeGreaterThan(0);
    await clear(tpm);
    expect((await readClock(tpm)).clockInfo).toMatchObject({ resetCount: 0, restartCount: 0 });
  });

  test("keeps its state where asked to", async () => {
    const keepIn = await mkdtemp(join(tmpdir(), "kept "));
    try {
      const counts: number[] = [];
      for (const source of [{ template, keepIn }, { keepIn }, { keepIn }]) {
        await using machine = await SoftwareTpm.start(source);
        counts.push((await clock(machine)).resetCount);
      }
      const [first = 0] = counts;
      expect(counts).toEqual([first, first + 1, first + 2]);
    } finally {
      await rm(keepIn, { recursive: true });
    }
  });

  test("many run beside each other, each with its own PCRs", async () => {
    const machines = await Promise.all(
      Array.from({ length: 8 }, () => SoftwareTpm.start({ template })),
    );
    try {
      const [one, ...others] = machines;
      if (!one) throw new Error("eight were started");
      await extend(one);
      // All at once, half of them through tpm2-tss.
      const opened = await Promise.all(
        machines.map((machine, i) => openTpm(i % 2 ? machine.uri : machine.tctiUri)),
      );
      await Promise.all(opened.map((tpm) => getRandom(tpm, 64)));
      await Promise.all(opened.map((tpm) => tpm.close()));
      expect(await pcr8(one)).not.toEqual(new Uint8Array(32));
      for (const other of others) expect(await pcr8(other)).toEqual(new Uint8Array(32));
    } finally {
      await Promise.all(machines.map((machine) => machine.stop()));
    }
  });

  test("does not start where it cannot, and says why", async () => {
    await expect(SoftwareTpm.start({ keepIn: "relative" })).rejects.toThrow(/absolute directory/);
    await expect(SoftwareTpm.start({ keepIn: "/tmp/a,b" })).rejects.toThrow(/no comma/);
    const damaged = await mkdtemp(join(tmpdir(), "damaged-"));
    try {
      await writeFile(join(damaged, "tpm2-00.permall"), "damaged");
      const start = SoftwareTpm.start({ keepIn: damaged });
      await expect(start).rejects.toThrow(/^swtpm did not start: .*magic/);
    } finally {
      await rm(damaged, { recursive: true });
    }
  });
});

/** A program that starts a software TPM, prints its directory and process, and waits. */
const STARTER = `
  import { SoftwareTpm } from ${JSON.stringify(join(root, "swtpm/index.ts"))};
  import { openTpm } from ${JSON.stringify(join(root, "src/tpm/open.ts"))};
  const machine = await SoftwareTpm.start({ template: process.argv[1] });
  await using tpm = await openTpm(machine.uri);
  console.log(machine.uri.slice("swtpm:path=".length, -"/s".length));
  if (process.argv[2] === "wait") setInterval(() => undefined, 1000);
`;

async function swtpmIn(directory: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    const alive = await readlink(`/proc/${pid}/exe`).catch(() => null);
    if (alive && line.includes(`${directory}/s`)) found.push(pid);
  }
  return found;
}

async function until(condition: () => Promise<boolean>): Promise<boolean> {
  for (let i = 0; i < 200; i++) {
    if (await condition()) return true;
    await sleep(25);
  }
  return false;
}

async function gone(directory: string): Promise<boolean> {
  const left = await readdir(directory).catch(() => null);
  return left === null && (await swtpmIn(directory)).length === 0;
}

describe("nothing stays behind", () => {
  test("when its program is killed with SIGKILL", async () => {
    const args = ["--input-type=module", "-e", STARTER, template, "wait"];
    const program = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = await once(program.stdout, "data");
    const directory = String(line).trim();
    expect(await swtpmIn(directory)).not.toEqual([]);
    program.kill("SIGKILL");
    await once(program, "exit");
    expect(await until(() => gone(directory))).toBe(true);
  });

  test("when its program ends without stopping it", async () => {
    const { stdout } = await run(process.execPath, [
      "--input-type=module",
      "-e",
      STARTER,
      template,
    ]);
    expect(await until(() => gone(stdout.trim()))).toBe(true);
  });

  test("after stop(), also called twice", async () => {
    const machine = await SoftwareTpm.start({ template });
    const directory = machine.uri.slice("swtpm:path=".length, -"/s".length);
    expect(await swtpmIn(directory)).not.toEqual([]);
    await machine.stop();
    await machine.stop();
    expect(await gone(directory)).toBe(true);
  });
});

describe("as another user, in a directory with spaces", () => {
  let place: string;
  const asRoot = process.getuid?.() === 0;

  beforeAll(async () => {
    place = await mkdtemp(join(tmpdir(), "a place "));
    await chmod(place, 0o777);
    await cp(template, join(place, "template"), { recursive: true });
    await run("chmod", ["-R", "a+rX", join(place, "template")]);
  });
  afterAll(() => rm(place, { recursive: true }));

  test("a software TPM starts without any privilege", async () => {
    const user = ["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"];
    const node = [process.execPath, "--input-type=module", "-e", STARTER, join(place, "template")];
    const [program = "", ...args] = asRoot ? ["setpriv", ...user, ...node] : node;
    const { stdout } = await run(program, args, {
      env: { ...process.env, TMPDIR: place, HOME: place },
    });
    expect(stdout.trim().startsWith(place)).toBe(true);
    expect(await until(() => gone(stdout.trim()))).toBe(true);
  });

  test("prepared machines are made once, and again where parts are lost", async () => {
    const own = await mkdtemp(join(place, "temporary "));
    const program = `
      import { preparedMachines } from ${JSON.stringify(join(root, "swtpm/index.ts"))};
      console.log(JSON.stringify(await preparedMachines()));
    `;
    const env = { ...process.env, TMPDIR: own };
    const prepare = async () => {
      const { stdout } = await run(process.execPath, ["--input-type=module", "-e", program], {
        env,
      });
      return JSON.parse(stdout);
    };
    const [one, two] = await Promise.all([prepare(), prepare()]);
    expect(one).toEqual(two);
    expect(await prepare()).toEqual(one);
    expect(await readdir(own)).toHaveLength(1);
    await rm(join(one.states[1], "tpm2-00.permall"));
    const again = await prepare();
    expect(again.states).toEqual(one.states);
    expect(again.root).not.toBe(one.root);
    const [kept = ""] = await readdir(own);
    await chmod(join(own, kept), 0o755);
    await expect(prepare()).rejects.toThrow(/is not a private directory of this user/);
  });

  test("machines are made there, with a CA of their own", async () => {
    const factory = await mkdtemp(join(place, "new factory "));
    const made = await manufacture(factory, 1);
    expect(made.root).toContain("BEGIN CERTIFICATE");
    expect(made.issuer).not.toBe((await preparedMachines()).issuer);
    const [state = ""] = made.states;
    await using machine = await SoftwareTpm.start({ template: state });
    expect((await clock(machine)).resetCount).toBeGreaterThan(0);
  });
});
