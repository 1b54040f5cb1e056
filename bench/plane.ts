/**
 * `npm run bench:plane`: what a decision costs a plane over HTTP, against a bare fastify route with
 * a schema-checked body of 2 KB; server and client in processes of their own, on the loopback
 * interface alone. `--soak SECONDS` repeats decisions and watches the memory.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: {
    decisions: { type: "string", default: "2000" },
    connections: { type: "string", default: "32" },
    soak: { type: "string", default: "0" },
    cases: { type: "string", default: "keep" },
  },
});
const decisions = Number(options.decisions);
const connections = Number(options.connections);
const folder = mkdtempSync(join(tmpdir(), "portcullis-bench-"));
const entry = fileURLToPath(new URL("./plane-server.ts", import.meta.url));
const TICKS_PER_SECOND = 100; // sysconf(_SC_CLK_TCK) on Linux
const BARE_BODY_BYTES = 2_048;

interface Side {
  readonly child: ChildProcess;
  readonly port: number;
  readonly path: string;
  readonly type: string;
  readonly bodies: readonly Buffer[];
}

async function start(kind: "bare" | "plane"): Promise<Side> {
  const file = join(folder, "evidence");
  const words = [entry, kind, file, String(decisions), options.cases];
  const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "pipe"] });
  let told = "";
  child.stderr.on("data", (chunk: Buffer) => {
    told += chunk.toString();
  });
  const [line] = await once(child.stdout, "data");
  const port = Number(line);
  if (kind === "bare") {
    const text = { id: 1, name: "bench", payload: "", tags: ["a", "b"] };
    const room = BARE_BODY_BYTES - JSON.stringify(text).length;
    const body = Buffer.from(JSON.stringify({ ...text, payload: "x".repeat(room) }));
    return { child, port, path: "/", type: "application/json", bodies: [body] };
  }
  const bytes = readFileSync(file);
  let at = 0;
  const bodies = (JSON.parse(told.split("\n")[0] ?? "[]") as number[]).map((size) => {
    at += size;
    return bytes.subarray(at - size, at);
  });
  return { child, port, path: "/v1/decisions", type: "application/cbor", bodies };
}

/** User and system time of a process in microseconds, in ticks of 10 ms (proc_pid_stat(5)). */
function cpuOf({ pid }: ChildProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]?.split(" ") ?? [];
  return ((Number(fields[11]) + Number(fields[12])) * 1e6) / TICKS_PER_SECOND;
}

function residentBytes({ pid }: ChildProcess): number {
  return Number(readFileSync(`/proc/${pid}/statm`, "latin1").split(" ")[1]) * 4_096;
}

const agent = new Agent({ keepAlive: true, maxSockets: connections });

function post({ port, path, type }: Side, body: Buffer): Promise<number> {
  const headers = { "content-type": type, "content-length": body.length };
  return new Promise((done, fail) => {
    const sent = request({ host: "127.0.0.1", port, path, method: "POST", agent, headers });
    sent.on("error", fail).on("response", (response) => {
      response.resume().on("end", () => done(response.statusCode ?? 0));
    });
    sent.end(body);
  });
}

/** As many at once as there are connections; gives CPU microseconds of the server and seconds. */
async function drive(side: Side, bodies: readonly Buffer[]) {
  const [cpu, began] = [cpuOf(side.child), performance.now()];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let body = bodies[next++]; body !== undefined; body = bodies[next++]) {
      const status = await post(side, body);
      if (status !== 200) throw new Error(`${side.path} answers ${status}`);
    }
  };
  await Promise.all(Array.from({ length: connections }, worker));
  const seconds = (performance.now() - began) / 1000;
  return { us: (cpuOf(side.child) - cpu) / bodies.length, perSecond: bodies.length / seconds };
}

/** Requests at fixed times, whether the server keeps up or not: latency in ms, from the time due. */
async function pace(side: Side, bodies: readonly Buffer[], perSecond: number): Promise<number[]> {
  const began = performance.now();
  const all = bodies.map(async (body, i) => {
    const due = (i * 1000) / perSecond;
    await sleep(Math.max(0, due - (performance.now() - began)));
    await post(side, body);
    return performance.now() - began - due;
  });
  return (await Promise.all(all)).sort((a, b) => a - b);
}

const at = (sorted: readonly number[], share: number): string =>
  (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1);

async function soak(side: Side, seconds: number): Promise<void> {
  const until = performance.now() + seconds * 1000;
  const samples: number[] = [];
  let sent = 0;
  // Once its nonces are spent, evidence is denied and logged: the same way, but for the core.
  while (performance.now() < until) {
    await drive(side, side.bodies);
    sent += side.bodies.length;
    samples.push(residentBytes(side.child) / 2 ** 20);
  }
  const third = Math.max(1, Math.floor(samples.length / 3));
  const mean = (part: readonly number[]): string =>
    (part.reduce((a, b) => a + b, 0) / part.length).toFixed(0);
  console.log(
    `soak of ${seconds} s, ${sent} decisions: ${mean(samples.slice(0, third))} MiB in its first ` +
      `third, ${mean(samples.slice(-third))} MiB in its last, ${Math.max(...samples).toFixed(0)} MiB at most`,
  );
}

const sides: Side[] = [];
try {
  const bare = await start("bare");
  sides.push(bare);
  const plane = await start("plane");
  sides.push(plane);
  const [body = Buffer.alloc(0)] = bare.bodies;
  await drive(bare, Array<Buffer>(3_000).fill(body));
  const part = Math.floor(decisions / 4);
  await drive(plane, plane.bodies.slice(0, part));
  const reference = await drive(bare, Array<Buffer>(10_000).fill(body));
  const measured = await drive(plane, plane.bodies.slice(part, 2 * part));
  const size = plane.bodies[0]?.length ?? 0;
  console.log(`bare fastify route, ${BARE_BODY_BYTES} bytes: ${reference.us.toFixed(0)} us CPU`);
  console.log(
    `plane, evidence of ${size} bytes, cases ${options.cases}: ${measured.us.toFixed(0)} us CPU a ` +
      `decision, ${measured.perSecond.toFixed(0)} a second at ${connections} connections`,
  );
  console.log(`ratio in CPU: ${(reference.us / measured.us).toFixed(3)}x`);
  for (const [share, from] of [
    [0.5, 2],
    [0.9, 3],
  ] as const) {
    const bodies = plane.bodies.slice(from * part, (from + 1) * part);
    const times = await pace(plane, bodies, measured.perSecond * share);
    console.log(
      `at ${share} of that: ${at(times, 0.5)} ms median, ${at(times, 0.99)} ms at 99 of 100, ` +
        `${at(times, 1)} ms the slowest`,
    );
  }
  if (Number(options.soak) > 0) await soak(plane, Number(options.soak));
} finally {
  for (const { child } of sides) child.kill("SIGTERM");
  agent.destroy();
  rmSync(folder, { recursive: true, force: true });
}
