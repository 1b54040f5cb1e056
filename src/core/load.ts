/**
 * Loads the core: needs nothing of Node, so that a browser, Node and other engines run the same
 * bytes.
 */
import { LIMITS } from "../limits.ts";
import { type Appraisal, appraiseQuote, appraiseQuotes, type Quote } from "./appraise.ts";
import { inGroups, prepareCases } from "./batch.ts";
import { CoreError } from "./errors.ts";
import { type EventLogOptions, type EventLogReplay, replayEventLog } from "./eventlog.ts";
import { type ImaOptions, type ImaReplay, replayIma } from "./ima.ts";
import { type Exports, Instance, place } from "./instance.ts";
import { type KeyHandle, Keys, type SignatureCheck, type Tier } from "./keys.ts";
import { type HashName, hash, needBytes, type PublicKey } from "./signature.ts";
import { denied, readVerdict, type Verdict } from "./verdict.ts";

export interface LoadOptions {
  /**
   * The module's bytes, or the compiled module; by default the build that comes with this package.
   */
  readonly wasm?: BufferSource | WebAssembly.Module;
  /** Which build to load; `auto` is simd where the engine has it, else scalar. */
  readonly build?: "auto" | "simd" | "scalar" | "checked";
  /** Limit of the memory for tables of enrolled keys; 256 MiB by default. */
  readonly preparedKeyBytes?: number;
}

export interface DecideOptions {
  /** Go on after the first failure and list every code. */
  readonly explain?: boolean;
}

const EXPLAIN = 1;

/** A function of one v128 instruction: engines without SIMD refuse it. */
const SIMD_PROBE = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15,
  253, 98, 11,
]);

/**
 * The core of DESIGN and docs/abi.md: pure functions of their bytes. Not re-entrant; one instance a
 * thread.
 */
export class Core {
  readonly #instance: Instance;
  readonly #keys: Keys;
  /**
   * SHA-256 of the module's bytes, recorded with each decision; null where only a compiled module
   * was given.
   */
  readonly wasmDigest: Uint8Array | null;

  /** Use `loadCore`. `digest`: SHA-256 of the bytes, where the engine has computed it. */
  constructor(
    module: WebAssembly.Module,
    bytes: Uint8Array | null,
    keyBytesMax?: number,
    digest: Uint8Array | null = null,
  ) {
    this.#keys = new Keys(keyBytesMax);
    this.#instance = new Instance(module, (core) => this.#keys.limit(core));
    this.wasmDigest = digest ?? (bytes === null ? null : this.hash("sha256", bytes));
  }

  /**
   * Decides a case. Never throws on bytes: a trap, or a case too large, is a denial `internal.*`.
   *
   * @throws CoreError `input` when the case is no Uint8Array, or the options are no object.
   */
  decide(caseBytes: Uint8Array, options: DecideOptions = {}): Verdict {
    needBytes(caseBytes, "A case");
    needOptions(options);
    if (caseBytes.length > LIMITS.caseBytes) return denied("internal.case");
    try {
      return this.run((core) => {
        place(core, [caseBytes]);
        core.decide(caseBytes.length, options.explain === true ? EXPLAIN : 0);
        return readVerdict(core, caseBytes);
      });
    } catch (error) {
      if (error instanceof CoreError && error.code === "trap") return denied("internal.trap");
      throw error;
    }
  }

  /**
   * Decides many cases, each as `decide` would.
   *
   * @throws CoreError `input`, with its index, when one is no Uint8Array: before any work.
   */
  decideBatch(cases: readonly Uint8Array[], options: DecideOptions = {}): Verdict[] {
    if (!Array.isArray(cases)) throw new CoreError("input", "The cases must be an array.");
    needOptions(options);
    for (const [index, bytes] of cases.entries()) {
      if (!(bytes instanceof Uint8Array)) {
        throw new CoreError("input", "A case must be a Uint8Array.", { index });
      }
    }
    return this.grouped(cases, (bytes) => this.decide(bytes, options));
  }

  /** Decides each, after the signatures of its group were verified together. */
  protected grouped<T>(cases: readonly Uint8Array[], decide: (bytes: Uint8Array) => T): T[] {
    return inGroups(cases).flatMap((group) => {
      if (group.length > 1) this.#prepare(group);
      return group.map(decide);
    });
  }

  /** Verifies the signatures of a group together. A trap here costs time, and denies nobody. */
  #prepare(group: readonly Uint8Array[]): void {
    try {
      this.run((core) => prepareCases(core, group));
    } catch (error) {
      if (!(error instanceof CoreError && error.code === "trap")) throw error;
    }
  }

  /** Hashes bytes (at most 16 MiB). */
  hash(name: HashName, bytes: Uint8Array): Uint8Array {
    return this.run((core) => hash(core, name, bytes));
  }

  /**
   * Verifies one signature; see `prepareCheck` in signature.ts for shapes and errors.
   *
   * @throws CoreError also `handle.unknown`.
   */
  verifySignature(check: SignatureCheck): boolean {
    return this.run((core) => this.#keys.verify(core, check));
  }

  /** Takes a key in, so that its signatures verify sooner; warm by default. See keys.ts. */
  enrollKey(key: PublicKey, options: { readonly tier?: Tier } = {}): KeyHandle {
    needOptions(options);
    return this.run((core) => this.#keys.enroll(core, key, options.tier));
  }

  /** @throws CoreError `handle.unknown` when it was forgotten before, or is not of this core. */
  forgetKey(handle: KeyHandle): void {
    this.run((core) => this.#keys.forget(core, handle));
  }

  /**
   * Verifies many signatures: 1 or 0 for each, in order; a wrong shape throws, with its index,
   * before any work.
   */
  verifyBatch(checks: readonly SignatureCheck[]): Uint8Array {
    return this.run((core) => this.#keys.verifyBatch(core, checks));
  }

  /** Appraises one quote on its own; see `appraiseQuote` in appraise.ts for shapes and errors. */
  appraiseQuote(quote: Quote): Appraisal {
    return this.run((core) => appraiseQuote(core, quote));
  }

  /** Appraises many quotes, each as `appraiseQuote` would; an error has the quote's index. */
  appraiseQuotes(quotes: readonly Quote[]): Appraisal[] {
    return this.run((core) => appraiseQuotes(core, quotes));
  }

  /**
   * Replays a boot event log; see eventlog.ts. It proves nothing: no quote is compared.
   *
   * @throws CoreError `eventlog.malformed`, `input`.
   */
  replayEventLog(log: Uint8Array, options: EventLogOptions = {}): EventLogReplay {
    needOptions(options);
    return sound(this.run((core) => replayEventLog(core, log, options)));
  }

  /**
   * Replays an IMA measurement list in one bank; see ima.ts. It proves nothing: no quote is
   * compared.
   *
   * @throws CoreError `ima.malformed`, `input`.
   */
  replayIma(list: Uint8Array, options: ImaOptions): ImaReplay {
    return sound(this.run((core) => replayIma(core, list, options)));
  }

  /** Runs `work` on the instance, which is discarded after a trap. */
  protected run<T>(work: (core: Exports) => T): T {
    return this.#instance.run(work);
  }
}

/** What is no object would fail inside of `run`, and cost the instance with its prepared keys. */
function needOptions(options: unknown): void {
  if (typeof options === "object" && options !== null) return;
  throw new CoreError("input", "Options must be an object.");
}

/** Throws what is malformed, outside of `run`, which would discard the instance. */
function sound<T>(answer: T | CoreError): T {
  if (answer instanceof CoreError) throw answer;
  return answer;
}

async function packaged(build: "simd" | "scalar" | "checked"): Promise<Uint8Array<ArrayBuffer>> {
  const url = new URL(`./wasm/core.${build}.wasm`, import.meta.url);
  if (url.protocol !== "file:") {
    const response = await fetch(url);
    if (!response.ok) throw new CoreError("input", `${url.href} answers ${response.status}.`);
    return new Uint8Array(await response.arrayBuffer());
  }
  const { readFile } = await import("node:fs/promises");
  return await readFile(url).catch((cause: unknown) => {
    const message = `The core's build ${decodeURI(url.pathname)} cannot be read; \`npm run build\` makes it.`;
    throw new CoreError("input", message, { cause });
  });
}

function resolveBuild(build: LoadOptions["build"]): "simd" | "scalar" | "checked" {
  if (build === undefined || build === "auto")
    return WebAssembly.validate(SIMD_PROBE) ? "simd" : "scalar";
  if (build === "simd" || build === "scalar" || build === "checked") return build;
  throw new CoreError("input", `There is no build "${String(build)}".`);
}

/** The compiled build that comes with this package. */
export async function packagedModule(): Promise<WebAssembly.Module> {
  return WebAssembly.compile(await packaged(resolveBuild("auto")));
}

/**
 * Loads and instantiates the core.
 *
 * @throws CoreError `input` when the module is missing or is no core of this version.
 */
export async function loadCore(options: LoadOptions = {}): Promise<Core> {
  needOptions(options);
  const build = resolveBuild(options.build);
  const { wasm } = options;
  if (wasm instanceof WebAssembly.Module) return new Core(wasm, null, options.preparedKeyBytes);
  const bytes = wasm === undefined ? await packaged(build) : bytesOf(wasm);
  const module = await WebAssembly.compile(bytes).catch((cause: unknown) => {
    throw new CoreError("input", "The bytes given are no WebAssembly module.", { cause });
  });
  return new Core(module, bytes, options.preparedKeyBytes, await digestOf(bytes));
}

/**
 * SHA-256 by the engine, which takes a fraction of what code costs that has just been loaded; null
 * where there is no WebCrypto, as in pages of an insecure origin.
 */
async function digestOf(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array | null> {
  const subtle: SubtleCrypto | undefined = globalThis.crypto?.subtle;
  return subtle ? new Uint8Array(await subtle.digest("SHA-256", bytes)) : null;
}

/** A copy, so that what was hashed is what was compiled. */
function bytesOf(source: BufferSource): Uint8Array<ArrayBuffer> {
  if (source instanceof ArrayBuffer) return new Uint8Array(source.slice(0));
  if (ArrayBuffer.isView(source)) {
    const { buffer, byteOffset, byteLength } = source;
    return new Uint8Array(buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer);
  }
  throw new CoreError("input", "wasm is a BufferSource or a WebAssembly.Module.");
}
