/**
 * The arithmetic of the core behind typed calls: hashes, single signatures and key checks, without
 * a decision.
 */
import { type Build, compile, Instance } from "./assembly.ts";

export const HASHES = ["sha1", "sha256", "sha384", "sha512"] as const;
export type HashName = (typeof HASHES)[number];
export type Curve = "P-256" | "P-384";
export interface RsaKey {
  n: Uint8Array;
  e: Uint8Array;
}

const hashId = (name: HashName): number => HASHES.indexOf(name) + 1;
const curveId = (name: Curve): number => (name === "P-256" ? 1 : 2);

export class Signatures {
  readonly #core: Instance;

  constructor(core: Instance) {
    this.#core = core;
  }

  static async load(build: Build): Promise<Signatures> {
    const files = ["crypto", "sig/ecdsa", "sig/ed25519", "sig/rsa"];
    const module = await compile(
      build,
      files.map((name) => `assembly/${name}.ts`),
    );
    return new Signatures(new Instance(module));
  }

  /** Writes the parts, each as a pointer or a pointer and a length, and calls. */
  #call(name: string, ...args: (number | Uint8Array | { exact: Uint8Array })[]): number {
    this.#core.reset();
    const flat = args.flatMap((arg) => {
      if (typeof arg === "number") return [arg];
      if (arg instanceof Uint8Array) return [this.#core.put(arg), arg.length];
      return [this.#core.put(arg.exact)];
    });
    return this.#core.call(name, ...flat);
  }

  hash(name: HashName, bytes: Uint8Array): Uint8Array {
    this.#core.reset();
    const out = this.#core.room(64);
    const length = this.#core.call("hash", hashId(name), this.#core.put(bytes), bytes.length, out);
    return this.#core.get(out, length);
  }

  /** `key` is x||y. */
  ecdsa(
    curve: Curve,
    hash: HashName,
    key: Uint8Array,
    message: Uint8Array,
    signature: Uint8Array,
  ): boolean {
    const exact = { exact: key };
    const ids = [curveId(curve), hashId(hash)] as const;
    return this.#call("verifyEcdsaMessage", ...ids, exact, message, signature) === 1;
  }

  /** Over a digest of any length. */
  ecdsaDigest(curve: Curve, key: Uint8Array, digest: Uint8Array, signature: Uint8Array): boolean {
    return this.#call("verifyEcdsa", curveId(curve), { exact: key }, digest, signature) === 1;
  }

  ed25519(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
    return this.#call("verifyEd25519Message", { exact: key }, message, signature) === 1;
  }

  rsassa(hash: HashName, key: RsaKey, message: Uint8Array, signature: Uint8Array): boolean {
    return this.#call("verifyRsassaMessage", hashId(hash), key.n, key.e, message, signature) === 1;
  }

  /** Without a salt length, the one that the encoding has. */
  rsapss(
    hash: HashName,
    key: RsaKey,
    message: Uint8Array,
    signature: Uint8Array,
    salt = -1,
  ): boolean {
    const ids = [hashId(hash), salt] as const;
    return this.#call("verifyRsapssMessage", ...ids, key.n, key.e, message, signature) === 1;
  }

  isOnCurve(curve: Curve, key: Uint8Array): boolean {
    return this.#call("isOnCurve", curveId(curve), { exact: key }) === 1;
  }

  isEd25519Key(key: Uint8Array): boolean {
    return this.#call("isEd25519Key", { exact: key }) === 1;
  }

  rsaKeyOk(key: RsaKey): boolean {
    return this.#call("rsaKeyOk", key.n, key.e) === 1;
  }
}

export const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));
export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** A number as `width` big-endian bytes. */
export function numberBytes(value: bigint, width: number): Uint8Array {
  return hex(value.toString(16).padStart(width * 2, "0"));
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
