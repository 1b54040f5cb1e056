/** The module itself: its size, how long it takes to start, memory for each key. */
import { readFileSync } from "node:fs";
import type { Exports } from "../src/core/instance.ts";
import { signEcdsa, signEd25519 } from "./fixtures.ts";
import { quantile } from "./measure.ts";

export interface Fact {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The most that it may be. */
  readonly budget: number | null;
}

const WASM = new URL("../src/core/wasm/core.simd.wasm", import.meta.url);
const STARTS = 20;
const KEYS = 8;

function milliseconds(work: () => void): number {
  const times = Array.from({ length: STARTS }, () => {
    const start = performance.now();
    work();
    return performance.now() - start;
  });
  return quantile(times, 0.5);
}

export function moduleFacts(): Fact[] {
  const wasm = readFileSync(WASM);
  const module = new WebAssembly.Module(wasm);
  const start = (): Exports => new WebAssembly.Instance(module).exports as unknown as Exports;
  const started = milliseconds(() => void start());
  const keys: [string, number, Uint8Array[]][] = [
    ["P-256", 1, signEcdsa("P-256", KEYS).map(({ key }) => bytesOf(key))],
    ["Ed25519", 2, signEd25519(KEYS).map(({ key }) => bytesOf(key))],
    ["P-384", 3, signEcdsa("P-384", KEYS).map(({ key }) => bytesOf(key))],
  ];
  const tables = keys.flatMap(([name, kind, all]) =>
    (["warm", "hot"] as const).map((tier, i) => {
      const core = start();
      for (const key of all) {
        new Uint8Array(core.memory.buffer).set(key, core.input());
        core.enrollKey(kind, core.input(), i + 1);
      }
      const value = core.keyBytes() / KEYS;
      return { name: `memory for a ${tier} ${name} key`, value, unit: "bytes", budget: null };
    }),
  );
  return [
    { name: "core.simd.wasm", value: wasm.length, unit: "bytes", budget: 160 * 1024 },
    { name: "instantiating it, compiled", value: started, unit: "ms", budget: 15 },
    ...tables,
  ];
}

const bytesOf = (key: object): Uint8Array => {
  const { x, y } = key as { x: Uint8Array; y?: Uint8Array };
  return y === undefined ? x : new Uint8Array(Buffer.concat([x, y]));
};
