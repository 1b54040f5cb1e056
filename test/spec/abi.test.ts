/**
 * docs/abi.md against the module: its exports, the layout of the result, and the host that it
 * shows.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CODE_LIST, FAMILIES, loadCore, type Verdict } from "../../src/core/index.ts";
import { denialCase } from "../support/denials.ts";
import { imaCase, pcr10 } from "../support/ima-cases.ts";
import { ngEntry } from "../support/ima-lists.ts";
import { root, snippetOf, tableOf } from "../support/snippets.ts";
import { makeWorld } from "../support/world.ts";

interface Answer {
  readonly allow: boolean;
  readonly code: string | null;
  readonly expires: bigint;
  readonly result: ArrayBuffer;
}
interface Example {
  makeHost(wasm: Uint8Array, codes: readonly string[]): (bytes: Uint8Array) => Answer;
}

const ABI = "docs/abi.md";
const BUILDS = ["simd", "scalar", "checked"] as const;
const wasmOf = (build: string) =>
  new Uint8Array(readFileSync(join(root, `src/core/wasm/core.${build}.wasm`)));
const world = makeWorld();
const core = await loadCore();
const snippet = snippetOf(ABI, "js");
const url = `data:text/javascript;base64,${Buffer.from(snippet).toString("base64")}`;
const { makeHost }: Example = await import(/* @vite-ignore */ url);

describe.each(BUILDS)("the exports of %s", (build) => {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(wasmOf(build)), {});

  test("are those of the table, with as many parameters", () => {
    const documented = tableOf(ABI, "| export | signature | |").map(
      ([name = "", signature = ""]) => {
        const inner = /\(([^)]*)\)/.exec(signature)?.[1];
        const count =
          inner === undefined ? null : inner.split(",").filter((one) => one.trim()).length;
        return [name.replaceAll("`", ""), count];
      },
    );
    const actual = Object.entries(instance.exports).map(([name, value]) => [
      name,
      typeof value === "function" ? value.length : null,
    ]);
    expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(actual));
    expect(documented).toHaveLength(actual.length);
  });
});

describe("the host of the page", () => {
  const source = snippet.trim().split("\n");

  test("is short", () => {
    expect(source.length).toBeLessThanOrEqual(40);
  });

  test.each(BUILDS)("agrees with the package (%s)", async (build) => {
    const decide = makeHost(wasmOf(build), CODE_LIST);
    const accepted = await world.caseBytes();
    expect(decide(accepted)).toMatchObject({ allow: true, code: null });
    for (const code of ["window.expired", "replay.use", "environment.pcr-mismatch"] as const) {
      const bytes = await denialCase(world, code);
      if (bytes === null) throw new Error(`no case reaches ${code}`);
      expect(decide(bytes)).toMatchObject({ allow: false, code });
    }
    for (let cut = 0; cut < 64; cut++) {
      expect(decide(accepted.subarray(0, cut * 8)).allow).toBe(false);
    }
    expect(decide(new Uint8Array(16_777_217))).toMatchObject({ code: "internal.case" });
    expect(decide(accepted).allow).toBe(true);
  });

  test("refuses a core with another table", () => {
    const decide = makeHost(wasmOf("simd"), CODE_LIST.slice(1));
    expect(decide(new Uint8Array(0))).toMatchObject({ allow: false });
  });
});

describe("the layout of the result", () => {
  const rows = tableOf(ABI, "| offset | bytes | field | |").map(([at, bytes, field = ""]) => ({
    at: Number(at),
    bytes: Number(bytes),
    field,
  }));

  test("has no gap", () => {
    let end = 0;
    for (const { at, bytes, field } of rows) {
      expect(at, field).toBe(end);
      end = at + bytes;
    }
    expect(end).toBe(1440);
  });

  /** The documented fields of a result, as numbers or bytes. */
  function read(result: ArrayBuffer): Record<string, number | bigint | Uint8Array> {
    const view = new DataView(result);
    return Object.fromEntries(
      rows.map(({ at, bytes, field }) => {
        if (bytes === 4) return [field, view.getUint32(at, true)];
        if (bytes === 8) return [field, view.getBigUint64(at, true)];
        return [field, new Uint8Array(result.slice(at, at + bytes))];
      }),
    );
  }

  /** What the package made of the same result, under the names of the page. */
  function expected({ request, floors, counters, evidenceDigest }: Verdict) {
    if (!request || !floors || !counters) throw new Error("an allowed case vouches for everything");
    return {
      verdict: 0x86919a9b,
      code: 0,
      proven: 0x7ff,
      required: 0x7ff,
      evaluated: 0x7ff,
      facts: 7,
      role: 0,
      purpose: 0,
      expires: BigInt(request.expires),
      charterNumber: BigInt(floors.charterNumber),
      snapshotVersion: BigInt(floors.snapshotVersion),
      signedTime: BigInt(floors.signedTime),
      resetCount: BigInt(counters.resetCount),
      restartCount: BigInt(counters.restartCount),
      clock: counters.clock,
      firmwareVersion: counters.firmwareVersion,
      runtimeSeconds: BigInt(request.runtimeSeconds),
      epoch: BigInt(floors.epoch),
      jobLength: request.job.length,
      elements: request.elements.length,
      policies: request.policies.length,
      akNameLength: counters.akName.length,
      mark: 0,
      freeze: 0,
      planeRequired: 0,
      requestDigest: request.requestDigest,
      jobDigest: request.jobDigest,
      chainDigest: request.chainDigest,
      charterDigest: floors.charterDigest,
      snapshotDigest: floors.snapshotDigest,
      evidenceDigest,
      found: new Uint8Array(256),
      imaEntries: 0n,
      imaBanks: 0n,
      imaDenied: 0n,
      imaValue: new Uint8Array(256),
    };
  }

  test("is what an accepted case gives, field by field", async () => {
    const bytes = await world.caseBytes();
    const verdict = core.decide(bytes);
    const { jobOffset, akName, element, policy, ...fields } = read(
      makeHost(wasmOf("simd"), CODE_LIST)(bytes).result,
    );
    expect(fields).toEqual(expected(verdict));
    const { request, counters } = verdict;
    if (!request || !counters) throw new Error("the accepted case is allowed");
    const job = bytes.subarray(Number(jobOffset), Number(jobOffset) + request.job.length);
    expect(job).toEqual(request.job);
    const start = (value: unknown, length: number) => (value as Uint8Array).subarray(0, length);
    expect(start(akName, counters.akName.length)).toEqual(counters.akName);
    expect(start(element, 32)).toEqual(request.elements[0]?.digest);
    expect(start(policy, 32)).toEqual(request.policies[0]);
  });

  test("tells what the quote proved of an IMA list, and which entry a policy denies", async () => {
    const host = makeHost(wasmOf("simd"), CODE_LIST);
    const listed = [ngEntry("/bin/a"), ngEntry("/bin/b")];
    const { facts, imaEntries, imaBanks, imaDenied, imaValue } = read(
      host(await world.caseBytes(imaCase(listed))).result,
    );
    expect([facts, imaEntries, imaBanks, imaDenied]).toEqual([15, 2n, 4n, 0n]);
    const values = new Uint8Array(256);
    values.set(pcr10(listed), 64);
    expect(imaValue).toEqual(values);
    const more = imaCase([...listed, ngEntry("/tmp/x")]);
    const denied = read(host(await world.caseBytes(more)).result);
    expect([denied.facts, denied.imaEntries, denied.imaBanks, denied.imaDenied]).toEqual([
      7,
      0n,
      0n,
      3n,
    ]);
  });

  test("a denial names its code and its place among those found", async () => {
    const bytes = await denialCase(world, "window.expired");
    if (bytes === null) throw new Error("no case reaches window.expired");
    const { verdict, code, found } = read(makeHost(wasmOf("simd"), CODE_LIST)(bytes).result);
    expect(verdict).toBe(0x796e6564);
    expect(CODE_LIST[Number(code) - 1]).toBe("window.expired");
    expect((found as Uint8Array)[Number(code)]).toBe(1);
  });

  test("families are the bits that the page names", () => {
    expect(FAMILIES.indexOf("governance")).toBe(0);
    expect(FAMILIES.indexOf("plane")).toBe(10);
    expect(FAMILIES.indexOf("internal")).toBe(11);
    expect(FAMILIES).toHaveLength(12);
  });
});

describe("the row of a replay", () => {
  const rows = tableOf(ABI, "| offset | of | field | |").map(([at, , field = ""]) => [
    field,
    Number(at),
  ]);

  test("stands where the core writes it", () => {
    const source = readFileSync(join(root, "assembly/replay.ts"), "utf8");
    const camel = (name: string) =>
      name.toLowerCase().replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase());
    const written = [...source.matchAll(/^const ([A-Z_]+): usize = (\d+);/gm)].map(
      ([, name = "", at]) => [camel(name), Number(at)],
    );
    expect(written.length).toBeGreaterThan(10);
    expect(Object.fromEntries(rows)).toEqual(Object.fromEntries(written));
  });
});
