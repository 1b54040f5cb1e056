/** RSA keys and signatures made to measure, on BigInts. */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { hex, numberBytes, type RsaKey } from "./signatures.ts";

export interface RsaPair extends RsaKey {
  publicKey: KeyObject;
  privateKey: KeyObject;
  modulus: bigint;
  /** (p-1)(q-1). */
  phi: bigint;
}

const fromBase64 = (text = ""): Uint8Array => new Uint8Array(Buffer.from(text, "base64url"));
export const toNumber = (bytes: Uint8Array): bigint =>
  BigInt(`0x${Buffer.from(bytes).toString("hex")}`);

export function makeRsaPair(modulusLength: number, publicExponent = 65_537): RsaPair {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength, publicExponent });
  const jwk = privateKey.export({ format: "jwk" });
  const [n, e] = [fromBase64(jwk.n), fromBase64(jwk.e)];
  const phi = (toNumber(fromBase64(jwk.p)) - 1n) * (toNumber(fromBase64(jwk.q)) - 1n);
  return { n, e, publicKey, privateKey, modulus: toNumber(n), phi };
}

export function power(base: bigint, exponent: bigint, m: bigint): bigint {
  let result = 1n;
  for (const bit of exponent.toString(2)) {
    result = (result * result) % m;
    if (bit === "1") result = (result * base) % m;
  }
  return result;
}

/** A big-endian number without leading zeros. */
export function bytesOf(value: bigint): Uint8Array {
  const text = value.toString(16);
  return hex(text.length % 2 === 0 ? text : `0${text}`);
}

/** EMSA-PKCS1-v1_5 for SHA-256 (RFC 8017 §9.2), of `length` bytes. */
export function encodeSha256(digest: Uint8Array, length: number): Uint8Array {
  const info = `3031300d060960864801650304020105000420${Buffer.from(digest).toString("hex")}`;
  return hex(`0001${"ff".repeat(length - 3 - info.length / 2)}00${info}`);
}

/**
 * What a holder of the factors can make of any encoded message, for any exponent that has an
 * inverse.
 */
export function signEncoded(pair: RsaPair, exponent: bigint, encoded: Uint8Array): Uint8Array {
  let [a, b, x, y] = [exponent % pair.phi, pair.phi, 1n, 0n];
  while (a !== 0n) {
    const q = b / a;
    [a, b] = [b - q * a, a];
    [x, y] = [y - q * x, x];
  }
  if (b !== 1n) throw new Error("the exponent has no inverse");
  const d = ((y % pair.phi) + pair.phi) % pair.phi;
  return numberBytes(power(toNumber(encoded), d, pair.modulus), pair.n.length);
}
