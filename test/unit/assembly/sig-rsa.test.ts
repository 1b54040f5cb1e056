import { constants, sign, verify } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { BUILDS } from "../../support/assembly.ts";
import {
  bytesOf,
  encodeSha256,
  makeRsaPair,
  type RsaPair,
  signEncoded,
  toNumber,
} from "../../support/rsa.ts";
import { concat, HASHES, hex, numberBytes, Signatures } from "../../support/signatures.ts";

const PSS = constants.RSA_PKCS1_PSS_PADDING;
const message = new TextEncoder().encode("a quote");

/** The first odd exponent from `from` on that has an inverse. */
function exponentFrom(pair: RsaPair, from: bigint): bigint {
  for (let e = from | 1n; ; e += 2n) {
    let [a, b] = [e, pair.phi];
    while (b !== 0n) [a, b] = [b, a % b];
    if (a === 1n) return e;
  }
}

// 2049 bits leave one bit in the top byte (EM of PSS is a byte shorter); 2056 fill the bytes, but
// not the limbs.
const pairs = new Map([2048, 2049, 2056, 3072].map((bits) => [bits, makeRsaPair(bits)]));
const pairOf = (bits: number): RsaPair => pairs.get(bits) ?? makeRsaPair(bits);

describe.each(BUILDS)("sig/rsa, %s", (build) => {
  let core: Signatures;
  beforeAll(async () => {
    core = await Signatures.load(build);
  });

  test.each([...pairs.keys()])("agrees with node:crypto, %i bits", (bits) => {
    const pair = pairOf(bits);
    const flip = fc.record({ on: fc.boolean(), at: fc.nat(4096), bit: fc.nat(7) });
    const text = fc.uint8Array({ maxLength: 100 });
    fc.assert(
      fc.property(text, fc.constantFrom(...HASHES), flip, (bytes, hash, { on, at, bit }) => {
        const mutate = (signature: Uint8Array): Uint8Array => {
          const index = at % signature.length;
          if (on) signature[index] = (signature[index] ?? 0) ^ (1 << bit);
          return signature;
        };
        const first = mutate(new Uint8Array(sign(hash, bytes, pair.privateKey)));
        expect(core.rsassa(hash, pair, bytes, first)).toBe(!on);
        expect(verify(hash, bytes, pair.publicKey, first)).toBe(!on);
        const options = { key: pair.privateKey, padding: PSS, saltLength: at % 65 };
        const second = mutate(new Uint8Array(sign(hash, bytes, options)));
        expect(core.rsapss(hash, pair, bytes, second)).toBe(!on);
        expect(core.rsapss(hash, pair, bytes, second, at % 65)).toBe(!on);
        expect(core.rsapss(hash, pair, bytes, second, (at % 65) + 1)).toBe(false);
      }),
      { numRuns: build === "checked" ? 6 : 15 },
    );
  });

  test("4096 bits, and the longest salt", () => {
    const pair = pairOf(4096);
    pairs.set(4096, pair);
    expect(core.rsassa("sha512", pair, message, sign("sha512", message, pair.privateKey))).toBe(
      true,
    );
    const options = { key: pair.privateKey, padding: PSS, saltLength: 512 - 20 - 2 };
    const signature = sign("sha1", message, options);
    expect(core.rsapss("sha1", pair, message, signature, 490)).toBe(true);
    expect(core.rsapss("sha1", pair, message, signature, 491)).toBe(false);
    expect(core.rsapss("sha1", pair, message, signature, 0x7fffffff)).toBe(false);
  });

  test("any valid exponent: 3, 17, 65537, 64 bits, as long as n", () => {
    const pair = pairOf(2048);
    const encoded = encodeSha256(core.hash("sha256", message), 256);
    for (const from of [3n, 17n, 65_537n, 2n ** 63n, pair.modulus - 100_001n]) {
      const exponent = exponentFrom(pair, from);
      const e = bytesOf(exponent);
      const signature = signEncoded(pair, exponent, encoded);
      expect(core.rsaKeyOk({ n: pair.n, e }), `${exponent}`).toBe(true);
      expect(core.rsassa("sha256", { n: pair.n, e }, message, signature)).toBe(true);
      signature[255] = (signature[255] ?? 0) ^ 1;
      expect(core.rsassa("sha256", { n: pair.n, e }, message, signature)).toBe(false);
    }
  });

  test("keys that may not be used: n even, tiny, oversized; e even, 0, 1, or not below n", () => {
    const { n, e, modulus } = pairOf(2048);
    const ok = (a: Uint8Array, b: Uint8Array): boolean => core.rsaKeyOk({ n: a, e: b });
    expect(ok(n, e)).toBe(true);
    for (const bad of [0n, 1n, 2n, 4n, 65_536n, modulus, modulus + 2n]) {
      expect(ok(n, bytesOf(bad)), `e = ${bad}`).toBe(false);
    }
    expect(ok(n, new Uint8Array())).toBe(false);
    expect(ok(n, numberBytes(3n, 5000))).toBe(true);
    expect(ok(n, bytesOf(2n ** 5000n + 1n))).toBe(false);
    for (const bad of [0n, 1n, 3n, modulus - 1n, 2n ** 2047n - 1n, 2n ** 4096n + 1n]) {
      expect(ok(bytesOf(bad), e)).toBe(false);
    }
    expect(ok(new Uint8Array(), e)).toBe(false);
    expect(ok(bytesOf(2n ** 2047n + 1n), e)).toBe(true);
    expect(ok(bytesOf(2n ** 4096n - 1n), e)).toBe(true);
  });

  test("exponent 1 does not make the encoding its own signature", () => {
    const { n } = pairOf(2048);
    const encoded = encodeSha256(core.hash("sha256", message), 256);
    expect(core.rsassa("sha256", { n, e: hex("01") }, message, encoded)).toBe(false);
  });

  test("leading zeros of n and e do not matter, those of a signature do", () => {
    const pair = pairOf(2048);
    const zeros = new Uint8Array(300);
    const key = { n: concat(zeros, pair.n), e: concat(zeros, pair.e) };
    const signature = new Uint8Array(sign("sha256", message, pair.privateKey));
    expect(core.rsassa("sha256", key, message, signature)).toBe(true);
    for (const other of [
      concat(new Uint8Array(1), signature),
      concat(signature, new Uint8Array(1)),
      signature.slice(1),
      signature.slice(0, 255),
      new Uint8Array(),
    ]) {
      expect(core.rsassa("sha256", pair, message, other)).toBe(false);
      expect(core.rsapss("sha256", pair, message, other)).toBe(false);
    }
  });

  test("a signature at or above n is refused, though it is the same residue", () => {
    const pair = pairOf(2049);
    for (let i = 0; ; i++) {
      const text = new TextEncoder().encode(`try ${i}`);
      const signature = new Uint8Array(sign("sha256", text, pair.privateKey));
      expect(core.rsassa("sha256", pair, text, signature)).toBe(true);
      const twin = numberBytes(toNumber(signature) + pair.modulus, 257);
      expect(core.rsassa("sha256", pair, text, twin)).toBe(false);
      if (i === 3) break;
    }
    const encoded = encodeSha256(core.hash("sha256", message), 257);
    expect(core.rsassa("sha256", pair, message, pair.n)).toBe(false);
    expect(core.rsassa("sha256", pair, message, encoded)).toBe(false);
  });

  test("RSASSA encodings with anything else in them are refused (Bleichenbacher 2006)", () => {
    const pair = pairOf(2048);
    const good = encodeSha256(core.hash("sha256", message), 256);
    const signed = (encoded: Uint8Array): boolean =>
      core.rsassa("sha256", pair, message, signEncoded(pair, 65_537n, encoded));
    expect(signed(good)).toBe(true);
    for (let at = 1; at < 256; at++) {
      if (at > 8 && at < 200 && at % 16 !== 0) continue;
      const changed = good.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(signed(changed), `byte ${at}`).toBe(false);
    }
    // Less padding, and garbage behind the digest.
    const garbage = concat(good.subarray(0, 10), good.subarray(202), new Uint8Array(192).fill(7));
    expect(garbage).toHaveLength(256);
    expect(signed(garbage)).toBe(false);
  });
});
