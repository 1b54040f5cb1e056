/**
 * ECDSA whose signatures follow from key and message (RFC 6979), fast: OpenSSL multiplies the points
 * and hashes, the rest is a few numbers. A test compares it with the RFC's examples and @noble/curves.
 */
import { createECDH, createHash, createHmac } from "node:crypto";

export type EcdsaCurve = "P-256" | "P-384";

/** SEC 2 §2.4.2, §2.5.1: OpenSSL's name, the order of the base point, and the hash of RFC 9864. */
const CURVES = {
  "P-256": {
    openssl: "prime256v1",
    hash: "sha256",
    width: 32,
    order: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  },
  "P-384": {
    openssl: "secp384r1",
    hash: "sha384",
    width: 48,
    order: BigInt(`0x${"f".repeat(48)}c7634d81f4372ddf581a0db248b0a77aecec196accc52973`),
  },
} as const;

const toNumber = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
const toBytes = (value: bigint, width: number): Uint8Array =>
  new Uint8Array(Buffer.from(value.toString(16).padStart(width * 2, "0"), "hex"));

/** x and y of the secret times the base point. */
export function ecdsaPoint(
  curve: EcdsaCurve,
  secret: Uint8Array,
): { x: Uint8Array; y: Uint8Array } {
  const { openssl, width } = CURVES[curve];
  const ecdh = createECDH(openssl);
  ecdh.setPrivateKey(secret);
  const point = ecdh.getPublicKey();
  return {
    x: new Uint8Array(point.subarray(1, 1 + width)),
    y: new Uint8Array(point.subarray(1 + width)),
  };
}

/** A secret from more bytes than it is wide, so that none is likelier (FIPS 186-5 A.2.1). */
export function ecdsaSecret(curve: EcdsaCurve, seed: Uint8Array): Uint8Array {
  const { order, width } = CURVES[curve];
  return toBytes((toNumber(seed) % (order - 1n)) + 1n, width);
}

/** r then s. Any s may come out: a verifier that takes only the lower half is not ours. */
export function ecdsaSign(curve: EcdsaCurve, secret: Uint8Array, message: Uint8Array): Uint8Array {
  const { hash, order, width } = CURVES[curve];
  const digest = createHash(hash).update(message).digest();
  const z = toNumber(digest);
  for (const nonce of nonces(curve, secret, toBytes(z % order, width))) {
    const r = toNumber(ecdsaPoint(curve, toBytes(nonce, width)).x) % order;
    const s = (inverse(nonce, order) * (z + r * toNumber(secret))) % order;
    const halves = [toBytes(r, width), toBytes(s, width)];
    if (r !== 0n && s !== 0n) return new Uint8Array(Buffer.concat(halves));
  }
  throw new Error("no nonce");
}

/** RFC 6979 §3.2, steps b to h: the candidates for k, in their order. */
function* nonces(curve: EcdsaCurve, secret: Uint8Array, digest: Uint8Array): Generator<bigint> {
  const { hash, order, width } = CURVES[curve];
  const hmac = (key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array =>
    createHmac(hash, key).update(Buffer.concat(parts)).digest();
  let v: Uint8Array = new Uint8Array(width).fill(1);
  let key: Uint8Array = new Uint8Array(width);
  for (const step of [0, 1]) {
    key = hmac(key, v, Uint8Array.of(step), secret, digest);
    v = hmac(key, v);
  }
  for (;;) {
    v = hmac(key, v);
    const candidate = toNumber(v);
    if (candidate > 0n && candidate < order) yield candidate;
    key = hmac(key, v, Uint8Array.of(0));
    v = hmac(key, v);
  }
}

function inverse(value: bigint, modulus: bigint): bigint {
  let [r0, r1, t0, t1] = [modulus, value, 0n, 1n];
  while (r1 !== 0n) {
    const q = r0 / r1;
    [r0, r1, t0, t1] = [r1, r0 - q * r1, t1, t0 - q * t1];
  }
  return t0 < 0n ? t0 + modulus : t0;
}
