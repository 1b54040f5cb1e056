/**
 * The verdict as the host sees it. Only `readVerdict` makes an `Allowed`, and only from a result in
 * which the core itself proved every required family; a look-alike object is refused wherever an
 * `Allowed` is used.
 */
import { CODE_LIST, type Code, codeOf, FAMILIES, type Family } from "./codes.ts";
import type { Exports } from "./instance.ts";

export type FamilyState = "proven" | "denied" | "not evaluated";

/**
 * Use of one element: `max` is 0 where the element (a link) has no maximum of its own. `expires` in
 * Unix seconds.
 */
export interface ElementUse {
  readonly digest: Uint8Array;
  readonly max: number;
  readonly expires: number;
}

/**
 * Numbers that may become floors: authentic, not older than what was seen, also when the verdict is
 * a denial.
 */
export interface VerifiedFloors {
  readonly charterNumber: number;
  readonly charterDigest: Uint8Array;
  readonly snapshotVersion: number;
  readonly snapshotDigest: Uint8Array;
  /** Highest time that governance signed, Unix seconds. */
  readonly signedTime: number;
  readonly epoch: number;
  readonly freeze: "none" | "new" | "all";
}

/** Counters of a quote that is the node's, for this very request. */
export interface VerifiedCounters {
  readonly akName: Uint8Array;
  readonly resetCount: number;
  readonly restartCount: number;
  /** Milliseconds, as the TPM counts. */
  readonly clock: bigint;
  readonly firmwareVersion: bigint;
}

/**
 * The IMA entries of this boot that the quote proves and every policy allows, and the value of PCR
 * 10 after them. The next list may begin behind them, in the same boot session, under the policies
 * of the request.
 */
export interface VerifiedIma {
  readonly entries: number;
  /** One for each quoted bank, by the length of its digests. */
  readonly values: readonly Uint8Array[];
}

/** What the core read of the request; whether it is allowed is the verdict's word alone. */
export interface ReadRequest {
  readonly role: "gate" | "plane";
  readonly purpose: "start" | "lease";
  readonly requestDigest: Uint8Array;
  readonly jobDigest: Uint8Array;
  readonly chainDigest: Uint8Array;
  /** The job's canonical bytes, cut out of the case. */
  readonly job: Uint8Array;
  readonly elements: readonly ElementUse[];
  readonly policies: readonly Uint8Array[];
  /** The earliest expiry of all that an allowed decision rests on, Unix seconds; 0 in a denial. */
  readonly expires: number;
  readonly runtimeSeconds: number;
  /** The grant's class asks for a mark in the log (break-glass). */
  readonly mark: boolean;
  readonly planeRequired: boolean;
}

interface Common {
  /** Bits by the family's place in FAMILIES. */
  readonly proven: number;
  readonly required: number;
  readonly families: FamilyStates;
  readonly evidenceDigest: Uint8Array | null;
  readonly floors: VerifiedFloors | null;
  readonly counters: VerifiedCounters | null;
  readonly ima: VerifiedIma | null;
}

export interface Denied extends Common {
  readonly allow: false;
  readonly code: Code;
  /** The codes in the order of the table; all of them where an explanation was asked for. */
  readonly codes: readonly Code[];
  /** Index of the IMA entry that a policy denies, counted from the boot's first; null if none. */
  readonly deniedImaEntry: number | null;
  readonly request: ReadRequest | null;
}

declare const proof: unique symbol;

export interface Allowed extends Common {
  readonly [proof]: true;
  readonly allow: true;
  readonly code: null;
  readonly codes: readonly [];
  readonly request: ReadRequest;
}

export type Verdict = Allowed | Denied;

const genuine = new WeakSet<object>();

/** Whether this object was made by the core's own verdict in this process. */
export function isAllowed(value: unknown): value is Allowed {
  return typeof value === "object" && value !== null && genuine.has(value);
}

// The layout of the result, docs/abi.md.
const DENY = 0x796e6564;
const ALLOW = 0x86919a9b;
const FACT_FLOORS = 1;
const FACT_REQUEST = 2;
const FACT_COUNTERS = 4;
const FACT_IMA = 8;
const DIGESTS_AT = 144;
const AK_NAME_AT = DIGESTS_AT + 6 * 32;
const ELEMENTS_AT = AK_NAME_AT + 72;
const ELEMENT_BYTES = 48;
const POLICIES_AT = ELEMENTS_AT + 5 * ELEMENT_BYTES;
const FOUND_AT = POLICIES_AT + 8 * 32;
const IMA_AT = FOUND_AT + 256;
const IMA_BANKS_AT = IMA_AT + 8;
const IMA_DENIED_AT = IMA_AT + 16;
const IMA_VALUES_AT = IMA_AT + 24;
/** Bytes of a digest, by number of the hash. */
const HASH_BYTES = [20, 32, 48, 64] as const;
const RESULT_BYTES = IMA_VALUES_AT + HASH_BYTES.length * 64;

/** Every family but `internal`. */
export const REQUIRED = (1 << (FAMILIES.length - 1)) - 1;

class Result {
  readonly #view: DataView;
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  word(place: number): number {
    return this.#view.getUint32(place * 4, true);
  }

  /** The nth 64-bit field behind the eight words. */
  long(place: number): bigint {
    return this.#view.getBigUint64(32 + place * 8, true);
  }

  number(place: number): number {
    return this.longAt(32 + place * 8);
  }

  tail(place: number): number {
    return this.#view.getUint32(112 + place * 4, true);
  }

  digest(place: number): Uint8Array {
    return this.slice(DIGESTS_AT + place * 32, 32);
  }

  slice(at: number, length: number): Uint8Array {
    return this.bytes.slice(at, at + length);
  }

  longAt(at: number): number {
    return this.#view.getUint32(at + 4, true) * 2 ** 32 + this.#view.getUint32(at, true);
  }
}

/** A copy of the core's result buffer; empty where it is not of this version's form. */
export function takeResult(core: Exports): Uint8Array<ArrayBuffer> {
  return new Uint8Array(resultOf(core));
}

/** Makes the verdict from the core's result buffer; anything unexpected in it is a denial. */
export function readVerdict(core: Exports, caseBytes: Uint8Array): Verdict {
  return verdictOf(resultOf(core), caseBytes);
}

/** The core's result buffer itself, which the next call changes. */
function resultOf(core: Exports): Uint8Array {
  const length = core.resultBytes() === RESULT_BYTES ? RESULT_BYTES : 0;
  return new Uint8Array(core.memory.buffer, core.result(), length);
}

/**
 * The same from a result that `takeResult` gave, in another thread perhaps. The verdict keeps copies
 * alone.
 */
export function verdictOf(result: Uint8Array, caseBytes: Uint8Array): Verdict {
  if (result.length !== RESULT_BYTES) return denied("internal.undecided");
  const r = new Result(result);
  const facts = r.word(5);
  const proven = r.word(2);
  const common: Common = {
    proven,
    required: REQUIRED,
    families: familyStates(proven, r.word(4)),
    evidenceDigest: facts & FACT_REQUEST ? r.digest(5) : null,
    floors: facts & FACT_FLOORS ? readFloors(r) : null,
    counters: facts & FACT_COUNTERS ? readCounters(r) : null,
    ima: facts & FACT_IMA ? readIma(r) : null,
  };
  const request = facts & FACT_REQUEST ? readRequest(r, caseBytes) : null;
  const complete = proven === REQUIRED && r.word(3) === REQUIRED && r.word(1) === 0;
  if (r.word(0) === ALLOW && complete && request !== null) {
    const allowed = Object.freeze({
      allow: true,
      code: null,
      codes: Object.freeze([]),
      ...common,
      request,
    });
    genuine.add(allowed);
    return allowed as unknown as Allowed;
  }
  const code = r.word(0) === DENY ? codeOf(r.word(1)) : null;
  return Object.freeze({
    allow: false,
    code: code ?? "internal.undecided",
    codes: Object.freeze(readCodes(r, code ?? "internal.undecided")),
    ...common,
    deniedImaEntry: r.longAt(IMA_DENIED_AT) === 0 ? null : r.longAt(IMA_DENIED_AT) - 1,
    request,
  });
}

/** A denial by the host: the core did not get to speak. */
export function denied(code: Code): Denied {
  return Object.freeze({
    allow: false,
    code,
    codes: Object.freeze([code]),
    proven: 0,
    required: REQUIRED,
    families: familyStates(0, 0),
    evidenceDigest: null,
    floors: null,
    counters: null,
    ima: null,
    deniedImaEntry: null,
    request: null,
  });
}

type FamilyStates = Readonly<Record<Family, FamilyState>>;
/** Frozen, and few: one for each way that a decision goes. */
const KNOWN_MAX = 256;
const knownStates = new Map<number, FamilyStates>();

function familyStates(proven: number, evaluated: number): FamilyStates {
  const way = proven * 2 ** FAMILIES.length + evaluated;
  const known = knownStates.get(way);
  if (known !== undefined) return known;
  const state = (place: number): FamilyState => {
    if (proven & (1 << place)) return "proven";
    return evaluated & (1 << place) ? "denied" : "not evaluated";
  };
  const entries = FAMILIES.map((family, place) => [family, state(place)] as const);
  const states = Object.freeze(Object.fromEntries(entries)) as FamilyStates;
  if (knownStates.size < KNOWN_MAX) knownStates.set(way, states);
  return states;
}

function readCodes(r: Result, code: Code): Code[] {
  const found = CODE_LIST.filter((_, place) => r.bytes[FOUND_AT + place + 1] === 1);
  return found.includes(code) ? found : [code, ...found];
}

function readFloors(r: Result): VerifiedFloors {
  return Object.freeze({
    charterNumber: r.number(1),
    charterDigest: r.digest(3),
    snapshotVersion: r.number(2),
    snapshotDigest: r.digest(4),
    signedTime: r.number(3),
    epoch: r.number(9),
    freeze: (["none", "new", "all"] as const)[r.tail(6)] ?? "all",
  });
}

function readCounters(r: Result): VerifiedCounters {
  return Object.freeze({
    akName: r.slice(AK_NAME_AT, r.tail(4)),
    resetCount: r.number(4),
    restartCount: r.number(5),
    clock: r.long(6),
    firmwareVersion: r.long(7),
  });
}

function readIma(r: Result): VerifiedIma {
  const banks = r.longAt(IMA_BANKS_AT);
  const values = HASH_BYTES.flatMap((bytes, i) =>
    (banks >> (i + 1)) & 1 ? [r.slice(IMA_VALUES_AT + i * 64, bytes)] : [],
  );
  return Object.freeze({ entries: r.longAt(IMA_AT), values: Object.freeze(values) });
}

function readRequest(r: Result, caseBytes: Uint8Array): ReadRequest {
  const elements: ElementUse[] = [];
  for (let i = 0; i < Math.min(r.tail(2), 5); i++) {
    const at = ELEMENTS_AT + i * ELEMENT_BYTES;
    const [digest, max, expires] = [r.slice(at, 32), r.longAt(at + 32), r.longAt(at + 40)];
    elements.push(Object.freeze({ digest, max, expires }));
  }
  const policies: Uint8Array[] = [];
  for (let i = 0; i < Math.min(r.tail(3), 8); i++) policies.push(r.slice(POLICIES_AT + i * 32, 32));
  return Object.freeze({
    role: r.word(6) === 0 ? "gate" : "plane",
    purpose: r.word(7) === 0 ? "start" : "lease",
    requestDigest: r.digest(0),
    jobDigest: r.digest(1),
    chainDigest: r.digest(2),
    // A copy, also of a Buffer, whose slice() would show what its owner writes there after the
    // verdict.
    job: new Uint8Array(caseBytes.subarray(r.tail(0), r.tail(0) + r.tail(1))),
    elements: Object.freeze(elements),
    policies: Object.freeze(policies),
    expires: r.number(0),
    runtimeSeconds: r.number(8),
    mark: r.tail(5) === 1,
    planeRequired: r.tail(7) === 1,
  });
}
