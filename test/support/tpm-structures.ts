/**
 * TPM structures taken apart into their fields and put together again, so that a test changes
 * exactly one; and a quote that `appraiseQuote` accepts, to change. Layouts: TPM 2.0 Part 2 §10.12
 * (TPMS_ATTEST), §12.2.4 (TPMT_PUBLIC).
 */
import type { Quote } from "../../src/core/index.ts";
import {
  type AkType,
  type Bank,
  concat,
  nameOf,
  type PcrBanks,
  type QuoteRequest,
  softwareAk,
} from "./ak.ts";
import { CLOCK, PCRS } from "./domain.ts";
import { seeded } from "./keys.ts";

/** Bytes by the name of the field, in the order of the structure. */
export type Fields = ReadonlyMap<string, Uint8Array>;

class Cutter {
  readonly fields = new Map<string, Uint8Array>();
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The next `length` bytes become a field; gives their value as a big-endian number. */
  cut(name: string, length: number): number {
    const field = this.#bytes.subarray(this.#at, this.#at + length);
    if (field.length !== length) throw new Error(`${name} is cut short`);
    this.#at += length;
    this.fields.set(name, field);
    return field.reduce((value, byte) => value * 256 + byte, 0);
  }

  /** A TPM2B with its length. */
  sized(name: string): void {
    const [high = 0, low = 0] = this.#bytes.subarray(this.#at);
    this.cut(name, 2 + high * 256 + low);
  }

  end(): Fields {
    if (this.#at !== this.#bytes.length) throw new Error("bytes are left");
    return this.fields;
  }
}

const RSA = 0x0001;

/** The fields of the TPMT_PUBLIC of a signing key. */
export function publicFields(area: Uint8Array): Fields {
  const c = new Cutter(area);
  const type = c.cut("type", 2);
  c.cut("nameAlg", 2);
  c.cut("attributes", 4);
  c.sized("authPolicy");
  c.cut("symmetric", 2);
  c.cut("scheme", 2);
  c.cut("schemeHash", 2);
  if (type === RSA) {
    c.cut("keyBits", 2);
    c.cut("exponent", 4);
    c.sized("modulus");
  } else {
    c.cut("curve", 2);
    c.cut("kdf", 2);
    c.sized("x");
    c.sized("y");
  }
  return c.end();
}

/** The fields of the TPMS_ATTEST of a quote. */
export function attestFields(attest: Uint8Array): Fields {
  const c = new Cutter(attest);
  c.cut("magic", 4);
  c.cut("type", 2);
  c.sized("qualifiedSigner");
  c.sized("extraData");
  c.cut("clock", 8);
  c.cut("resetCount", 4);
  c.cut("restartCount", 4);
  c.cut("safe", 1);
  c.cut("firmwareVersion", 8);
  const count = c.cut("count", 4);
  for (let i = 0; i < count; i++) {
    c.cut(`hash ${i}`, 2);
    const size = c.cut(`sizeofSelect ${i}`, 1);
    c.cut(`pcrSelect ${i}`, size);
  }
  c.sized("pcrDigest");
  return c.end();
}

/** The structure with some fields changed; an empty field leaves it out. */
export function joined(fields: Fields, changes: { readonly [name: string]: Uint8Array } = {}) {
  for (const name of Object.keys(changes)) {
    if (!fields.has(name)) throw new Error(`there is no field ${name}`);
  }
  return concat(...[...fields].map(([name, bytes]) => changes[name] ?? bytes));
}

/** PCR values as `appraiseQuote` takes them. */
export function pcrsOf(banks: PcrBanks): Quote["pcrs"] {
  return Object.fromEntries(
    Object.entries(banks).map(([bank, values]) => [bank, Object.fromEntries(values)]),
  );
}

/** A policy that allows just these values. */
export function policyOf(banks: PcrBanks): {
  pcrs: { [bank in Bank]?: Record<number, Uint8Array[]> };
} {
  const rows = Object.entries(banks).map(([bank, values]) => {
    const indexes = [...values].map(([index, value]) => [index, [value]] as const);
    return [bank, Object.fromEntries(indexes)];
  });
  return { pcrs: Object.fromEntries(rows) };
}

export const QUALIFYING_DATA = seeded("qualifying data");
/** Counters that a quote at CLOCK just meets. */
export const FLOOR = {
  resetCount: CLOCK.resetCount,
  restartCount: CLOCK.restartCount,
  clock: CLOCK.clock,
  firmwareVersion: CLOCK.firmwareVersion,
};

/**
 * What is signed in place of the accepted quote, and what is presented in place of what was signed.
 */
export interface QuoteOverrides {
  readonly ak?: AkType;
  readonly attributes?: number;
  /** Changes below the fields of the TPMT_PUBLIC; the same secret signs. */
  readonly publicArea?: (area: Uint8Array) => Uint8Array;
  readonly request?: Partial<QuoteRequest>;
  readonly quote?: Partial<Quote>;
}

/**
 * A quote by a key in the endorsement hierarchy, by default accepted with nothing but the logs
 * unchecked.
 */
export function acceptedQuote(overrides: QuoteOverrides = {}): Quote {
  const ak = softwareAk(overrides.ak, "ak", overrides.attributes);
  const banks = overrides.request?.pcrs ?? PCRS;
  const request = { extraData: QUALIFYING_DATA, pcrs: banks, clock: CLOCK, ...overrides.request };
  const { attest, signature } = ak.quote(request);
  return {
    publicArea: overrides.publicArea?.(ak.publicArea) ?? ak.publicArea,
    ekName: nameOf(seeded("ak's EK")),
    attest,
    signature,
    pcrs: pcrsOf(banks),
    qualifyingData: QUALIFYING_DATA,
    policy: policyOf(banks),
    floor: FLOOR,
    ...overrides.quote,
  };
}
