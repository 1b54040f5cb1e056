/**
 * Whatever earlier calls left in the core's memory has no say: all that is not a constant is
 * overwritten with noise.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { CODE_LIST } from "../../src/core/index.ts";
import type { Exports } from "../../src/core/instance.ts";
import { readVerdict } from "../../src/core/verdict.ts";
import { denialCase } from "../support/denials.ts";
import { seededRandom } from "../support/random.ts";
import { makeWorld } from "../support/world.ts";

const SEED = 7;
const MARGIN = 64;
const wasm = readFileSync("src/core/wasm/core.simd.wasm");

/**
 * Where the module's constants lie: the active segments of its data section (WebAssembly core
 * §5.5.14).
 */
function constants(): { readonly start: number; readonly end: number }[] {
  let at = 8;
  const leb = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = wasm[at++] ?? 0;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (wasm[at] !== 11) {
    at++;
    const length = leb();
    at += length;
  }
  at++;
  leb();
  return Array.from({ length: leb() }, () => {
    expect([wasm[at], wasm[at + 1]]).toEqual([0, 0x41]); // active, i32.const
    at += 2;
    const start = leb();
    expect(wasm[at++]).toBe(0x0b);
    const length = leb();
    at += length;
    return { start, end: start + length };
  });
}

/** Runs of what is not zero, with a margin, that are at least so long. */
function runsOf(memory: Uint8Array, atLeast: number): { start: number; end: number }[] {
  const runs: { start: number; end: number }[] = [];
  for (const [at, byte] of memory.entries()) {
    if (byte === 0) continue;
    const last = runs.at(-1);
    if (last !== undefined && at < last.end + MARGIN) last.end = at + MARGIN;
    else runs.push({ start: at - MARGIN, end: at + MARGIN });
  }
  return runs.filter(({ start, end }) => end - start >= atLeast);
}

/** Multiples of a base point are a table of some 2 MB; no scratch that a case fills is so long. */
const BASE_TABLE_BYTES = 500_000;

type Ranges = readonly { readonly start: number; readonly end: number }[];

function poison(memory: Uint8Array, kept: Ranges, random: () => number): void {
  const noise = new Uint32Array(1 << 14);
  let at = 0;
  for (const { start, end } of [...kept, { start: memory.length, end: memory.length }]) {
    for (; at < start; ) {
      for (let i = 0; i < noise.length; i++) noise[i] = random() * 2 ** 32;
      const bytes = new Uint8Array(noise.buffer, 0, Math.min(noise.byteLength, start - at));
      memory.set(bytes, at);
      at += bytes.length;
    }
    at = Math.max(at, end);
  }
}

test(`noise in all scratch changes no verdict (seed ${SEED})`, async () => {
  const module = await WebAssembly.compile(wasm);
  const start = () => {
    const core = new WebAssembly.Instance(module).exports as unknown as Exports;
    // Tables of keys are no scratch, and would grow the memory: the core makes none without room.
    core.limitKeyBytes(0);
    return core;
  };
  const decide = (core: Exports, bytes: Uint8Array) => {
    new Uint8Array(core.memory.buffer).set(bytes, core.input());
    core.decide(bytes.length, 1);
    return readVerdict(core, bytes);
  };
  const world = makeWorld();
  const cases = [await world.caseBytes()];
  for (const code of CODE_LIST) {
    const bytes = await denialCase(world, code);
    if (bytes !== null) cases.push(bytes);
  }
  const clean = cases.map((bytes) => decide(start(), bytes));
  expect(clean[0]?.allow).toBe(true);

  // Computed once, when the module starts, and after a few signatures that need multiples of a base point.
  const tables = [...runsOf(new Uint8Array(start().memory.buffer), 0)];
  const served = start();
  for (const bytes of cases.slice(0, 32)) decide(served, bytes);
  new Uint8Array(served.memory.buffer).fill(0, served.input(), served.input() + 2 ** 24);
  tables.push(...runsOf(new Uint8Array(served.memory.buffer), BASE_TABLE_BYTES));

  const used = start();
  const memory = new Uint8Array(used.memory.buffer);
  const random = seededRandom(SEED);
  const kept = [...constants(), ...tables].sort((one, other) => one.start - other.start);
  const order = cases.map((_, i) => i).sort(() => random() - 0.5);
  for (const [place, i] of order.entries()) {
    if (place % 8 === 0) poison(memory, kept, random);
    expect(decide(used, cases[i] ?? new Uint8Array(0))).toEqual(clean[i]);
    expect(memory.length, "the memory at hand is still the core's").toBeGreaterThan(0);
  }
});
