import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseAttest } from "../../../src/tpm/structures/attest.ts";
import { concat, leftPad, sized, u16, u32 } from "../../../src/tpm/structures/bytes.ts";
import { TPM_ALG, TPM_RH } from "../../../src/tpm/structures/constants.ts";
import { TpmFormatError } from "../../../src/tpm/structures/errors.ts";
import { kdfA, kdfE, shareSecret } from "../../../src/tpm/structures/kdf.ts";
import { encodeNvPublic, nvName } from "../../../src/tpm/structures/nv-public.ts";
import { encodePcrSelection, pcrDigest } from "../../../src/tpm/structures/pcr.ts";
import {
  computeName,
  encodePublic,
  parsePublic,
  qualifiedName,
  toKeyObject,
} from "../../../src/tpm/structures/public.ts";
import { parseSignature, verifyTpmSignature } from "../../../src/tpm/structures/signature.ts";
import {
  akProblem,
  akTemplate,
  EK_TEMPLATES,
  ekTemplateOf,
  STORAGE_TEMPLATE,
} from "../../../src/tpm/structures/templates.ts";
import { describeVectors } from "../../support/vectors.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const bytes = (text: string): Uint8Array =>
  new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"));
const file = (path: string): Uint8Array => new Uint8Array(readFileSync(path));

/**
 * A parser owns all of its bytes: cut anywhere or with one more, it refuses, and with its own
 * error.
 */
function expectExact(whole: Uint8Array, parse: (input: Uint8Array) => unknown): void {
  expect(() => parse(whole)).not.toThrow();
  for (let length = 0; length < whole.length; length++) {
    expect(() => parse(whole.slice(0, length)), `${length} bytes`).toThrow(TpmFormatError);
  }
  expect(() => parse(concat(whole, Uint8Array.of(0)))).toThrow(TpmFormatError);
}

describe("TPMT_PUBLIC", () => {
  const keys = [
    ...EK_TEMPLATES.map(({ id, template }) => [id, template] as const),
    ["AK, ECC", akTemplate("ecc")] as const,
    ["AK, RSA", akTemplate("rsa")] as const,
    ["storage", STORAGE_TEMPLATE] as const,
  ];
  test.each(keys)("%s is encoded as it is parsed, exactly", (_, template) => {
    const encoded = encodePublic(template);
    expect(parsePublic(encoded)).toEqual(template);
    expectExact(encoded, parsePublic);
  });

  test("any bytes parse, or are refused as malformed", () => {
    const start = encodePublic(akTemplate("ecc"));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(30), (noise, at) => {
        const input = concat(start.slice(0, at), noise);
        try {
          expect(hex(encodePublic(parsePublic(input)))).toBe(hex(input));
        } catch (error) {
          expect(error).toBeInstanceOf(TpmFormatError);
        }
      }),
    );
  });

  test("a point off its curve is no key", () => {
    const off = { ...akTemplate("ecc"), type: TPM_ALG.ECC, curveID: 3, kdf: null };
    const key = { ...off, x: new Uint8Array(32).fill(1), y: new Uint8Array(32).fill(1) };
    expect(() => toKeyObject(key)).toThrow(TpmFormatError);
    const ek = {
      ...STORAGE_TEMPLATE,
      type: TPM_ALG.ECC,
      curveID: 3,
      kdf: null,
      x: key.x,
      y: key.y,
    };
    expect(() => shareSecret(ek, "SECRET")).toThrow(TpmFormatError);
  });

  test("templates of EKs are told apart from everything else", () => {
    for (const { id, template } of EK_TEMPLATES) {
      expect(ekTemplateOf(template)?.id).toBe(id);
      for (let bit = 0; bit < 32; bit++) {
        const objectAttributes = (template.objectAttributes ^ (1 << bit)) >>> 0;
        expect(ekTemplateOf({ ...template, objectAttributes }), `${id} bit ${bit}`).toBeNull();
      }
      const authPolicy = template.authPolicy.map((byte, i) => (i === 0 ? byte ^ 1 : byte));
      expect(ekTemplateOf({ ...template, authPolicy })).toBeNull();
      expect(ekTemplateOf({ ...template, symmetric: null })).toBeNull();
    }
    expect(ekTemplateOf(akTemplate("ecc"))).toBeNull();
    expect(ekTemplateOf(STORAGE_TEMPLATE)).toBeNull();
  });
});

describe("an attestation key", () => {
  const ak = {
    ...akTemplate("ecc"),
    type: TPM_ALG.ECC,
    curveID: 3,
    kdf: null,
    x: new Uint8Array(32),
    y: new Uint8Array(32),
  };

  test("may differ from ours only in who may use it", () => {
    // TPMA_OBJECT bits 2 stClear, 6 userWithAuth, 7 adminWithPolicy, 10 noDA (Part 2 §8.3).
    const free = [2, 6, 7, 10];
    for (let bit = 0; bit < 32; bit++) {
      const objectAttributes = (ak.objectAttributes ^ (1 << bit)) >>> 0;
      const problem = akProblem({ ...ak, objectAttributes });
      expect(problem === null, `bit ${bit}`).toBe(free.includes(bit));
    }
  });

  test.each([
    ["no scheme", { ...ak, scheme: null }],
    ["SHA-1", { ...ak, scheme: { scheme: TPM_ALG.ECDSA, hash: TPM_ALG.SHA1 } }],
    ["ECDAA", { ...ak, scheme: { scheme: TPM_ALG.ECDAA, hash: TPM_ALG.SHA256, count: 1 } }],
    ["an RSA scheme", { ...ak, scheme: { scheme: TPM_ALG.RSASSA, hash: TPM_ALG.SHA256 } }],
    ["P-521", { ...ak, curveID: 5 }],
    ["a Name by SHA-1", { ...ak, nameAlg: TPM_ALG.SHA1 }],
    [
      "a symmetric algorithm",
      { ...ak, symmetric: { algorithm: TPM_ALG.AES, keyBits: 128, mode: TPM_ALG.CFB } },
    ],
  ])("is none with %s", (_, key) => {
    expect(akProblem(ak)).toBeNull();
    expect(akProblem(key)).not.toBeNull();
  });

  test("is none as RSA-1024, or with a modulus of another size", () => {
    const rsa = {
      ...akTemplate("rsa"),
      type: TPM_ALG.RSA,
      keyBits: 2048,
      exponent: 0,
      n: new Uint8Array(256),
    };
    expect(akProblem(rsa)).toBeNull();
    expect(akProblem({ ...rsa, keyBits: 1024, n: new Uint8Array(128) })).toMatch(/1024/);
    expect(akProblem({ ...rsa, n: new Uint8Array(255) })).toMatch(/modulus/);
  });
});

describe("PCR selections", () => {
  test("Part 2 §10.6.1: PCR n is bit n mod 8 of byte n div 8", () => {
    const encoded = encodePcrSelection([{ hash: TPM_ALG.SHA256, pcrs: [0, 7, 8, 23] }]);
    expect(hex(encoded)).toBe("00000001000b03810180");
    expect(() => encodePcrSelection([{ hash: TPM_ALG.SHA256, pcrs: [24] }])).toThrow(RangeError);
    expect(() => encodePcrSelection([{ hash: TPM_ALG.SHA256, pcrs: [-1] }])).toThrow(RangeError);
  });

  test("an unknown hash has no digest", () => {
    expect(() => pcrDigest(TPM_ALG.SM3_256, [])).toThrow(TpmFormatError);
  });
});

describe("TPMS_ATTEST", () => {
  const clock = "0000000000000001 00000002 00000003 01";
  const quote = (
    magic = "ff544347",
    type = "8018",
    tail = "00000001 000b 03 010000 0000",
  ): Uint8Array => bytes(`${magic} ${type} 0002 000b 0001 aa ${clock} 0000000000000004 ${tail}`);

  test("is read in all its fields", () => {
    expect(parseAttest(quote())).toEqual({
      qualifiedSigner: bytes("000b"),
      extraData: bytes("aa"),
      clockInfo: { clock: 1n, resetCount: 2, restartCount: 3, safe: true },
      firmwareVersion: 4n,
      attested: {
        type: "quote",
        pcrSelect: [{ hash: 11, pcrs: [0] }],
        pcrDigest: new Uint8Array(),
      },
    });
    expectExact(quote(), parseAttest);
  });

  test.each([
    ["CVE-2024-29038: the magic of no TPM", quote("ff544346")],
    ["an unknown type", quote("ff544347", "8013")],
    ["a selection count beyond reason", quote("ff544347", "8018", "ffffffff")],
    ["safe that is neither YES nor NO", bytes(hex(quote()).replace("0000000301", "0000000302"))],
  ])("%s is refused", (_, input) => {
    expect(() => parseAttest(input)).toThrow(TpmFormatError);
  });
});

describe("TPMT_SIGNATURE", () => {
  test.each([
    ["RSASSA", bytes("0014 000b 0003 010203")],
    ["RSAPSS", bytes("0016 000b 0003 010203")],
    ["ECDSA", bytes("0018 000b 0001 01 0002 0203")],
  ])("%s is read exactly", (_, input) => expectExact(input, parseSignature));

  test.each([
    ["HMAC", "0005 000b 0001 01"],
    ["no scheme", "0010"],
    ["r wider than any curve", `0018 000b 0043 ${"01".repeat(67)} 0001 01`],
  ])("%s is refused", (_, text) => {
    expect(() => parseSignature(bytes(text))).toThrow(TpmFormatError);
  });

  test("the signature does not choose its algorithm", () => {
    const key = {
      ...akTemplate("ecc"),
      type: TPM_ALG.ECC,
      curveID: 3,
      kdf: null,
      x: new Uint8Array(32),
      y: new Uint8Array(32),
    };
    for (const other of [
      "0014 000b 0001 01",
      "0018 0004 0001 01 0001 01",
      "0018 000c 0001 01 0001 01",
    ]) {
      expect(verifyTpmSignature(key, new Uint8Array(), bytes(other))).toBe(false);
    }
  });
});

describe("key derivation", () => {
  const [u, v] = [Uint8Array.of(1), Uint8Array.of(2)];
  const key = new Uint8Array(32).fill(1);

  test("KDFa hashes the length: a shorter key is no prefix of a longer one", () => {
    const long = kdfA(TPM_ALG.SHA256, key, "CFB", u, v, 512);
    expect(long).toHaveLength(64);
    expect(hex(long.subarray(0, 32))).not.toBe(hex(kdfA(TPM_ALG.SHA256, key, "CFB", u, v, 256)));
  });

  test("KDFe does not, and both depend on label and parties", () => {
    const long = kdfE(TPM_ALG.SHA256, key, "SECRET", u, v, 512);
    const short = kdfE(TPM_ALG.SHA256, key, "SECRET", u, v, 256);
    expect(hex(long.subarray(0, 32))).toBe(hex(short));
    expect(hex(short)).not.toBe(hex(kdfE(TPM_ALG.SHA256, key, "IDENTITY", u, v, 256)));
    expect(hex(short)).not.toBe(hex(kdfE(TPM_ALG.SHA256, key, "SECRET", v, u, 256)));
  });
});

describe("bytes", () => {
  test("leftPad keeps the number", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 32 }), (input) => {
        const padded = leftPad(input, 32);
        expect(padded).toHaveLength(32);
        expect(BigInt(`0x0${hex(padded)}`)).toBe(BigInt(`0x0${hex(input)}`));
      }),
    );
    expect(() => leftPad(new Uint8Array(33).fill(1), 32)).toThrow(RangeError);
    expect(leftPad(concat(Uint8Array.of(0), new Uint8Array(32).fill(1)), 32)).toHaveLength(32);
  });

  test("numbers are big-endian", () => {
    expect(hex(concat(u16(0x1234), u32(0x80000001), sized(Uint8Array.of(9))))).toBe(
      "123480000001000109",
    );
  });
});

describeVectors("boots of a virtual machine", (vectors) => {
  const root = join(vectors, "measured-boot-ek");
  const folders = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.name === "expected.json")
    .map((entry) => entry.parentPath);

  test.each(folders)("%s: names, qualified names, quotes", (folder) => {
    const at = (name: string): Uint8Array => file(join(folder, name));
    const ek = at("ek-rsa2048.TPMT_PUBLIC.bin");
    expect(hex(computeName(ek))).toBe(hex(at("ek-rsa2048.name.bin")));
    expect(ekTemplateOf(parsePublic(ek))?.id).toBe("L-1");
    for (const kind of ["ecc", "rsa"]) {
      const area = at(`ak-${kind}.TPMT_PUBLIC.bin`);
      const ak = parsePublic(area);
      expect(hex(encodePublic(ak))).toBe(hex(area));
      expectExact(area, parsePublic);
      expect(akProblem(ak)).toBeNull();
      expect(hex(computeName(area))).toBe(hex(at(`ak-${kind}.name.bin`)));
      const names = [computeName(ek), computeName(area)];
      const qualified = hex(qualifiedName(TPM_RH.ENDORSEMENT, names));
      expect(qualified).toBe(hex(at(`ak-${kind}.qualifiedname.bin`)));
      const quotes = readdirSync(folder).filter((name) => name.startsWith(`quote-${kind}`));
      for (const name of quotes.filter((one) => one.endsWith("TPMS_ATTEST.bin"))) {
        const attest = at(name);
        const signature = at(name.replace("TPMS_ATTEST", "TPMT_SIGNATURE"));
        expect(verifyTpmSignature(ak, attest, signature)).toBe(true);
        const changed = attest.map((byte, i) => (i === attest.length - 1 ? byte ^ 1 : byte));
        expect(verifyTpmSignature(ak, changed, signature)).toBe(false);
        expect(hex(parseAttest(attest).qualifiedSigner)).toBe(qualified);
        expectExact(attest, parseAttest);
        expectExact(signature, parseSignature);
      }
    }
  });

  test("NV counters: the Name of the index, and what is certified of it", () => {
    const steps = folders.filter((folder) => folder.includes("nv-counter"));
    expect(steps).toHaveLength(5);
    for (const step of steps) {
      const at = (name: string): Uint8Array => file(join(step, name));
      const area = at("nv-index.TPMS_NV_PUBLIC.bin");
      const view = new DataView(area.buffer, area.byteOffset);
      const nv = {
        nvIndex: view.getUint32(0),
        nameAlg: view.getUint16(4),
        attributes: view.getUint32(6),
        authPolicy: new Uint8Array(),
        dataSize: view.getUint16(area.length - 2),
      };
      expect(hex(encodeNvPublic(nv))).toBe(hex(area));
      expect(hex(nvName(nv))).toBe(hex(at("nv-index.name.bin")));
      for (const kind of ["ecc", "rsa"]) {
        const attest = at(`nvcertify-${kind}.TPMS_ATTEST.bin`);
        const { attested } = parseAttest(attest);
        expect(attested).toMatchObject({ type: "nv", indexName: nvName(nv), offset: 0 });
        expectExact(attest, parseAttest);
        const ak = parsePublic(at(`ak-${kind}.TPMT_PUBLIC.bin`));
        const signature = at(`nvcertify-${kind}.TPMT_SIGNATURE.bin`);
        expect(verifyTpmSignature(ak, attest, signature)).toBe(true);
      }
    }
  });
});
