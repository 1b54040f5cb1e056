/**
 * DESIGN "One pure function": the same case bytes give the same verdict in any WebAssembly engine
 * and in every build of the core. Each engine loads dist/ as a user of the package would.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openBrowser } from "../support/browser.ts";
import { NOW } from "../support/domain.ts";
import { type Engine, nodeEngine } from "../support/engine.ts";
import { seeded } from "../support/keys.ts";
import { openNode26 } from "../support/node26.ts";
import { type CaseOverrides, makeWorld } from "../support/world.ts";

const BUILDS = ["simd", "scalar", "checked"] as const;

/** Cases that are allowed, and one change for each family; the name begins with what is decided. */
const OVERRIDES: Readonly<Record<string, CaseOverrides>> = {
  "allowed, holder is a key": {},
  "allowed, holder is the node": { holder: "node" },
  "allowed, by the plane": { role: "plane", plane: true },
  "allowed, a lease": { purpose: "lease", run: seeded("run") },
  "governance: expired": { snapshot: { exp: NOW } },
  "governance: frozen": { snapshot: { freeze: "all" } },
  "artifact: unknown claim": { edit: { claims: { grant: (map) => map.set(99, 1) } } },
  "signature: altered": { edit: { object: { grant: flipLast } } },
  "window: expired": { grant: { exp: NOW } },
  "policy: another job": { job: { uid: 0 } },
  "identity: altered credential": { edit: { object: { node: flipLast } } },
  "environment: other PCRs": { pcrs: { sha256: new Map([[0, seeded("other")]]) } },
  "environment: altered quote": { edit: { signature: flipLast } },
  "replay: no use left": { uses: 1_000 },
  "plane: altered result": { plane: true, edit: { object: { result: flipLast } } },
};

function flipLast(bytes: Uint8Array): Uint8Array {
  const flipped = bytes.slice();
  flipped[flipped.length - 1] = (flipped.at(-1) ?? 0) ^ 1;
  return flipped;
}

/** Cuts and flipped bits, spread over the whole case by a seed. */
function damaged(bytes: Uint8Array): [string, Uint8Array][] {
  const found: [string, Uint8Array][] = [["empty", new Uint8Array()]];
  const random = new DataView(seeded("engines", 64).buffer);
  for (let i = 0; i < 6; i += 1) {
    const cut = random.getUint32(8 * i) % bytes.length;
    found.push([`cut at ${cut}`, bytes.slice(0, cut)]);
    const bit = random.getUint32(8 * i + 4) % (8 * bytes.length);
    const flipped = bytes.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    found.push([`bit ${bit}`, flipped]);
  }
  return found;
}

async function corpus(): Promise<[name: string, bytes: Uint8Array][]> {
  const cases: [string, Uint8Array][] = [];
  const world = makeWorld();
  for (const [name, overrides] of Object.entries(OVERRIDES)) {
    cases.push([name, await world.caseBytes(overrides)]);
  }
  for (const ak of ["ecdsa-p384", "rsassa-2048", "rsapss-2048"] as const) {
    cases.push([`allowed, ${ak}`, await makeWorld(ak).caseBytes()]);
  }
  return [...cases, ...damaged(await world.caseBytes())];
}

/** Decides every case twice, short and explained; bytes and big integers as text. */
const JUDGE = `
const plain = (key, value) =>
  typeof value === "bigint" ? String(value)
  : value instanceof Uint8Array ? Array.from(value, (b) => b.toString(16).padStart(2, "0")).join("")
  : value;
const bytes = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
export default async ({ build, cases }, base) => {
  const { loadCore } = await import(new URL("src/core/index.js", base).href);
  const core = await loadCore({ build });
  return cases.map((text) =>
    [false, true].map((explain) => JSON.stringify(core.decide(bytes(text), { explain }), plain)),
  );
};
`;

type Verdicts = [short: string, explained: string][];

describe("the same cases give the same verdicts", () => {
  let names: string[];
  let cases: string[];
  let expected: Verdicts;
  let node: Engine;
  const engines: Engine[] = [];

  async function judge(engine: Engine, build: (typeof BUILDS)[number]): Promise<Verdicts> {
    return (await engine.run(JUDGE, { build, cases })) as Verdicts;
  }

  beforeAll(async () => {
    const made = await corpus();
    names = made.map(([name]) => name);
    cases = made.map(([, bytes]) => Buffer.from(bytes).toString("base64"));
    node = await nodeEngine(process.execPath);
    engines.push(node, await openNode26(), await openBrowser());
    expected = await judge(node, "simd");
  });
  afterAll(async () => {
    for (const engine of engines) await engine.close();
  });

  test("which are what their names say, also explained", () => {
    for (const [index, name] of names.entries()) {
      const [short, explained] = (expected[index] ?? []).map((text) => JSON.parse(text));
      const family = short.allow ? "allowed" : short.code.split(".")[0];
      if (name in OVERRIDES || name.startsWith("allowed")) {
        expect(`${name} is ${family}`).toBe(`${name} is ${name.split(/[:,]/)[0]}`);
      } else {
        expect(short.allow, name).toBe(false);
      }
      expect([explained.allow, explained.code], name).toEqual([short.allow, short.code]);
    }
  });

  test.each([
    ["this Node", 0, /^Node v2[4-9]/],
    ["Node 26", 1, /^Node v26/],
    ["Chromium", 2, /^Chromium/],
  ] as const)("in %s, in every build", async (_name, index, version) => {
    const engine = engines[index] ?? node;
    expect(engine.name).toMatch(version);
    for (const build of BUILDS) {
      expect(await judge(engine, build), `${engine.name}, ${build}`).toEqual(expected);
    }
  });
});
