/** The shapes that many objects of registry.ts share: names, digests and keys. */
import { hash } from "node:crypto";
import { LIMITS } from "../limits.ts";
import { encode } from "./cbor.ts";
import { type CborValue, isMap } from "./cbor-value.ts";
import {
  bytes,
  choice,
  claims,
  either,
  field as fieldOf,
  ident as identOf,
  type Json,
  type Of,
  required,
  type Shape,
} from "./schema.ts";

export const ident = identOf(LIMITS.identifierBytes);
export const field = fieldOf(0, LIMITS.fieldBytes);
export const variableName = fieldOf(1, LIMITS.fieldBytes);
export const digest = bytes([32]);
/** RFC 9711 §4.2.1 */
export const ueid = bytes({ min: 7, max: 33 });
/**
 * TPM 2.0 Part 1, "Names": a two-byte algorithm, then a digest of SHA-1, SHA-256, SHA-384 or
 * SHA-512.
 */
export const name = bytes([22, 34, 50, 66]);
/** The first item of an array, by which its forms are told apart. */
export const first = (value: CborValue): CborValue =>
  Array.isArray(value) ? (value[0] ?? null) : null;

// Keys: RFC 9052 §7, RFC 9053 §7. Exactly the members of RFC 9679 §4, so that the thumbprint is
// over these bytes.
const okp = claims({
  kty: required(1, choice({ OKP: 1 })),
  crv: required(-1, choice({ Ed25519: 6 })),
  x: required(-2, bytes([32])),
});
const ec2 = <const C extends { readonly [curve: string]: number }>(curve: C, width: number) =>
  claims({
    kty: required(1, choice({ EC2: 2 })),
    crv: required(-1, choice(curve)),
    x: required(-2, bytes([width])),
    y: required(-3, bytes([width])),
  });
const curveOf = (value: CborValue): CborValue | undefined =>
  isMap(value) ? value.get(-1) : undefined;
/** An EC key, P-256 or P-384. */
export const ec2Key = either(ec2({ "P-256": 1 }, 32), ec2({ "P-384": 2 }, 48), {
  isA: (value) => value.crv === "P-256",
  wireA: (value) => curveOf(value) === 1,
});
const publicKey = either(okp, ec2Key, {
  isA: (value) => value.kty === "OKP",
  wireA: (value) => isMap(value) && value.get(1) === 1,
});
/** A public COSE_Key: Ed25519, P-256 or P-384, coordinates at their full width. */
export type CoseKey = Of<typeof publicKey>;

const thumbprints = new WeakMap<CoseKey, Uint8Array>();

/** The kid of a key: SHA-256 of its canonical encoding (RFC 9679 §3). */
export function thumbprint(value: CoseKey): Uint8Array {
  const known = thumbprints.get(value);
  if (known !== undefined) return known;
  const made = new Uint8Array(hash("sha256", byKey(value), "buffer"));
  thumbprints.set(value, made);
  return made;
}

/** Shown with its kid, as signatures name it. */
export const key: Shape<CoseKey> = {
  ...publicKey,
  show: (value) => ({
    ...(publicKey.show(value) as { readonly [member: string]: Json }),
    kid: Buffer.from(thumbprint(value)).toString("hex"),
  }),
};
/** Keys are told apart by their canonical bytes. */
export function byKey(value: CoseKey): Uint8Array {
  return encode(publicKey.encode(value, "key"));
}
