/**
 * The package surface, sentence by sentence: hash, verifySignature, enrolled keys' copies,
 * CoreError.
 */
import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { afterEach, describe, expect, test, vi } from "vitest";
import {
  type Core,
  CoreError,
  type CoreErrorCode,
  type HashName,
  loadCore,
  type PublicKey,
  type Scheme,
  type SignatureCheck,
} from "../../src/core/index.ts";
import { PortcullisError } from "../../src/errors.ts";

const HASHES = ["sha1", "sha256", "sha384", "sha512"] as const;
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const core = await loadCore();

/** Anything at all, in the place of a value of another type. */
const wrong = <T>(value: unknown): T => value as T;

function thrown(work: () => unknown): CoreError {
  try {
    work();
  } catch (error) {
    if (error instanceof CoreError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

afterEach(() => vi.restoreAllMocks());

describe("hash", () => {
  test.each(HASHES)("%s agrees with OpenSSL at every length around its blocks", (name) => {
    for (let length = 0; length <= 260; length++) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 7 + length) & 0xff);
      expect(Buffer.from(core.hash(name, bytes))).toEqual(createHash(name).update(bytes).digest());
    }
  });

  test.each(["", "SHA256", " sha256", "md5", "toString", "__proto__", "constructor", 2, null])(
    "there is no hash %j",
    (name) => {
      expect(thrown(() => core.hash(wrong<HashName>(name), text("x"))).code).toBe("input");
    },
  );

  test("only bytes, and no more than fit", () => {
    expect(thrown(() => core.hash("sha256", wrong("text"))).code).toBe("input");
    expect(thrown(() => core.hash("sha256", new Uint8Array(2 ** 25))).code).toBe("input");
    expect(core.hash("sha256", new Uint8Array(16_777_216))).toHaveLength(32);
  });
});

const fromUrl = (value = ""): Uint8Array => new Uint8Array(Buffer.from(value, "base64url"));
const MESSAGE = text("the message itself, not its digest");

interface Sample {
  readonly name: string;
  readonly scheme: Scheme;
  readonly key: PublicKey;
  readonly signature: Uint8Array;
}

function signed(hash: HashName | null, key: KeyObject, options: object = {}): Uint8Array {
  return new Uint8Array(sign(hash, MESSAGE, { key, dsaEncoding: "ieee-p1363", ...options }));
}

function ecdsaSamples(curve: "P-256" | "P-384"): Sample[] {
  const pair = generateKeyPairSync("ec", { namedCurve: curve });
  const { x, y } = pair.publicKey.export({ format: "jwk" });
  return HASHES.map((hash) => ({
    name: `ECDSA ${curve} ${hash}`,
    scheme: { type: "ecdsa", curve, hash },
    key: { x: fromUrl(x), y: fromUrl(y) },
    signature: signed(hash, pair.privateKey),
  }));
}

const PSS_PADDING = 6;
function rsaSamples(bits: number): Sample[] {
  const pair = generateKeyPairSync("rsa", { modulusLength: bits });
  const { n, e } = pair.publicKey.export({ format: "jwk" });
  const key = { n: fromUrl(n), e: fromUrl(e) };
  return HASHES.flatMap((hash): Sample[] => {
    const pss = (saltLength: number) =>
      signed(hash, pair.privateKey, { padding: PSS_PADDING, saltLength });
    const name = `RSA-${bits} ${hash}`;
    return [
      {
        name: `${name} PKCS1`,
        scheme: { type: "rsassa", hash },
        key,
        signature: signed(hash, pair.privateKey),
      },
      {
        name: `${name} PSS, salt 20`,
        scheme: { type: "rsapss", hash, saltLength: 20 },
        key,
        signature: pss(20),
      },
      {
        name: `${name} PSS, salt found`,
        scheme: { type: "rsapss", hash },
        key,
        signature: pss(17),
      },
    ];
  });
}

function ed25519Sample(): Sample {
  const pair = generateKeyPairSync("ed25519");
  const { x } = pair.publicKey.export({ format: "jwk" });
  const signature = signed(null, pair.privateKey);
  return { name: "Ed25519", scheme: { type: "ed25519" }, key: { x: fromUrl(x) }, signature };
}

const samples = [
  ...ecdsaSamples("P-256"),
  ...ecdsaSamples("P-384"),
  ...rsaSamples(2048),
  ed25519Sample(),
];
const checkOf = ({ scheme, key, signature }: Sample): SignatureCheck => ({
  scheme,
  key,
  message: MESSAGE,
  signature,
});
const sampleOf = (prefix: string): SignatureCheck => {
  const found = samples.find(({ name }) => name.startsWith(prefix));
  if (!found) throw new Error(`no sample ${prefix}`);
  return checkOf(found);
};
const P256 = sampleOf("ECDSA P-256 sha256");
const P384 = sampleOf("ECDSA P-384 sha384");
const RSA = sampleOf("RSA-2048 sha256");
const ED25519 = sampleOf("Ed25519");
const keyOf = <K extends PublicKey>(check: SignatureCheck): K => check.key as K;

describe("verifySignature", () => {
  test.each(samples)("$name", (sample) => {
    const check = checkOf(sample);
    expect(core.verifySignature(check)).toBe(true);
    const digest = core.hash("sha256", MESSAGE);
    expect(core.verifySignature({ ...check, message: digest })).toBe(false);
    for (const at of [0, 5, check.signature.length - 1]) {
      const signature = check.signature.slice();
      signature[at] = (signature[at] ?? 0) ^ 1;
      expect(core.verifySignature({ ...check, signature })).toBe(false);
    }
    for (const length of [0, 1, 63, 65, check.signature.length - 1, check.signature.length + 1]) {
      const signature = new Uint8Array(length);
      signature.set(check.signature.subarray(0, length));
      expect(core.verifySignature({ ...check, signature })).toBe(false);
    }
  });

  test("DER is no signature of ours, and neither is another salt length than the one asked for", () => {
    const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const { x, y } = pair.publicKey.export({ format: "jwk" });
    const der = signed("sha256", pair.privateKey, { dsaEncoding: "der" });
    const key = { x: fromUrl(x), y: fromUrl(y) };
    expect(core.verifySignature({ ...P256, key, signature: der })).toBe(false);
    const pss = sampleOf("RSA-2048 sha256 PSS, salt 20");
    const scheme = { type: "rsapss", hash: "sha256", saltLength: 21 } as const;
    expect(core.verifySignature({ ...pss, scheme })).toBe(false);
  });

  test("leading zeros of n and e are ignored", () => {
    const { n, e } = keyOf<{ n: Uint8Array; e: Uint8Array }>(RSA);
    const zeros = (bytes: Uint8Array) => new Uint8Array([...new Uint8Array(1_000), ...bytes]);
    expect(core.verifySignature({ ...RSA, key: { n: zeros(n), e: zeros(e) } })).toBe(true);
  });

  const { x, y } = keyOf<{ x: Uint8Array; y: Uint8Array }>(P256);
  const { n, e } = keyOf<{ n: Uint8Array; e: Uint8Array }>(RSA);
  const ones = (length: number): Uint8Array => new Uint8Array(length).fill(0xff);
  const values: readonly (readonly [string, SignatureCheck])[] = [
    ["a point that is not on the curve", { ...P256, key: { x, y: x } }],
    ["a coordinate beyond the field", { ...P256, key: { x: ones(32), y } }],
    ["the origin", { ...P256, key: { x: new Uint8Array(32), y: new Uint8Array(32) } }],
    ["a non-canonical Ed25519 key", { ...ED25519, key: { x: ones(32) } }],
    ["an Ed25519 key of small order", { ...ED25519, key: { x: new Uint8Array(32) } }],
    ["an even exponent", { ...RSA, key: { n, e: Uint8Array.of(4) } }],
    ["an exponent of 1", { ...RSA, key: { n, e: Uint8Array.of(1) } }],
    ["an exponent of 0", { ...RSA, key: { n, e: new Uint8Array(3) } }],
    ["no exponent", { ...RSA, key: { n, e: new Uint8Array(0) } }],
    ["an even modulus", { ...RSA, key: { n: n.with(255, 0), e } }],
  ];
  test.each(values)("an error of value is false: %s", (_, check) => {
    expect(core.verifySignature(check)).toBe(false);
  });

  const narrow = x.subarray(1);
  const shapes: readonly (readonly [string, CoreErrorCode, unknown])[] = [
    ["nothing", "input", undefined],
    ["no scheme", "input", { ...P256, scheme: undefined }],
    ["an unknown scheme", "input", { ...P256, scheme: { type: "none" } }],
    ["an unknown curve", "input", { ...P256, scheme: { ...P256.scheme, curve: "P-521" } }],
    ["an inherited curve", "input", { ...P256, scheme: { ...P256.scheme, curve: "toString" } }],
    ["an unknown hash", "input", { ...P256, scheme: { ...P256.scheme, hash: "md5" } }],
    ["a missing hash", "input", { ...RSA, scheme: { type: "rsassa" } }],
    ["no key", "input", { ...P256, key: null }],
    ["a key of text", "input", { ...P256, key: { x: "x", y: "y" } }],
    ["a narrow coordinate", "key.malformed", { ...P256, key: { x: narrow, y } }],
    ["a coordinate with a zero more", "key.malformed", { ...P256, key: { x, y: [0, ...y] } }],
    ["a P-384 key with P-256", "key.malformed", { ...P256, key: P384.key }],
    ["an EC key without y", "key.malformed", { ...P256, key: { x } }],
    ["an Ed25519 key with y", "key.malformed", { ...ED25519, key: { x, y } }],
    ["a narrow Ed25519 key", "key.malformed", { ...ED25519, key: { x: narrow } }],
    ["an EC key with RSA", "key.malformed", { ...RSA, key: P256.key }],
    ["a modulus of 2047 bits", "key.unsupported", { ...RSA, key: { n: n.with(0, 0x7f), e } }],
    ["a modulus of 4097 bits", "key.unsupported", { ...RSA, key: { n: [1, ...ones(512)], e } }],
    ["no modulus", "key.unsupported", { ...RSA, key: { n: new Uint8Array(0), e } }],
    ["a message of text", "input", { ...P256, message: "message" }],
    ["a signature of text", "input", { ...P256, signature: "signature" }],
    [
      "a salt of -1",
      "input",
      { ...RSA, scheme: { type: "rsapss", hash: "sha256", saltLength: -1 } },
    ],
    [
      "a salt of 1.5",
      "input",
      { ...RSA, scheme: { type: "rsapss", hash: "sha256", saltLength: 1.5 } },
    ],
  ];
  test.each(shapes)("an error of shape throws: %s", (_, code, check) => {
    const bytes = (value: unknown): unknown =>
      Array.isArray(value) ? Uint8Array.from(value) : value;
    const { key } = (check ?? {}) as { key?: object };
    const fixed = key
      ? Object.fromEntries(Object.entries(key).map(([name, value]) => [name, bytes(value)]))
      : key;
    const given = check === undefined ? check : { ...(check as object), key: fixed };
    const error = thrown(() => core.verifySignature(wrong(given)));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(/^\S.*\.$/);
  });

  test("an error of shape leaves the instance, and what was prepared in it, alone", () => {
    const start = vi.spyOn(WebAssembly, "Instance");
    for (let i = 0; i < 3; i++) {
      thrown(() => core.verifySignature({ ...P256, key: { x: narrow, y } }));
      thrown(() => core.hash("sha256", wrong("text")));
      expect(core.verifySignature(P256)).toBe(true);
    }
    expect(start).not.toHaveBeenCalled();
  });

  test("an enrolled key is a copy, also of a Buffer that is used again", async () => {
    const enrolling: Core = await loadCore();
    for (const check of [P256, P384, RSA, ED25519]) {
      const members = Object.entries(check.key).map(([name, value]) => [name, Buffer.from(value)]);
      const key = enrolling.enrollKey(Object.fromEntries(members));
      for (const [, buffer] of members) (buffer as Buffer).fill(0);
      expect(enrolling.verifySignature({ ...check, key })).toBe(true);
    }
  });
});

test("CoreError is an Error with a stable code, a sentence, and a place where there is one", () => {
  const error = thrown(() => core.hash("sha256", wrong(null)));
  expect(error).toBeInstanceOf(Error);
  expect(error).toBeInstanceOf(PortcullisError);
  expect(error).toMatchObject({ name: "CoreError", code: "input" });
  expect("offset" in error && error.offset !== undefined).toBe(false);
  const batch = thrown(() => core.verifyBatch([P256, { ...P256, message: wrong("text") }]));
  expect(batch.index).toBe(1);
});
