/**
 * The scalar of Ed25519: SHA-512(R || A || message), a little-endian number of 64 bytes, modulo L
 * (RFC 8032 §5.1.7).
 */
import { ORDER } from "../curve/edwards25519";
import { add, fromMontgomery, mul, toMontgomery } from "../field/montgomery";

const HIGH: usize = memory.data(32, 16);

/** out = low + high·2^256 mod L, and 2^256 is R of Montgomery's form here. */
export function reduceDigest(out: usize, digest: usize): void {
  toMontgomery(ORDER, HIGH, digest + 32);
  mul(ORDER, HIGH, HIGH, ORDER.square);
  toMontgomery(ORDER, out, digest);
  add(ORDER, out, out, HIGH);
  fromMontgomery(ORDER, out, out);
}
