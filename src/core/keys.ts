/**
 * Keys that are known beforehand, and many signatures at once. A handle stands for a key that was
 * checked; the core also keeps a table of its multiples, of the size that the tier asks for and the
 * limit allows (3 KB for RSA in every tier), which makes its signatures several times faster to
 * verify. What is
 * answered never depends on tables, order or batch size.
 */
import { CoreError } from "./errors.ts";
import { type Exports, place, take } from "./instance.ts";
import {
  checkKey,
  checkShapes,
  type PublicKey,
  pointBytes,
  type Scheme,
  verifyOne,
} from "./signature.ts";

/** How often a key is used: a cold one has no table, a warm one 66 KB, a hot one 328 KB (P-384: 451 KB). */
export type Tier = "cold" | "warm" | "hot";

/**
 * Stands for an enrolled key until it is forgotten; never reused. Only `enrollKey` makes handles
 * that work.
 */
export class KeyHandle {
  readonly kind = "portcullis-key";
}

export interface SignatureCheck {
  readonly scheme: Scheme;
  readonly key: PublicKey | KeyHandle;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

/** The numbers of assembly/sig/prepared-keys.ts. */
const TIERS: Readonly<Record<Tier, number>> = { cold: 0, warm: 1, hot: 2 };
const KINDS = { p256: 1, ed25519: 2, p384: 3, rsa: 4 } as const;
/** The core keeps an RSA key as n and e, each of this width. */
const RSA_BYTES = 512;
const NO_SLOT = 0xffffffff;
const P256_BYTES = 32;
/** x then y. */
const P256_KEY = 64;
/** A check as the core reads it: slot, hash, message, its length, signature, its length, key. */
const RECORD_WORDS = 7;
const RECORD_BYTES = 4 * RECORD_WORDS;
const RECORDS_MAX = 1024;
const KEY_BYTES_MAX = 0xffffffff;

interface Entry {
  readonly key: PublicKey;
  readonly tier: number;
  /** Where the core keeps it, in the instance `core`; null where the core keeps nothing. */
  slot: number | null;
  core: Exports | null;
}

/** A check whose shapes are right. */
interface Ready {
  readonly scheme: Scheme;
  readonly key: PublicKey;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
  /** As the core knows it. */
  readonly hash: number;
  /** Where the key is enrolled. */
  readonly entry: Entry | null;
}

export class Keys {
  readonly #entries = new WeakMap<KeyHandle, Entry>();
  readonly #bytesMax: number | undefined;
  /** Handles of each slot, in the instance at hand. */
  #holders = new Map<number, number>();
  #core: Exports | null = null;

  /** @throws CoreError `input` unless the limit is a whole number of bytes. */
  constructor(bytesMax: number | undefined) {
    if (bytesMax !== undefined && !(Number.isSafeInteger(bytesMax) && bytesMax >= 0)) {
      throw new CoreError("input", "preparedKeyBytes is a whole number of bytes.");
    }
    this.#bytesMax = bytesMax;
  }

  /** Tells a new instance the limit for tables of keys, of those that the core takes in by itself too. */
  limit(core: Exports): void {
    if (this.#bytesMax === undefined) return;
    core.limitKeyBytes(Math.min(this.#bytesMax, KEY_BYTES_MAX));
  }

  /**
   * Takes a key in.
   *
   * @throws CoreError for a wrong shape or value: `input`, `key.malformed` or `key.unsupported`.
   */
  enroll(core: Exports, key: PublicKey, tier: Tier = "warm"): KeyHandle {
    const number = Object.hasOwn(TIERS, tier) ? TIERS[tier] : undefined;
    if (number === undefined) throw new CoreError("input", `There is no tier "${String(tier)}".`);
    const entry: Entry = { key: checkKey(core, key), tier: number, slot: null, core: null };
    this.#settle(core, entry);
    const handle = Object.freeze(new KeyHandle());
    this.#entries.set(handle, entry);
    return handle;
  }

  /** @throws CoreError `handle.unknown` when it was forgotten before, or is not of this core. */
  forget(core: Exports, handle: KeyHandle): void {
    const entry = this.#entryOf(handle);
    this.#entries.delete(handle);
    if (entry.core !== core || entry.slot === null) return;
    const left = (this.#holders.get(entry.slot) ?? 1) - 1;
    this.#holders.set(entry.slot, left);
    if (left > 0) return;
    this.#holders.delete(entry.slot);
    core.forgetKey(entry.slot);
  }

  /**
   * Verifies many signatures: 1 or 0 for each, in order.
   *
   * @throws CoreError with `index`, before any work, for a wrong shape or an unknown handle.
   */
  verifyBatch(core: Exports, checks: readonly SignatureCheck[]): Uint8Array {
    if (!Array.isArray(checks)) throw new CoreError("input", "The checks must be an array.");
    // Array.from, for `map` would pass over the holes of a sparse array.
    const ready = Array.from(checks, (check, index) => this.#prepare(core, check, index));
    const answers = new Uint8Array(checks.length);
    const together: number[] = [];
    for (let index = 0; index < ready.length; index++) {
      const check = ready[index] as Ready;
      if (check.entry !== null) this.#settle(core, check.entry);
      if (slotOf(check.entry) !== NO_SLOT || isP256(check.scheme)) together.push(index);
      else answers[index] = verifyReady(core, check) ? 1 : 0;
    }
    for (let from = 0; from < together.length; ) {
      const group = together.slice(from, from + fitting(core, ready, together, from));
      const found = verifyTogether(core, ready, group);
      for (let i = 0; i < group.length; i++) answers[group[i] as number] = found[i] as number;
      from += group.length;
    }
    return answers;
  }

  /** Verifies one signature, by a key or a handle. */
  verify(core: Exports, check: SignatureCheck): boolean {
    const ready = this.#ready(core, check);
    if (ready.entry !== null) this.#settle(core, ready.entry);
    return verifyReady(core, ready);
  }

  #prepare(core: Exports, check: SignatureCheck, index: number): Ready {
    try {
      return this.#ready(core, check);
    } catch (error) {
      if (!(error instanceof CoreError)) throw error;
      throw new CoreError(error.code, error.message, { index, cause: error });
    }
  }

  #ready(core: Exports, check: SignatureCheck): Ready {
    if (typeof check !== "object" || check === null) {
      throw new CoreError("input", "A check is missing.");
    }
    const { scheme, message, signature } = check;
    const entry = check.key instanceof KeyHandle ? this.#entryOf(check.key) : null;
    const key = entry === null ? (check.key as PublicKey) : entry.key;
    const hash = checkShapes(scheme, key, message, signature);
    const room = core.inputBytes() - 2 * RECORD_BYTES - 2048;
    if (message.length + signature.length > room) {
      throw new CoreError("input", `Message and signature are larger than ${room} bytes.`);
    }
    return { scheme, key, message, signature, hash, entry };
  }

  #entryOf(handle: KeyHandle): Entry {
    const entry = handle instanceof KeyHandle ? this.#entries.get(handle) : undefined;
    if (!entry) throw new CoreError("handle.unknown", "This key is not enrolled in this core.");
    return entry;
  }

  /** Puts a key into a slot of this instance, which may be a new one after a trap. */
  #settle(core: Exports, entry: Entry): void {
    if (entry.core === core) return;
    if (this.#core !== core) {
      this.#core = core;
      this.#holders = new Map();
    }
    entry.core = core;
    entry.slot = null;
    const { kind, bytes } = slotKey(entry.key);
    const slot = core.enrollKey(kind, place(core, [bytes])[0] ?? 0, entry.tier) >>> 0;
    if (slot === NO_SLOT) return;
    entry.slot = slot;
    this.#holders.set(slot, (this.#holders.get(slot) ?? 0) + 1);
  }
}

/** A big-endian number without leading zeros. */
const significant = (value: Uint8Array): Uint8Array =>
  value.subarray(value.findIndex((byte) => byte !== 0));

/** The key as the core keeps it in a slot; its value has been checked. */
function slotKey(key: PublicKey): { kind: number; bytes: Uint8Array } {
  if ("n" in key) {
    const bytes = new Uint8Array(2 * RSA_BYTES);
    bytes.set(significant(key.n), RSA_BYTES - significant(key.n).length);
    bytes.set(significant(key.e), 2 * RSA_BYTES - significant(key.e).length);
    return { kind: KINDS.rsa, bytes };
  }
  if (!("y" in key)) return { kind: KINDS.ed25519, bytes: key.x };
  const kind = key.x.length === P256_BYTES ? KINDS.p256 : KINDS.p384;
  return { kind, bytes: pointBytes(key) };
}

const slotOf = (entry: Entry | null): number => entry?.slot ?? NO_SLOT;

/** Keys of P-256 are verified together without a slot too. */
const isP256 = (scheme: Scheme): boolean => scheme.type === "ecdsa" && scheme.curve === "P-256";

const verifyReady = (core: Exports, { scheme, key, message, signature }: Ready): boolean =>
  verifyOne(core, scheme, key, message, signature);

const aligned = (length: number): number => (length + 15) & ~15;

/** How many of the checks, from one on, fit the input region at once; at least one. */
function fitting(
  core: Exports,
  ready: readonly Ready[],
  indexes: readonly number[],
  from: number,
): number {
  let left = core.inputBytes() - aligned(RECORDS_MAX) - aligned(RECORDS_MAX * RECORD_BYTES);
  const most = Math.min(RECORDS_MAX, indexes.length - from);
  for (let count = 0; count < most; count++) {
    const { message, signature } = ready[indexes[from + count] as number] as Ready;
    left -= aligned(message.length) + aligned(signature.length) + P256_KEY;
    if (left < 0) return Math.max(count, 1);
  }
  return most;
}

/**
 * Verifies checks whose keys have slots, or are of P-256: records first, then answers, then
 * messages, signatures and keys.
 */
function verifyTogether(
  core: Exports,
  ready: readonly Ready[],
  group: readonly number[],
): Uint8Array {
  const memory = new Uint8Array(core.memory.buffer);
  const start = core.input();
  const records = new Uint32Array(core.memory.buffer, start, group.length * RECORD_WORDS);
  const answers = start + aligned(group.length * RECORD_BYTES);
  let at = answers + aligned(group.length);
  let word = 0;
  for (const index of group) {
    const { key, message, signature, hash, entry } = ready[index] as Ready;
    memory.set(message, at);
    const behind = at + aligned(message.length);
    memory.set(signature, behind);
    const keyAt = behind + aligned(signature.length);
    const slot = slotOf(entry);
    records[word++] = slot;
    records[word++] = hash;
    records[word++] = at;
    records[word++] = message.length;
    records[word++] = behind;
    records[word++] = signature.length;
    records[word++] = keyAt;
    at = keyAt;
    if (slot !== NO_SLOT) continue;
    memory.set(pointBytes(key as { x: Uint8Array; y: Uint8Array }), keyAt);
    at += P256_KEY;
  }
  core.verifyChecks(start, group.length, answers);
  return take(core, answers, group.length);
}
