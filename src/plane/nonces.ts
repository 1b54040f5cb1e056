/**
 * The plane's nonces: 32 bytes, good for one decision within ten seconds. A nonce carries the time
 * of its issue, a count, and a MAC that makes it unpredictable, by a key that lives as long as this
 * process: so those who ask for nonces and never use them take no memory, and none survives a
 * restart. What was used is remembered until it has expired anyway; the ledger holds it for good
 * where a use was claimed.
 */
import { hash, randomBytes, timingSafeEqual } from "node:crypto";
import { boottimeMs } from "../clock.ts";
import { LIMITS } from "../limits.ts";
import { PlaneError } from "./error.ts";

const TIME_BYTES = 6;
const COUNT_BYTES = 6;
const BODY_BYTES = 16;
/** A block of SHA-256, and its digest. */
const KEY_BYTES = 64;
const HASH_BYTES = 32;
const LIFE_MS = LIMITS.nonceSeconds * 1000;

export interface NonceOptions {
  /** How many used ones are remembered; beyond it the plane is busy. */
  readonly usedMax?: number;
  readonly clockMs?: () => number;
}

export class Nonces {
  #issued = 0;
  /** The two messages of #mac: the key in either form, then room for what is hashed behind it. */
  readonly #inner = Buffer.alloc(KEY_BYTES + BODY_BYTES);
  readonly #outer = Buffer.alloc(KEY_BYTES + HASH_BYTES);
  readonly #usedMax: number;
  readonly #clockMs: () => number;
  /** Used nonces to the time of their use, oldest first. */
  readonly #used = new Map<string, number>();

  constructor({ usedMax = 65_536, clockMs = boottimeMs }: NonceOptions = {}) {
    this.#usedMax = usedMax;
    this.#clockMs = clockMs;
    const key = randomBytes(KEY_BYTES);
    this.#inner.set(key.map((byte) => byte ^ 0x36));
    this.#outer.set(key.map((byte) => byte ^ 0x5c));
  }

  issue(): Uint8Array {
    const body = Buffer.alloc(BODY_BYTES);
    body.writeUIntBE(this.#clockMs(), 0, TIME_BYTES);
    body.writeUIntBE(this.#issued, BODY_BYTES - COUNT_BYTES, COUNT_BYTES);
    this.#issued += 1;
    return new Uint8Array(Buffer.concat([body, this.#mac(body)]));
  }

  /**
   * Whether this nonce was issued here, within its time, and never taken before; it is taken now.
   *
   * @throws PlaneError `plane.busy` where too many were used lately.
   */
  take(nonce: Uint8Array): boolean {
    if (nonce.length !== 2 * BODY_BYTES) return false;
    const body = nonce.subarray(0, BODY_BYTES);
    if (!timingSafeEqual(this.#mac(body), nonce.subarray(BODY_BYTES))) return false;
    const nowMs = this.#clockMs();
    const issuedMs = Buffer.from(body).readUIntBE(0, TIME_BYTES);
    if (nowMs - issuedMs >= LIFE_MS) return false;
    this.#forget(nowMs);
    const key = Buffer.from(nonce).toString("latin1");
    if (this.#used.has(key)) return false;
    if (this.#used.size >= this.#usedMax) {
      throw new PlaneError("plane.busy", "Too many decisions in the last seconds: ask again.");
    }
    this.#used.set(key, nowMs);
    return true;
  }

  /** Those used longer ago than a nonce lives can be recognized by their age. */
  #forget(nowMs: number): void {
    for (const [key, usedMs] of this.#used) {
      if (nowMs - usedMs < LIFE_MS) return;
      this.#used.delete(key);
    }
  }

  /** HMAC-SHA-256 (RFC 2104), of two hashes: an Hmac object costs several times as much. */
  #mac(body: Uint8Array): Buffer {
    this.#inner.set(body, KEY_BYTES);
    this.#outer.set(hash("sha256", this.#inner, "buffer"), KEY_BYTES);
    return hash("sha256", this.#outer, "buffer").subarray(0, BODY_BYTES);
  }
}
