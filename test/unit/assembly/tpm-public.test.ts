/** TPMT_PUBLIC, Names and qualified names, field by field. */
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  AK_ATTRIBUTES,
  AK_TYPES,
  type AkType,
  concat,
  nameOf,
  qualifiedUnder,
  softwareAk,
  tpm2b,
  u8,
  u16,
  u32,
} from "../../support/ak.ts";
import { BUILDS } from "../../support/assembly.ts";
import { seeded } from "../../support/keys.ts";
import { TpmCore } from "../../support/tpm-core.ts";
import { joined, publicFields } from "../../support/tpm-structures.ts";

const types = Object.keys(AK_TYPES) as AkType[];
const ecc = softwareAk("ecdsa-p256").publicArea;
const rsa = softwareAk("rsassa-2048").publicArea;
const NULL = u16(0x0010);
const LEFT_OUT = new Uint8Array();
const KEY = "environment.quote-key";

describe.each(BUILDS)("%s", async (build) => {
  const core = await TpmCore.load(build);

  test.each(types)("%s: a key, its Name and its qualified names", (type) => {
    const { publicArea, name, qualifiedName } = softwareAk(type);
    expect(core.parsePublic(publicArea)).toBeNull();
    expect(core.checkAttestationKey()).toBeNull();
    expect(core.name()).toEqual(name);
    expect(core.qualifiedName(nameOf(seeded("ak's EK")), name)).toEqual(qualifiedName);
    expect(core.qualifiedName(null, name)).toEqual(qualifiedUnder(u32(0x4000000b), name));
  });
});

describe("parsing", async () => {
  const core = await TpmCore.load("checked");

  test.each(types)("%s: no cut parses, nothing may trail", (type) => {
    const { publicArea } = softwareAk(type);
    for (let length = 0; length < publicArea.length; length++) {
      core.reset();
      expect(core.parsePublic(publicArea.subarray(0, length))).toBe(KEY);
      // What failed to parse leaves no key behind: neither a Name nor an attestation key.
      expect(core.checkAttestationKey()).toBe(KEY);
      expect(core.name()).toHaveLength(0);
    }
    expect(core.parsePublic(concat(publicArea, u8(0)))).toBe(KEY);
    expect(core.parsePublic(concat(publicArea, new Uint8Array(1024)))).toBe(KEY);
  });

  const long = tpm2b(new Uint8Array(2048).fill(0x80));
  const malformed: readonly (readonly [string, Uint8Array, Record<string, Uint8Array>])[] = [
    ["a keyed hash", ecc, { type: u16(0x0008) }],
    ["an RSA type around an ECC key", ecc, { type: u16(0x0001) }],
    ["an ECC type around an RSA key", rsa, { type: u16(0x0023) }],
    ["a nameAlg that is no hash", ecc, { nameAlg: NULL }],
    ["a nameAlg that the core lacks (SM3)", ecc, { nameAlg: u16(0x0012) }],
    ["an authPolicy of another width", ecc, { authPolicy: tpm2b(new Uint8Array(20)) }],
    ["an authPolicy longer than what is left", ecc, { authPolicy: u16(0xffff) }],
    ["a symmetric algorithm", ecc, { symmetric: concat(u16(0x0006), u16(128), u16(0x0043)) }],
    ["RSAPSS on ECC", ecc, { scheme: u16(0x0016) }],
    ["ECDSA on RSA", rsa, { scheme: u16(0x0018) }],
    ["ECDAA, which has a count", ecc, { scheme: u16(0x001a), schemeHash: u32(0x000b_0001) }],
    ["P-521", ecc, { curve: u16(0x0005) }],
    ["BN-256", ecc, { curve: u16(0x0010) }],
    ["a key derivation", ecc, { kdf: u32(0x0020_000b) }],
    ["a key derivation without its hash", ecc, { kdf: u16(0x0020) }],
    ["an x wider than the curve", ecc, { x: tpm2b(new Uint8Array(33)) }],
    ["a y wider than what is left", ecc, { y: u16(0xffff) }],
    ["1024 bits", rsa, { keyBits: u16(1024), modulus: tpm2b(new Uint8Array(128).fill(0x81)) }],
    ["8192 bits", rsa, { keyBits: u16(8192), modulus: tpm2b(new Uint8Array(1024).fill(0x81)) }],
    ["2056 bits", rsa, { keyBits: u16(2056), modulus: tpm2b(new Uint8Array(257).fill(0x81)) }],
    ["a modulus longer than it says", rsa, { keyBits: u16(3072) }],
    [
      "a modulus of fewer bits than it says",
      rsa,
      { modulus: tpm2b(new Uint8Array(256).fill(0x7f)) },
    ],
    ["more than 1,024 bytes", rsa, { modulus: long }],
  ];
  test.each(malformed)("%s", (_, area, change) => {
    expect(core.parsePublic(joined(publicFields(area), change))).toBe(KEY);
  });

  test("nameAlg is any of the four hashes, and the policy as wide as it", () => {
    const hashes = {
      sha1: [0x0004, 20],
      sha256: [0x000b, 32],
      sha384: [0x000c, 48],
      sha512: [0x000d, 64],
    };
    for (const [hash, [id = 0, width = 0]] of Object.entries(hashes)) {
      const authPolicy = tpm2b(new Uint8Array(width));
      const area = joined(publicFields(ecc), { nameAlg: u16(id), authPolicy });
      expect(core.parsePublic(area)).toBeNull();
      const digest = createHash(hash).update(area).digest();
      const name = concat(u16(id), digest);
      expect(core.name()).toEqual(name);
      // The hash of a qualified name is the object's own, not its parent's (Part 1 §26.4).
      const parent = concat(u16(0x000c), seeded("EK", 48));
      const ek = createHash("sha384").update(u32(0x4000000b)).update(parent).digest();
      const own = createHash(hash)
        .update(concat(u16(0x000c), ek))
        .update(name)
        .digest();
      expect(core.qualifiedName(parent, name)).toEqual(concat(u16(id), own));
    }
  });

  test("coordinates may lack their leading zeros", () => {
    // A key whose x begins with a zero byte, in both forms.
    let i = 0;
    let fields = publicFields(ecc);
    while ((fields.get("x")?.[2] ?? 1) !== 0) {
      fields = publicFields(softwareAk("ecdsa-p256", `short ${i++}`).publicArea);
    }
    const x = fields.get("x") ?? new Uint8Array();
    for (const form of [x, tpm2b(x.subarray(3))]) {
      expect(core.parsePublic(joined(fields, { x: form }))).toBeNull();
      expect(core.checkAttestationKey()).toBeNull();
    }
  });

  test("a Name that is none has no qualified name", () => {
    const name = nameOf(seeded("object"));
    const others = [LEFT_OUT, u8(0), u16(0x000b), concat(name, u8(0)), name.subarray(0, 33)];
    for (const bad of [...others, concat(u16(0x0012), seeded("SM3"))]) {
      expect(core.qualifiedName(null, bad)).toHaveLength(0);
      expect(core.qualifiedName(bad, name)).toHaveLength(0);
    }
  });
});

describe("an attestation key", async () => {
  const core = await TpmCore.load("checked");
  const check = (area: Uint8Array): string | null =>
    core.parsePublic(area) ?? core.checkAttestationKey();
  const bits = { fixedTPM: 1, fixedParent: 4, sensitiveDataOrigin: 5, restricted: 16, sign: 18 };

  test.each(Object.entries(bits))("has %s", (_, bit) => {
    const attributes = AK_ATTRIBUTES & ~(1 << bit);
    expect(check(softwareAk("ecdsa-p256", "ak", attributes).publicArea)).toBe(KEY);
  });

  const indifferent = { stClear: 2, userWithAuth: 6, adminWithPolicy: 7, noDA: 10 };
  test("has no other attribute but four that say nothing about what it signs", () => {
    for (let bit = 0; bit < 32; bit++) {
      if (AK_ATTRIBUTES & (1 << bit)) continue;
      const area = softwareAk("ecdsa-p256", "ak", AK_ATTRIBUTES | (1 << bit)).publicArea;
      const fine = Object.values(indifferent).includes(bit);
      expect(check(area), `bit ${bit}`).toBe(fine ? null : KEY);
    }
    for (const bit of [indifferent.userWithAuth, indifferent.noDA]) {
      const area = softwareAk("ecdsa-p256", "ak", AK_ATTRIBUTES & ~(1 << bit)).publicArea;
      expect(check(area)).toBeNull();
    }
  });

  const unusable: readonly (readonly [string, Uint8Array, Record<string, Uint8Array>])[] = [
    ["no scheme: its caller would choose one", ecc, { scheme: NULL, schemeHash: LEFT_OUT }],
    ["no RSA scheme", rsa, { scheme: NULL, schemeHash: LEFT_OUT }],
    ["a hash that is none", ecc, { schemeHash: NULL }],
    ["a hash that the core lacks", rsa, { schemeHash: u16(0x0027) }],
    ["a point off its curve", ecc, { y: tpm2b(seeded("y")) }],
    ["no point", ecc, { x: tpm2b(LEFT_OUT), y: tpm2b(LEFT_OUT) }],
    ["an exponent of 1", rsa, { exponent: u32(1) }],
    ["an even exponent", rsa, { exponent: u32(65536) }],
    ["an even modulus", rsa, { modulus: tpm2b(new Uint8Array(256).fill(0x80)) }],
  ];
  test.each(unusable)("does not have %s", (_, area, change) => {
    const changed = joined(publicFields(area), change);
    expect(core.parsePublic(changed)).toBeNull();
    expect(core.checkAttestationKey()).toBe(KEY);
  });

  test("may name its exponent", () => {
    expect(check(joined(publicFields(rsa), { exponent: u32(65537) }))).toBeNull();
  });
});
