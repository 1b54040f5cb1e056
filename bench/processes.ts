/**
 * Whole processes: what a gate costs, and the tools that people know beside ours. Their CPU time is
 * that of children that ended, and comes in ticks of 10 ms, so that slices are longer here.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Core } from "../src/core/index.ts";
import { preparedMachines, SoftwareTpm } from "../swtpm/index.ts";
import { bootOf } from "./logs.ts";
import type { Pace, Scale, Subject, Suite } from "./measure.ts";

const PORTCULLIS = fileURLToPath(new URL("../bin/portcullis", import.meta.url));
/** sysconf(_SC_CLK_TCK) on Linux is 100. */
const TICK_US = 10_000;
const PACES: Readonly<Record<Scale, Pace>> = {
  full: { slices: 9, sliceMs: 1500 },
  quick: { slices: 3, sliceMs: 400 },
  once: { slices: 1, sliceMs: 10 },
};
const NONCE = "0123456789abcdef0123456789abcdef";

/** cutime and cstime of proc_pid_stat(5), in microseconds. */
function childMicroseconds(): number {
  const fields = readFileSync("/proc/self/stat", "latin1").split(") ").at(-1)?.split(" ") ?? [];
  return (Number(fields[13]) + Number(fields[14])) * TICK_US;
}

/** A folder with what the commands work on, and the software TPM behind it. */
interface Place {
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
}

function command({ folder, env }: Place, program: string, ...words: string[]): Subject["run"] {
  return () => {
    const { status, stderr, error } = spawnSync(program, words, { cwd: folder, env });
    if (status === 0) return;
    throw new Error(`${program} ${words.join(" ")}: exit ${status}: ${error?.message ?? stderr}`);
  };
}

function isInstalled(program: string): boolean {
  return spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
}

/** A job that may run as often as it likes. */
function prepareJobs(place: Place): void {
  const jobs = `
    set -e
    "$P" init example.org --tpm "$TPM"
    "$P" enroll --root root.pem --intermediate issuer.pem --label bench
    "$P" policy capture base
    "$P" policy activate base
    "$P" authorize --exec /usr/bin/true --cwd / --uses 1000000 --out job.grant`;
  const env = { ...place.env, P: PORTCULLIS };
  execFileSync("sh", ["-c", jobs], { cwd: place.folder, env, stdio: ["ignore", "ignore", "pipe"] });
}

/** The agent of this home, once it listens. It is no child that ended: its time is not counted. */
async function startAgent({ folder, env }: Place): Promise<ChildProcess> {
  const agent = spawn(PORTCULLIS, ["agent"], { cwd: folder, env, stdio: ["ignore", "pipe", 2] });
  await once(agent.stdout ?? agent, "data");
  return agent;
}

/** A quote over 24 PCRs, as tpm2-tools write it. */
function prepareQuote(place: Place): void {
  const quote = `
    set -e
    tpm2_createek -c ek.ctx -G ecc
    tpm2_createak -C ek.ctx -c ak.ctx -G ecc -g sha256 -s ecdsa -u ak.pub -n ak.name
    tpm2_flushcontext -t
    tpm2_quote -c ak.ctx -l sha256:all -q ${NONCE} -g sha256 -m q.msg -s q.sig -o q.pcrs`;
  const options = { cwd: place.folder, env: place.env, stdio: "pipe" } as const;
  execFileSync("sh", ["-c", quote], options);
}

/** The tool of tpm2-tools, where it is installed, and ours with the same words. */
function beside(place: Place, tool: string, theirs: string[], ours: string[]): Subject[] {
  const own = {
    name: `portcullis ${ours[0]}`,
    operations: 1,
    run: command(place, PORTCULLIS, ...ours),
  };
  if (!isInstalled(tool)) return [own];
  return [{ name: tool, operations: 1, run: command(place, tool, ...theirs) }, own];
}

function suites(place: Place, scale: Scale): Suite[] {
  const how = { clock: childMicroseconds, pace: PACES[scale] };
  const words = ["-u", "ak.pub", "-m", "q.msg", "-s", "q.sig", "-f", "q.pcrs", "-q", NONCE];
  const node = {
    name: "node -e 0",
    operations: 1,
    run: command(place, process.execPath, "-e", "0"),
  };
  const job = ["--grant", "job.grant", "--", "/usr/bin/true"];
  const run = command(place, PORTCULLIS, "run", ...job);
  // Who names a TPM asks no agent.
  const alone = command(place, PORTCULLIS, "run", "--tpm", place.env.TPM ?? "", ...job);
  const found: Suite[] = [
    {
      ...how,
      name: "Whole process, a trivial job",
      subjects: [
        node,
        { name: "portcullis run, an agent runs", operations: 1, budget: 0.5, run },
        { name: "portcullis run, no agent", operations: 1, run: alone },
        { name: "portcullis --help", operations: 1, run: command(place, PORTCULLIS, "--help") },
      ],
    },
  ];
  if (isInstalled("tpm2_quote")) {
    prepareQuote(place);
    const subjects = beside(
      place,
      "tpm2_checkquote",
      [...words, "-g", "sha256"],
      ["checkquote", ...words],
    );
    found.push({ ...how, name: "Whole process, one quote", subjects: [...subjects, node] });
  }
  writeFileSync(join(place.folder, "boot.log"), bootOf("process").log);
  const subjects = beside(place, "tpm2_eventlog", ["boot.log"], ["eventlog", "boot.log"]);
  found.push({ ...how, name: "Whole process, one boot log", subjects: [...subjects, node] });
  return found;
}

/** `run` with and without an agent beside `node -e 0`, `checkquote` and `eventlog` beside those of tpm2-tools. */
export async function processSuites(_core: Core, scale: Scale): Promise<Suite[]> {
  const machines = await preparedMachines();
  const [template = ""] = machines.states;
  const tpm = await SoftwareTpm.start({ template });
  const folder = mkdtempSync(join(tmpdir(), "portcullis bench "));
  const { PATH } = process.env;
  const env = { PATH, HOME: folder, PORTCULLIS_HOME: join(folder, "home"), TPM: tpm.uri };
  const place = { folder, env: { ...env, TPM2TOOLS_TCTI: tpm.uri, TSS2_LOG: "all+none" } };
  writeFileSync(join(folder, "root.pem"), machines.root);
  writeFileSync(join(folder, "issuer.pem"), machines.issuer);
  prepareJobs(place);
  const agent = await startAgent(place);
  const [first, ...others] = suites(place, scale).reverse();
  const end = async (): Promise<void> => {
    agent.kill();
    await once(agent, "exit");
    await tpm.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  return first === undefined ? [] : [...others.reverse(), { ...first, end }];
}
