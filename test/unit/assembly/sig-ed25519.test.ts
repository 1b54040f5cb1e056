import { generateKeyPairSync, sign, verify } from "node:crypto";
import { ed25519 } from "@noble/curves/ed25519.js";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { BUILDS } from "../../support/assembly.ts";
import { concat, hex, Signatures } from "../../support/signatures.ts";

const { Point } = ed25519;
const L = Point.Fn.ORDER;
const P = Point.Fp.ORDER;

const little = (value: bigint): Uint8Array =>
  new Uint8Array(Buffer.from(value.toString(16).padStart(64, "0"), "hex").reverse());
const number = (bytes: Uint8Array): bigint =>
  BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);

/** A point of order 8; its multiples are all points of small order. */
const TORSION = Point.fromHex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a");

describe.each(BUILDS)("sig/ed25519, %s", (build) => {
  let core: Signatures;
  beforeAll(async () => {
    core = await Signatures.load(build);
  });

  test("agrees with node:crypto on random and mutated signatures", () => {
    const pair = generateKeyPairSync("ed25519");
    const key = hex(
      Buffer.from(`${pair.publicKey.export({ format: "jwk" }).x}`, "base64url").toString("hex"),
    );
    const flip = fc.record({ on: fc.boolean(), at: fc.nat(63), bit: fc.nat(7) });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), flip, (message, { on, at, bit }) => {
        const signature = new Uint8Array(sign(null, message, pair.privateKey));
        if (on) signature[at] = (signature[at] ?? 0) ^ (1 << bit);
        const expected = verify(null, message, pair.publicKey, signature);
        expect(expected).toBe(!on);
        expect(core.ed25519(key, message, signature)).toBe(expected);
      }),
      { numRuns: 100 },
    );
  });

  test("agrees with @noble/curves over many keys", () => {
    const seed = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(seed, fc.uint8Array({ maxLength: 100 }), (secret, message) => {
        const key = ed25519.getPublicKey(secret);
        const signature = ed25519.sign(message, secret);
        expect(core.ed25519(key, message, signature)).toBe(true);
        expect(core.ed25519(key, concat(message, new Uint8Array(1)), signature)).toBe(false);
        expect(core.isEd25519Key(key)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  const secret = new Uint8Array(32).fill(5);
  const message = hex("00112233");
  const key = ed25519.getPublicKey(secret);
  const signature = ed25519.sign(message, secret);

  test("S + L, and other lengths, are refused", () => {
    expect(core.ed25519(key, message, signature)).toBe(true);
    const s = number(signature.subarray(32));
    for (let twin = s + L; twin < 2n ** 256n; twin += L) {
      const malleated = concat(signature.subarray(0, 32), little(twin));
      expect(core.ed25519(key, message, malleated)).toBe(false);
    }
    for (const length of [0, 1, 32, 63]) {
      expect(core.ed25519(key, message, signature.slice(0, length))).toBe(false);
    }
    expect(core.ed25519(key, message, concat(signature, new Uint8Array(1)))).toBe(false);
  });

  test("no point of small order is a key, and none is an R", () => {
    for (let k = 0n; k < 8n; k++) {
      const small = k === 0n ? Point.ZERO : TORSION.multiplyUnsafe(k);
      const encoding = small.toBytes();
      expect(core.isEd25519Key(encoding), `${k} times the torsion point`).toBe(false);
      expect(core.ed25519(encoding, message, concat(encoding, new Uint8Array(32)))).toBe(false);
    }
    expect(core.isEd25519Key(Point.BASE.add(TORSION).toBytes())).toBe(true);
  });

  test("a signature that only the cofactor saves is refused", () => {
    // R moved by a torsion point: 8·S·B = 8·R + 8·k·A still holds for the k of the new R.
    const { scalar } = ed25519.utils.getExtendedPublicKey(secret);
    const r = 123456789n;
    const R = Point.BASE.multiply(r).add(TORSION).toBytes();
    const digest = hashToScalar(core, concat(R, key, message));
    const forged = concat(R, little((r + digest * scalar) % L));
    expect(core.ed25519(key, message, forged)).toBe(false);
    const plain = Point.BASE.multiply(r).toBytes();
    const k = hashToScalar(core, concat(plain, key, message));
    expect(core.ed25519(key, message, concat(plain, little((r + k * scalar) % L)))).toBe(true);
  });

  test("encodings of keys are canonical and lie on the curve", () => {
    const sign = 2n ** 255n;
    for (let y = 0n; y < 40n; y++) {
      const plain = little(y);
      expect(core.isEd25519Key(plain), `y = ${y}`).toBe(valid(plain));
      expect(core.isEd25519Key(little(y + sign)), `y = ${y}, x odd`).toBe(valid(little(y + sign)));
      // y + p names the same point: one encoding of it only is a key.
      if (y < 19n) {
        expect(core.isEd25519Key(little(P + y))).toBe(false);
        expect(core.isEd25519Key(little(P + y + sign))).toBe(false);
      }
    }
    expect(core.isEd25519Key(little(1n + sign))).toBe(false); // x = 0, called odd
    expect(core.isEd25519Key(new Uint8Array(32).fill(255))).toBe(false);
  });
});

function valid(encoding: Uint8Array): boolean {
  try {
    return !Point.fromBytes(encoding).isSmallOrder();
  } catch {
    return false;
  }
}

const hashToScalar = (core: Signatures, bytes: Uint8Array): bigint =>
  BigInt(`0x${Buffer.from(core.hash("sha512", bytes)).reverse().toString("hex")}`) % L;
