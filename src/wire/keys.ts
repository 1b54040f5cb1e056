/**
 * COSE_Key and node:crypto keys of the three kinds that we sign with. Verification here serves
 * inspection and tests: the core alone decides, and its predicates are stricter than OpenSSL's.
 */
import {
  createPublicKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  sign as signWith,
  verify as verifyWith,
} from "node:crypto";
import { WireError } from "./error.ts";
import type { CoseKey } from "./shapes.ts";

export { thumbprint } from "./shapes.ts";

export type Curve = CoseKey["crv"];

/**
 * What signs: the public key, and a way to have a message signed, wherever the private key lives.
 */
export interface Signer {
  readonly key: CoseKey;
  /** A raw signature over the message: 64 bytes for Ed25519, r then s for ECDSA (RFC 9053 §2.1). */
  sign(message: Uint8Array): Uint8Array | Promise<Uint8Array>;
}

interface Algorithm {
  /** IANA COSE algorithm, fully specified (RFC 9864). */
  readonly alg: -19 | -9 | -51;
  readonly name: "Ed25519" | "ESP256" | "ESP384";
  /** The hash that node:crypto is told; Ed25519 has its own. */
  readonly hash: "sha256" | "sha384" | null;
  readonly signatureBytes: number;
}
const ALGORITHMS: { readonly [curve in Curve]: Algorithm } = {
  Ed25519: { alg: -19, name: "Ed25519", hash: null, signatureBytes: 64 },
  "P-256": { alg: -9, name: "ESP256", hash: "sha256", signatureBytes: 64 },
  "P-384": { alg: -51, name: "ESP384", hash: "sha384", signatureBytes: 96 },
};

/** The one algorithm that a key may sign with. */
export function algorithmOf(key: CoseKey): Algorithm {
  return ALGORITHMS[key.crv];
}

/** IANA's name of a COSE algorithm number, null if it is none of ours. */
export function algorithmName(alg: number): string | null {
  return Object.values(ALGORITHMS).find((entry) => entry.alg === alg)?.name ?? null;
}

const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64url");

/** The node:crypto form of a public key. Throws WireError `wire.key` where no such point exists. */
export function publicKeyOf(key: CoseKey): KeyObject {
  const jwk: JsonWebKey =
    key.kty === "OKP"
      ? { kty: "OKP", crv: key.crv, x: base64url(key.x) }
      : { kty: "EC", crv: key.crv, x: base64url(key.x), y: base64url(key.y) };
  try {
    return createPublicKey({ key: jwk, format: "jwk" });
  } catch (cause) {
    throw new WireError("wire.key", `the coordinates are no point of ${key.crv}`, { cause });
  }
}

function coordinate(value: string | undefined): Uint8Array {
  return new Uint8Array(Buffer.from(value ?? "", "base64url"));
}

/**
 * The COSE_Key of a public or private node:crypto key. Throws WireError `wire.key` for other kinds.
 */
export function coseKeyOf(key: KeyObject): CoseKey {
  const kind = key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType;
  if (kind === "ed25519") {
    const jwk = key.export({ format: "jwk" });
    return { kty: "OKP", crv: "Ed25519", x: coordinate(jwk.x) };
  }
  if (kind === "prime256v1" || kind === "secp384r1") {
    const jwk = key.export({ format: "jwk" });
    const crv = kind === "prime256v1" ? "P-256" : "P-384";
    return { kty: "EC2", crv, x: coordinate(jwk.x), y: coordinate(jwk.y) };
  }
  throw new WireError("wire.key", `a key of kind ${kind ?? "secret"}: use Ed25519, P-256 or P-384`);
}

/** A new private key. */
export function generateKey(curve: Curve): KeyObject {
  if (curve === "Ed25519") return generateKeyPairSync("ed25519").privateKey;
  return generateKeyPairSync("ec", { namedCurve: curve }).privateKey;
}

/** Signs with a private key that this process holds. */
export function signerOf(privateKey: KeyObject): Signer {
  const key = coseKeyOf(privateKey);
  const { hash: digest } = algorithmOf(key);
  const dsaEncoding = "ieee-p1363" as const;
  return {
    key,
    sign(message) {
      // Options with the key cost Ed25519 two thirds more time (measured), and say nothing to it.
      const how = digest === null ? privateKey : { key: privateKey, dsaEncoding };
      return new Uint8Array(signWith(digest, message, how));
    },
  };
}

/**
 * Whether OpenSSL accepts the signature under this key and its own algorithm. For inspection and
 * tests only.
 */
export function verifySignature(key: CoseKey, message: Uint8Array, signature: Uint8Array): boolean {
  const options = { key: publicKeyOf(key), dsaEncoding: "ieee-p1363" } as const;
  return verifyWith(algorithmOf(key).hash, message, options, signature);
}
