/** The core's TPM layer on its own: assembly/tpm/ behind typed calls. */
import { type Code, codeOf } from "../../src/core/codes.ts";
import { type Build, compile, Instance } from "./assembly.ts";

const FILES = ["public", "attest", "signature", "pcr", "clock"];
const NAME_MAX = 66;

/** One instance; keys, attestations and selections stay between calls as they do in the core. */
export class TpmCore {
  readonly #core: Instance;

  constructor(core: Instance) {
    this.#core = core;
  }

  static async load(build: Build): Promise<TpmCore> {
    const entries = [
      ...FILES.map((name) => `assembly/tpm/${name}.ts`),
      "assembly/policy/pcr-rules.ts",
    ];
    return new TpmCore(new Instance(await compile(build, entries)));
  }

  /** A span of bytes put into memory; 0 stands for "absent". */
  #span(bytes: Uint8Array | null): bigint {
    if (bytes === null) return 0n;
    return (BigInt(this.#core.put(bytes)) << 32n) | BigInt(bytes.length);
  }

  #judge(name: string, ...args: readonly (bigint | Uint8Array | null)[]): Code | null {
    const flat = args.map((arg) => (typeof arg === "bigint" ? arg : this.#span(arg)));
    return codeOf(this.#core.call(name, ...flat));
  }

  /** Frees the bytes of earlier calls. Nothing that points there may be asked for afterwards. */
  reset(): void {
    this.#core.reset();
  }

  parsePublic(area: Uint8Array): Code | null {
    return this.#judge("parsePublic", area);
  }

  checkAttestationKey(): Code | null {
    return this.#judge("checkAttestationKey");
  }

  #written(name: string, ...args: bigint[]): Uint8Array {
    const out = this.#core.room(NAME_MAX);
    return this.#core.get(out, this.#core.call(name, ...args, out));
  }

  name(): Uint8Array {
    return this.#written("publicName");
  }

  /** Empty where a Name is malformed. */
  qualifiedName(ekName: Uint8Array | null, name: Uint8Array): Uint8Array {
    return this.#written("endorsementQualifiedName", this.#span(ekName), this.#span(name));
  }

  parseAttest(attest: Uint8Array): Code | null {
    return this.#judge("parseAttest", attest);
  }

  verifyQuote(attest: Uint8Array, signature: Uint8Array): Code | null {
    return this.#judge("verifyQuote", attest, signature);
  }

  judgeClock(resetCount: bigint, restartCount: bigint, clock: bigint): Code | null {
    return this.#judge("judgeClock", resetCount, restartCount, clock);
  }

  judgeFirmware(floor: bigint): Code | null {
    return this.#judge("judgeFirmware", floor);
  }

  parseSelection(): Code | null {
    return this.#judge("parseSelection");
  }

  /** The bank (a TPM_ALG_ID) and index of the value awaited; null when all are there. */
  awaited(): { bank: number; pcr: number } | null {
    const bank = this.#core.call("awaitedBank");
    return bank === 0 ? null : { bank, pcr: this.#core.call("awaitedPcr") };
  }

  takeValue(value: Uint8Array): boolean {
    return this.#core.call("takeValue", this.#span(value)) === 1;
  }

  closeValues(): Code | null {
    return this.#judge("closeValues");
  }

  /** `list` is CBOR. */
  bindValues(list: Uint8Array): Code | null {
    return this.#judge("bindValues", list);
  }

  /** The bound value; null where there is none. */
  pcrValue(bank: number, pcr: number, width: number): Uint8Array | null {
    const at = this.#core.call("pcrValue", bank, pcr);
    return at === 0 ? null : this.#core.get(at, width);
  }

  /** `rules` is the CBOR of claim -70502. */
  judgePcrs(rules: Uint8Array): Code | null {
    return this.#judge("judgePcrs", rules);
  }
}
