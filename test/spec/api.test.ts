/**
 * The package surface, sentence by sentence: loadCore, decide, isAllowed. See
 * api-signatures.test.ts for the rest.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { CoreError, type CoreErrorCode, isAllowed, loadCore } from "../../src/core/index.ts";
import { DENIALS, denialCase } from "../support/denials.ts";
import { makeWorld } from "../support/world.ts";

const BUILDS = ["simd", "scalar", "checked"] as const;
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const wasm = new Uint8Array(readFileSync("src/core/wasm/core.scalar.wasm"));
const world = makeWorld();
const core = await loadCore();
const accepted = await world.caseBytes();
const module = await WebAssembly.compile(wasm);

/** Anything at all, in the place of a value of another type. */
const wrong = <T>(value: unknown): T => value as T;

function thrown(work: () => unknown): CoreError {
  try {
    work();
  } catch (error) {
    if (error instanceof CoreError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

async function rejected(work: Promise<unknown>): Promise<CoreErrorCode> {
  const error = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof CoreError)) throw new Error("no CoreError");
  return error.code;
}

afterEach(() => vi.restoreAllMocks());

describe("loadCore", () => {
  test.each([undefined, "auto", ...BUILDS] as const)("build %s", async (build) => {
    const loaded = await loadCore(build === undefined ? {} : { build });
    expect(loaded.decide(accepted).allow).toBe(true);
    expect(loaded.wasmDigest).toHaveLength(32);
  });

  test("auto is simd where the engine has it, else scalar", async () => {
    const digest = async (build: "auto" | "simd" | "scalar") =>
      (await loadCore({ build })).wasmDigest;
    expect(await digest("auto")).toEqual(await digest("simd"));
    vi.spyOn(WebAssembly, "validate").mockReturnValue(false);
    expect(await digest("auto")).toEqual(await digest("scalar"));
  });

  test.each(["", "SIMD", "release", "../simd", null, 0])("there is no build %j", async (build) => {
    expect(await rejected(loadCore({ build: wrong(build) }))).toBe("input");
  });

  const padded = new Uint8Array(wasm.length + 7);
  padded.set(wasm, 3);
  test.each<[string, BufferSource | WebAssembly.Module]>([
    ["a Uint8Array", wasm],
    ["an ArrayBuffer", wasm.slice().buffer],
    ["a view into a larger buffer", padded.subarray(3, 3 + wasm.length)],
    ["a DataView", new DataView(padded.buffer, 3, wasm.length)],
    ["a Buffer", Buffer.from(wasm)],
    ["a WebAssembly.Module", module],
  ])("wasm as %s", async (_, source) => {
    const loaded = await loadCore({ wasm: source });
    expect(loaded.decide(accepted).allow).toBe(true);
    const digest = source === module ? null : createHash("sha256").update(wasm).digest();
    expect(loaded.wasmDigest && Buffer.from(loaded.wasmDigest)).toEqual(digest);
  });

  test.each<[string, unknown]>([
    ["text", "core.wasm"],
    ["null", null],
    ["no WebAssembly", text("no module")],
    ["another module", new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])],
    ["a cut module", wasm.subarray(0, wasm.length - 1)],
    ["nothing", new Uint8Array(0)],
  ])("wasm as %s is refused", async (_, source) => {
    expect(await rejected(loadCore({ wasm: wrong(source) }))).toBe("input");
  });

  test.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, "1", null])(
    "preparedKeyBytes: %j is refused",
    async (preparedKeyBytes) => {
      expect(await rejected(loadCore({ preparedKeyBytes: wrong(preparedKeyBytes) }))).toBe("input");
    },
  );

  test("needs nothing of Node but a file read, where the package lies in files", () => {
    // pool*.ts are threads around it, for planes; test/structure keeps the others from them.
    const files = readdirSync("src/core").filter((name) => /^(?!pool).*\.ts$/.test(name));
    const imports = files.flatMap((name) => {
      const source = readFileSync(`src/core/${name}`, "utf8");
      const code = source.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
      expect(code, name).not.toMatch(/\b(Buffer|process)\.|\brequire\(|__dirname/);
      return [...source.matchAll(/(?:from |import\()"([^"]+)"/g)].map(([, path]) => path);
    });
    const outside = imports.filter((path) => !path?.startsWith("./"));
    expect([...new Set(outside)].sort()).toEqual([
      "../errors.ts",
      "../limits.ts",
      "node:fs/promises",
    ]);
  });
});

/** Every object in the value, and the value. */
function* objectsIn(value: unknown): Generator<object> {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return;
  yield value;
  for (const member of Object.values(value)) yield* objectsIn(member);
}

describe("decide", () => {
  test("an accepted case: allow, no code, everything required is proven", () => {
    const verdict = core.decide(accepted);
    expect(verdict).toMatchObject({ allow: true, code: null, codes: [] });
    expect(verdict.proven).toBe(verdict.required);
    expect(verdict.required).not.toBe(0);
    expect(isAllowed(verdict)).toBe(true);
  });

  test("a denial: its first code leads the list, and something required is not proven", async () => {
    for (const code of ["window.expired", "replay.use", "plane.missing"] as const) {
      const bytes = await denialCase(world, code);
      const verdict = core.decide(bytes ?? new Uint8Array());
      expect(verdict).toMatchObject({ allow: false, code, codes: [code] });
      expect(verdict.proven & verdict.required).not.toBe(verdict.required);
      expect(isAllowed(verdict)).toBe(false);
    }
  });

  test("explain changes how much is told, never the verdict or its first code", async () => {
    for (const code of Object.keys(DENIALS).filter((_, i) => i % 2 === 0)) {
      const bytes = (await denialCase(world, code as keyof typeof DENIALS)) ?? new Uint8Array();
      const short = core.decide(bytes);
      const long = core.decide(bytes, { explain: true });
      expect([long.allow, long.code, long.codes[0]]).toEqual([false, short.code, short.code]);
      for (const found of short.codes) expect(long.codes).toContain(found);
      expect(short.proven & ~long.proven).toBe(0);
      expect([long.floors, long.counters]).toEqual([short.floors, short.counters]);
    }
  });

  test("verdicts are frozen, through and through", () => {
    const verdicts = [
      core.decide(accepted),
      core.decide(accepted.subarray(1)),
      core.decide(new Uint8Array(16_777_217)),
    ];
    for (const verdict of verdicts) {
      const objects = [...objectsIn(verdict)];
      expect(objects.length).toBeGreaterThan(1);
      for (const object of objects) expect(Object.isFrozen(object)).toBe(true);
      expect(() => Object.assign(verdict, { allow: true })).toThrow(TypeError);
    }
  });

  test("a verdict keeps its bytes when the case's buffer is used again", () => {
    for (const bytes of [Buffer.from(accepted), accepted.slice()]) {
      const { request } = core.decide(bytes);
      const job = request && Buffer.from(request.job).toString("hex");
      bytes.fill(0xff);
      expect(request && Buffer.from(request.job).toString("hex")).toBe(job);
      expect(job).not.toMatch(/^(ff)*$/);
    }
  });

  test("a look-alike Allowed is refused, whatever it is made of", () => {
    const verdict = core.decide(accepted);
    const lookAlikes = [
      { ...verdict },
      structuredClone(verdict),
      Object.create(verdict),
      new Proxy(verdict, {}),
      Object.assign(() => true, verdict),
      { ...core.decide(new Uint8Array()), allow: true, code: null },
      null,
      undefined,
      true,
      "allow",
    ];
    for (const lookAlike of lookAlikes) expect(isAllowed(lookAlike)).toBe(false);
  });

  test("never throws on bytes: any bytes, any size", () => {
    const denies = (bytes: Uint8Array): void => {
      const verdict = core.decide(bytes, { explain: true });
      expect(verdict.allow).toBe(false);
      expect(verdict.code).toBe("internal.case");
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 2_000 }), denies));
    for (const size of [0, 1, 16_777_215, 16_777_216, 16_777_217]) denies(new Uint8Array(size));
    const detached = accepted.slice();
    structuredClone(detached, { transfer: [detached.buffer] });
    expect(core.decide(detached).allow).toBe(false);
  });

  test("takes any Uint8Array: shared memory, a part of a larger one, a Buffer", () => {
    const shared = new Uint8Array(new SharedArrayBuffer(accepted.length));
    shared.set(accepted);
    const larger = new Uint8Array(accepted.length + 9);
    larger.set(accepted, 5);
    const parts = [shared, larger.subarray(5, 5 + accepted.length), Buffer.from(accepted)];
    for (const bytes of parts) expect(core.decide(bytes).allow).toBe(true);
  });

  test.each([undefined, null, "case", 7, [], {}, accepted.buffer])(
    "anything else is an error of shape",
    (value) => {
      expect(thrown(() => core.decide(wrong(value))).code).toBe("input");
    },
  );
});

describe("arguments of another type are errors of shape, and cost no instance", () => {
  const key = { x: text("k".repeat(32)) };
  const calls: readonly (readonly [string, () => unknown])[] = [
    ["decide, options null", () => core.decide(accepted, wrong(null))],
    ["decideBatch, no array", () => core.decideBatch(wrong(undefined))],
    ["decideBatch, bytes", () => core.decideBatch(wrong(accepted))],
    ["decideBatch, options null", () => core.decideBatch([accepted], wrong(null))],
    ["decideBatch, a hole", () => core.decideBatch(new Array(1))],
    ["verifyBatch, no array", () => core.verifyBatch(wrong(new Set()))],
    ["verifyBatch, a hole", () => core.verifyBatch(new Array(1))],
    ["appraiseQuotes, a hole", () => core.appraiseQuotes(new Array(1))],
    ["enrollKey, options null", () => core.enrollKey(key, wrong(null))],
    ["replayEventLog, options null", () => core.replayEventLog(accepted, wrong(null))],
    ["replayIma, no options", () => core.replayIma(accepted, wrong(undefined))],
  ];
  test.each(calls)("%s", (name, call) => {
    const start = vi.spyOn(WebAssembly, "Instance");
    const { code, index } = thrown(call);
    expect([code, index]).toEqual(["input", name.endsWith("a hole") ? 0 : undefined]);
    core.hash("sha256", accepted);
    expect(start).not.toHaveBeenCalled();
  });

  test("loadCore(null)", async () => expect(await rejected(loadCore(wrong(null)))).toBe("input"));
});

test("a verdict's members stand in the documented order, whoever denies", () => {
  const verdicts = [accepted, accepted.subarray(1), new Uint8Array(16_777_217)];
  for (const verdict of verdicts.map((bytes) => core.decide(bytes))) {
    const members = Object.keys(verdict).slice(0, 5);
    expect(members).toEqual(["allow", "code", "codes", "proven", "required"]);
  }
});
