/** Which file may import which: the table of the design, and a judge of one import. */
import { posix } from "node:path";
import { importsOf } from "./source.ts";

/** assembly/: a layer may import every layer of a higher number, and itself. */
const LAYERS: Readonly<Record<string, number>> = {
  index: 0,
  verdict: 1,
  // The hosts' way to hashing and single signatures, beside the decision.
  crypto: 1,
  // What many decisions share, before them.
  plan: 1,
  // The hosts' way to one quote, likewise.
  appraise: 1,
  // The hosts' way to logs, likewise.
  replay: 1,
  family: 2,
  case: 3,
  policy: 3,
  context: 4,
  evidence: 4,
  measure: 4,
  tpm: 5,
  grant: 5,
  cose: 6,
  sig: 7,
  codec: 7,
  curve: 8,
  hash: 8,
  field: 9,
  // Leaves, for everyone.
  findings: 10,
  generated: 11,
  abi: 11,
};
/** codec imports nothing but abi: bytes are read without knowing what they are for. */
const CODEC_MAY_IMPORT = ["codec", "abi", "generated"];

/** src/: files that everything may import and that import nothing but each other. */
const LEAVES = ["bytes", "errors", "limits", "clock", "random", "private"];

/** src/: what a program that embeds Portcullis may use; cli composes it. */
const LIBRARY = "agent client core domain enroll gate log plane store tpm wire".split(" ");

/** src/: what an area may import beside itself and the leaves: areas, folders or files of areas. */
const AREAS: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(LEAVES.map((leaf) => [leaf, []])),
  wire: [],
  core: [],
  tpm: [],
  store: [],
  log: ["store/contract", "wire"],
  enroll: ["core", "wire", "tpm/structures"],
  // What the holders of the domain's keys do: make, sign and publish its objects.
  domain: ["wire"],
  client: ["wire"],
  agent: ["tpm", "wire"],
  gate: ["core", "wire", "log", "store/contract"],
  plane: ["core", "enroll", "log", "store/contract", "wire"],
  server: ["plane"],
  index: LIBRARY,
  cli: [...LIBRARY, "server", "../swtpm"],
};

/** Packages, and Node's modules that reach beyond memory and files: each with its only homes. */
const HOMES: Readonly<Record<string, readonly string[]>> = {
  fastify: ["server"],
  "@fastify/swagger": ["server"],
  "prom-client": ["server"],
  "@peculiar/x509": ["enroll"],
  koffi: ["tpm"],
  pg: ["store"],
  commander: ["cli"],
  yaml: ["cli"],
  "node:child_process": ["gate"],
  "node:sqlite": ["store"],
  "node:net": ["tpm", "agent", "client", "server"],
  "node:http": ["client", "server"],
  "node:https": ["client", "server"],
};

/** Node's modules for every area but the core. A module in no list is refused. */
const BUILTINS = [
  ...["assert", "async_hooks", "buffer", "console", "constants", "crypto", "events", "fs"],
  ...["fs/promises", "os", "path", "perf_hooks", "process", "readline", "readline/promises"],
  ...["stream", "stream/promises", "timers", "timers/promises", "tty", "url", "util"],
].map((name) => `node:${name}`);

/**
 * The core runs in browsers: what it needs of Node it asks for at run time, where there is Node.
 */
const CORE_MAY_ASK = ["node:fs/promises"];

/**
 * Threads around the core, for planes: no part of `portcullis/core`, and nobody else's to import.
 */
const POOL = ["src/core/pool.ts", "src/core/pool-worker.ts"];
const POOL_USERS = ["plane", "server", "cli"];

const areaOf = (path: string): string => (path.split("/")[1] ?? "").replace(/\.ts$/, "");
const packageOf = (module: string): string =>
  module
    .split("/")
    .slice(0, module.startsWith("@") ? 2 : 1)
    .join("/");

function refusesAssembly(path: string, target: string | null): string | null {
  if (target === null) return "the core has no packages";
  if (!target.startsWith("assembly/")) return "outside of assembly/";
  const [from, to] = [areaOf(path), areaOf(target)];
  const [own, other] = [LAYERS[from], LAYERS[to]];
  if (own === undefined || other === undefined) {
    return `${own === undefined ? from : to} has no place in the table of layers`;
  }
  if (from === to) return null;
  if (from === "codec" && !CODEC_MAY_IMPORT.includes(to)) return "codec imports nothing but abi";
  return other > own ? null : `${from} may not import ${to}`;
}

function refusesSource(path: string, target: string): string | null {
  const [from, to] = [areaOf(path), areaOf(target)];
  const allowed = AREAS[from];
  if (allowed === undefined) return `${from} has no row in the table of areas`;
  const inside = target.startsWith("src/");
  if (POOL.includes(target) && !POOL.includes(path) && !POOL_USERS.includes(from)) {
    return "the pool is for planes";
  }
  if (inside && (from === to || LEAVES.includes(to))) return null;
  const name = posix.relative("src", target).replace(/\.ts$/, "");
  if (allowed.some((entry) => name === entry || name.startsWith(`${entry}/`))) return null;
  return `${from} may not import ${name}`;
}

function refusesPackage(path: string, module: string, dynamic: boolean): string | null {
  const from = areaOf(path);
  if (from === "core") {
    if (dynamic && CORE_MAY_ASK.includes(module)) return null;
    if (POOL.includes(path) && module === "node:worker_threads") return null;
    return "the core imports no package and nothing of Node";
  }
  const homes = HOMES[module.startsWith("node:") ? module : packageOf(module)];
  if (homes !== undefined) {
    return homes.includes(from) ? null : `only ${homes.join(", ")} may import ${module}`;
  }
  return BUILTINS.includes(module) ? null : `${module} has no home in the table`;
}

/** What is wrong with the imports of a file of assembly/ or src/: one line each. */
export function misdirected(path: string, text: string): string[] {
  const problems: string[] = [];
  for (const { module, line, dynamic } of importsOf(text)) {
    const relative = module?.startsWith(".") === true;
    const target = relative ? posix.join(posix.dirname(path), module) : null;
    let problem: string | null;
    if (module === null) problem = "the module cannot be read from the source";
    else if (path.startsWith("assembly/")) problem = refusesAssembly(path, target);
    else if (target !== null) problem = refusesSource(path, target);
    else problem = refusesPackage(path, module, dynamic);
    if (problem !== null) problems.push(`${path}:${line}: ${problem}`);
  }
  return problems;
}
