/**
 * One running instance of the WebAssembly module, and the duty to discard it after a trap: whatever
 * a trap left half done must not be seen by the next call.
 */
import { CODE_LIST, FAMILIES } from "./codes.ts";
import { CoreError } from "./errors.ts";

/** The exports of assembly/index.ts. Addresses and lengths in bytes. */
export interface Exports {
  readonly memory: WebAssembly.Memory;
  abiVersion(): number;
  tableSize(): number;
  input(): number;
  inputBytes(): number;
  result(): number;
  resultBytes(): number;
  trapLine(): number;
  decide(length: number, flags: number): void;
  prepareCases(cases: number, count: number): void;
  prepareQuotes(length: number, quotes: number): void;
  appraiseQuote(length: number): void;
  appraisal(): number;
  enrollKey(kind: number, key: number, tier: number): number;
  forgetKey(slot: number): void;
  replay(): number;
  replayEventLog(length: number, flags: number): void;
  replayIma(length: number, hash: number, digestBytes: number, flags: number): void;
  keyBytes(): number;
  limitKeyBytes(bytes: number): void;
  verifyChecks(checks: number, count: number, answers: number): void;
  isOnCurve(curve: number, key: number): number;
  isEd25519Key(key: number): number;
  rsaKeyOk(n: number, nBytes: number, e: number, eBytes: number): number;
  hash(id: number, source: number, length: number, out: number): number;
  verifyEcdsaMessage(curve: number, hash: number, ...parts: number[]): number;
  verifyEd25519Message(...parts: number[]): number;
  verifyRsassaMessage(hash: number, ...parts: number[]): number;
  verifyRsapssMessage(hash: number, salt: number, ...parts: number[]): number;
}

const ABI_VERSION = 1;

export class Instance {
  readonly #module: WebAssembly.Module;
  readonly #prepare: (core: Exports) => void;
  #exports: Exports | null = null;

  /** `prepare` is called for each new instance, before anything else. */
  constructor(module: WebAssembly.Module, prepare: (core: Exports) => void) {
    const imports = WebAssembly.Module.imports(module);
    if (imports.length > 0) {
      throw new CoreError("input", "The module has imports: it is not the core, which needs none.");
    }
    this.#module = module;
    this.#prepare = prepare;
    this.#start();
  }

  #start(): Exports {
    const instance = new WebAssembly.Instance(this.#module, {});
    const exports = instance.exports as unknown as Exports;
    if (typeof exports.abiVersion !== "function" || exports.abiVersion() !== ABI_VERSION) {
      throw new CoreError("input", `The module is not a core of interface version ${ABI_VERSION}.`);
    }
    if (exports.tableSize() !== ((FAMILIES.length << 16) | CODE_LIST.length)) {
      throw new CoreError("input", "The core knows another table of codes than this package.");
    }
    this.#prepare(exports);
    this.#exports = exports;
    return exports;
  }

  /**
   * Runs `work` on the instance. A CoreError is our own refusal, outside of the core: the instance
   * stays, or whoever sends keys of a wrong shape would cost every other caller the prepared keys.
   * Any other exception (a trap, an out-of-bounds access) discards the instance and is thrown as
   * CoreError `trap`; the next call gets a fresh one.
   */
  run<T>(work: (core: Exports) => T): T {
    const core = this.#exports ?? this.#start();
    try {
      return work(core);
    } catch (cause) {
      if (cause instanceof CoreError) throw cause;
      this.#exports = null;
      throw new CoreError("trap", `The core stopped at line ${lineOf(core)}.`, { cause });
    }
  }
}

/** Line of the failed assertion, 0 where there is none. */
function lineOf(core: Exports): number {
  try {
    return core.trapLine();
  } catch {
    return 0;
  }
}

/**
 * Copies the parts one behind another into the input region, each at a multiple of 16, and gives
 * their addresses.
 *
 * @throws CoreError `input` when they do not fit.
 */
export function place(core: Exports, parts: readonly Uint8Array[]): number[] {
  const memory = new Uint8Array(core.memory.buffer);
  let at = core.input();
  const end = at + core.inputBytes();
  return parts.map((part) => {
    const here = at;
    if (part.length > end - here) {
      throw new CoreError("input", `The input is larger than ${core.inputBytes()} bytes.`);
    }
    memory.set(part, here);
    at += (part.length + 15) & ~15;
    return here;
  });
}

/** Copies bytes out of the core's memory. */
export function take(core: Exports, at: number, length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(core.memory.buffer, at, length).slice();
}
