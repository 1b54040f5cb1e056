/**
 * `npm run bench:plane`: what a decision costs a plane over HTTP, against a bare fastify route with
 * a schema-checked body of 2 KB; server and client in processes of their own, on the loopback
 * interface alone. BENCH_NODE_ARGUMENTS go to both servers: `--cpu-prof --cpu-prof-dir=FOLDER` profiles them.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Option } from "commander";
import { decode } from "../src/wire/cbor.ts";
import { parseRemote } from "../src/wire/remote.ts";
import { benchCommand, wholeNumber } from "./options.ts";
import { EvidenceMaker } from "./plane-evidence.ts";

interface Options {
  readonly decisions: number;
  readonly connections: number;
  readonly nodes: number;
  readonly grants: "one" | "own";
  readonly cases: "keep" | "none";
  readonly soak: number;
}

const options = benchCommand(
  "bench:plane",
  "Measures what a decision costs a plane over HTTP, in CPU time, against a bare fastify route.",
  ["", "--decisions 2000 --grants own", "--decisions 0 --soak 300"],
)
  .option("--decisions <n>", "decisions in a round; 0: none is measured", wholeNumber(0), 3_000)
  .option("--connections <n>", "connections at once", wholeNumber(1), 64)
  .option("--nodes <n>", "nodes that have evidence judged", wholeNumber(1), 4)
  .addOption(
    new Option("--grants <kind>", "one for all, or for each decision one that was never seen")
      .choices(["one", "own"])
      .default("one"),
  )
  .addOption(
    new Option("--cases <kind>", "what becomes of cases").choices(["keep", "none"]).default("keep"),
  )
  .option("--soak <seconds>", "go on deciding, and watch the memory", wholeNumber(0), 0)
  .parse()
  .opts<Options>();
const { decisions, connections } = options;
const entry = fileURLToPath(new URL("./plane-server.ts", import.meta.url));
const TICKS_PER_SECOND = 100; // sysconf(_SC_CLK_TCK) on Linux
const BARE_BODY_BYTES = 2_048;
/** Compilation ends only after some thousand decisions; a plane makes millions. */
const WARM_ROUNDS = 2;
const ROUNDS = 5;

interface Side {
  readonly child: ChildProcess;
  readonly port: number;
  readonly path: string;
  readonly type: string;
}

async function start(kind: "bare" | "plane"): Promise<Side> {
  const more = process.env.BENCH_NODE_ARGUMENTS?.split(" ") ?? [];
  const words = [...more, entry, kind, options.cases];
  const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(child.stdout, "data");
  const port = Number(line);
  return kind === "bare"
    ? { child, port, path: "/", type: "application/json" }
    : { child, port, path: "/v1/decisions", type: "application/cbor" };
}

/** User and system time in microseconds, in ticks of 10 ms (proc_pid_stat(5)). */
function cpuIn(folder: string): number {
  const fields = readFileSync(`${folder}/stat`, "latin1").split(") ")[1]?.split(" ") ?? [];
  return ((Number(fields[11]) + Number(fields[12])) * 1e6) / TICKS_PER_SECOND;
}

/** Of all threads of a process, and by itself of each kind: the main one, else by Node's names. */
function cpuOf({ pid }: ChildProcess): { whole: number; parts: ReadonlyMap<string, number> } {
  const parts = new Map<string, number>();
  for (const id of readdirSync(`/proc/${pid}/task`)) {
    const folder = `/proc/${pid}/task/${id}`;
    const name = Number(id) === pid ? "main" : readFileSync(`${folder}/comm`, "latin1").trim();
    parts.set(name, (parts.get(name) ?? 0) + cpuIn(folder));
  }
  return { whole: cpuIn(`/proc/${pid}`), parts };
}

function residentBytes({ pid }: ChildProcess): number {
  return Number(readFileSync(`/proc/${pid}/statm`, "latin1").split(" ")[1]) * 4_096;
}

const agent = new Agent({ keepAlive: true, maxSockets: connections });

/** The answer's bytes; anything but a 200 throws. */
function post({ port, type }: Side, path: string, body: Uint8Array): Promise<Buffer> {
  const headers = body.length > 0 ? { "content-type": type, "content-length": body.length } : {};
  return new Promise((done, fail) => {
    const sent = request({ host: "127.0.0.1", port, path, method: "POST", agent, headers });
    sent.on("error", fail).on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        if (response.statusCode === 200) done(Buffer.concat(chunks));
        else fail(new Error(`${path} answers ${response.statusCode}: ${Buffer.concat(chunks)}`));
      });
    });
    sent.end(body);
  });
}

/** Does it for all of them, as many at once as there are connections. */
async function all<T, U>(items: readonly T[], work: (item: T) => Promise<U>): Promise<U[]> {
  const outs: U[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let i = next++; i < items.length; i = next++) outs[i] = await work(items[i] as T);
  };
  await Promise.all(Array.from({ length: connections }, worker));
  return outs;
}

const EMPTY = Buffer.alloc(0);
const nodeCount = options.nodes;
const makers = await Promise.all(
  Array.from({ length: nodeCount }, (_, place) => EvidenceMaker.make(place)),
);

/** Evidence that nobody has seen, by each node in turn. */
function evidence(plane: Side, count: number): Promise<Uint8Array[]> {
  return all(Array.from({ length: count }).fill(0), async () => {
    const nonce = decode(await post(plane, "/v1/nonces", EMPTY)) as Uint8Array;
    const maker = makers[Math.floor(Math.random() * nodeCount)];
    if (maker === undefined) throw new Error("no node");
    return maker.over(nonce, options.grants === "own");
  });
}

/** One decision, which must be an agreement. */
async function decide(plane: Side, body: Uint8Array): Promise<void> {
  const { code } = parseRemote("opinion", await post(plane, plane.path, body));
  if (code !== null) throw new Error(`the plane denies: ${code}`);
}

/** CPU microseconds of the server for each item, and items a second. */
async function timed<T>(side: Side, items: readonly T[], work: (item: T) => Promise<unknown>) {
  const [before, began] = [cpuOf(side.child), performance.now()];
  await all(items, work);
  const seconds = (performance.now() - began) / 1000;
  const after = cpuOf(side.child);
  const each = (spent: number): number => spent / items.length;
  const parts = [...after.parts].map(
    ([name, spent]) => [name, each(spent - (before.parts.get(name) ?? 0))] as const,
  );
  return {
    us: each(after.whole - before.whole),
    parts: new Map(parts),
    perSecond: items.length / seconds,
  };
}

interface Timed {
  readonly us: number;
  /** The same by kind of thread. */
  readonly parts: ReadonlyMap<string, number>;
  readonly perSecond: number;
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

/** Rounds in turn, so that whatever else the machine does disturbs both sides alike. */
async function compare(bare: Side, plane: Side): Promise<number> {
  const text = { id: 1, name: "bench", payload: "", tags: ["a", "b"] };
  const room = BARE_BODY_BYTES - JSON.stringify(text).length;
  const body = Buffer.from(JSON.stringify({ ...text, payload: "x".repeat(room) }));
  const bodies = Array<Buffer>(2 * decisions).fill(body);
  const ask = (one: Buffer) => post(bare, bare.path, one);
  const rounds: { reference: Timed; measured: Timed; bytes: number }[] = [];
  for (let round = 0; round < WARM_ROUNDS + ROUNDS; round++) {
    const fresh = await evidence(plane, decisions);
    const reference = await timed(bare, bodies, ask);
    const measured = await timed(plane, fresh, (one) => decide(plane, one));
    if (round >= WARM_ROUNDS) rounds.push({ reference, measured, bytes: fresh[0]?.length ?? 0 });
  }
  const us = (side: "reference" | "measured") => median(rounds.map((round) => round[side].us));
  const perSecond = median(rounds.map(({ measured }) => measured.perSecond));
  const ratios = rounds.map(({ reference, measured }) => reference.us / measured.us);
  const told = `${rounds[0]?.bytes} bytes, cases ${options.cases}, grants ${options.grants}`;
  console.log(`bare fastify route, ${BARE_BODY_BYTES} bytes: ${us("reference").toFixed(0)} us CPU`);
  console.log(
    `plane, evidence of ${told}: ${us("measured").toFixed(0)} us CPU a decision, ` +
      `${perSecond.toFixed(0)} a second at ${connections} connections`,
  );
  const parts = [...(rounds[0]?.measured.parts.keys() ?? [])].map((name) => {
    const spent = median(rounds.map(({ measured }) => measured.parts.get(name) ?? 0));
    return `${name} ${spent.toFixed(0)}`;
  });
  console.log(`  by thread: ${parts.join(", ")}`);
  const range = `${Math.min(...ratios).toFixed(3)} to ${Math.max(...ratios).toFixed(3)}`;
  console.log(`ratio in CPU: ${median(ratios).toFixed(3)}x (${range})`);
  return perSecond;
}

/** Requests at fixed times, whether the server keeps up or not: latency in ms, from the time due. */
async function pace(plane: Side, perSecond: number): Promise<void> {
  const bodies = await evidence(plane, decisions);
  const began = performance.now();
  const times = await Promise.all(
    bodies.map(async (body, i) => {
      const due = (i * 1000) / perSecond;
      await sleep(Math.max(0, due - (performance.now() - began)));
      await decide(plane, body);
      return performance.now() - began - due;
    }),
  );
  const sorted = times.sort((a, b) => a - b);
  const at = (share: number): string =>
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1);
  console.log(
    `at ${perSecond.toFixed(0)} a second: ${at(0.5)} ms median, ${at(0.9)} ms at 90 of 100, ` +
      `${at(0.99)} ms at 99 of 100, ${at(1)} ms the slowest`,
  );
}

/** Decides all the while; tells the memory from time to time. */
async function soak(plane: Side, seconds: number): Promise<void> {
  const began = performance.now();
  const gone = (): number => (performance.now() - began) / 1000;
  let sent = 0;
  let told = -Infinity;
  const tell = (): void => {
    const mib = (residentBytes(plane.child) / 2 ** 20).toFixed(0);
    console.log(`soak: ${gone().toFixed(0)} s, ${sent} decisions, ${mib} MiB`);
    told = gone();
  };
  while (gone() < seconds) {
    if (gone() - told >= Math.max(5, seconds / 20)) tell();
    const bodies = await evidence(plane, 500);
    await all(bodies, (body) => decide(plane, body));
    sent += bodies.length;
  }
  tell();
}

const sides: Side[] = [];
try {
  const bare = await start("bare");
  sides.push(bare);
  const plane = await start("plane");
  sides.push(plane);
  if (decisions > 0) {
    const perSecond = await compare(bare, plane);
    for (const share of [0.5, 0.9]) await pace(plane, perSecond * share);
  }
  if (options.soak > 0) await soak(plane, options.soak);
} finally {
  for (const { child } of sides) child.kill("SIGTERM");
  agent.destroy();
}
