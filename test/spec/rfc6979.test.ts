/**
 * The tests' own ECDSA signer (test/support/ecdsa.ts): the examples of RFC 6979 §A.2.5 and §A.2.6,
 * and the same bytes as another implementation gives.
 */
import { ed25519 } from "@noble/curves/ed25519.js";
import { p256, p384 } from "@noble/curves/nist.js";
import { describe, expect, test } from "vitest";
import { ecdsaSign } from "../support/ecdsa.ts";
import { seeded, testSigner } from "../support/keys.ts";

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));
const KEY_256 = hex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
const KEY_384 = hex(
  "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2edf5",
);
const EXAMPLES = [
  [
    "P-256",
    KEY_256,
    "sample",
    "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
    "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
  ],
  [
    "P-256",
    KEY_256,
    "test",
    "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367",
    "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
  ],
  [
    "P-384",
    KEY_384,
    "sample",
    "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46",
    "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8",
  ],
] as const;

test.each(EXAMPLES)("%s, %#: %s", (curve, key, message, r, s) => {
  const signature = ecdsaSign(curve, key, new TextEncoder().encode(message));
  expect(Buffer.from(signature).toString("hex")).toBe(r + s);
});

describe.each([
  ["P-256", p256, 48],
  ["P-384", p384, 72],
] as const)("%s", (curve, oracle, width) => {
  test("keys and signatures are @noble/curves' own", () => {
    for (let i = 0; i < 20; i++) {
      const { key, secret, sign } = testSigner(`key ${i}`, curve);
      expect(secret).toEqual(oracle.utils.randomSecretKey(seeded(`key ${i}`, width)));
      const point = key.kty === "EC2" ? [...key.x, ...key.y] : [];
      expect(point).toEqual([...oracle.getPublicKey(secret, false).subarray(1)]);
      const message = seeded(`message ${i}`, i);
      expect(sign(message)).toEqual(oracle.sign(message, secret, { lowS: false }));
    }
  });
});

test("Ed25519: the same", () => {
  const { key, secret, sign } = testSigner("key");
  expect(key.x).toEqual(ed25519.getPublicKey(secret));
  expect(sign(seeded("message"))).toEqual(ed25519.sign(seeded("message"), secret));
});
