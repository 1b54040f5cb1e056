import { generateKeyPairSync } from "node:crypto";
import { chmod, mkdtemp, readFile, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PrivateError } from "../../../src/private.ts";
import { decode, encode } from "../../../src/wire/cbor.ts";
import type { CborMap, CborValue } from "../../../src/wire/cbor-value.ts";
import { WireError } from "../../../src/wire/error.ts";
import { readKeyFile, writeKeyFile } from "../../../src/wire/key-files.ts";
import {
  algorithmName,
  algorithmOf,
  type Curve,
  coseKeyOf,
  generateKey,
  publicKeyOf,
  signerOf,
  thumbprint,
  verifySignature,
} from "../../../src/wire/keys.ts";
import { encodePlain, parsePlain } from "../../../src/wire/objects.ts";
import { nodeKey, testSigner } from "../../support/keys.ts";
import { hex, refusal, unhex } from "../../support/wire.ts";

const CURVES: readonly Curve[] = ["Ed25519", "P-256", "P-384"];
const MESSAGE = new TextEncoder().encode("message");

test("the thumbprint of RFC 9679 §6", () => {
  const key = {
    kty: "EC2",
    crv: "P-256",
    x: hex("65eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d"),
    y: hex("1e52ed75701163f7f9e40ddf9f341b3dc9ba860af7e0ca7ca7e9eecd0084d19c"),
  } as const;
  expect(unhex(thumbprint(key))).toBe(
    "496bd8afadf307e5b08c64b0421bf9dc01528a344a43bda88fadd1669da253ec",
  );
});

describe.each(CURVES)("%s", (curve) => {
  const signer = testSigner("keys test", curve);

  test("generates, signs and verifies", async () => {
    const made = signerOf(generateKey(curve));
    const signature = await made.sign(MESSAGE);
    expect(signature).toHaveLength(algorithmOf(made.key).signatureBytes);
    expect(verifySignature(made.key, MESSAGE, signature)).toBe(true);
    expect(verifySignature(made.key, Uint8Array.of(...MESSAGE, 0), signature)).toBe(false);
    expect(verifySignature(signer.key, MESSAGE, signature)).toBe(false);
  });

  test("COSE_Key and node:crypto key are one", () => {
    expect(coseKeyOf(nodeKey(signer))).toEqual(signer.key);
    expect(coseKeyOf(publicKeyOf(signer.key))).toEqual(signer.key);
  });

  test("a signature of any other length is false, not an error", () => {
    const signature = signer.sign(MESSAGE);
    for (const wrong of [signature.subarray(1), Uint8Array.of(...signature, 0), new Uint8Array()]) {
      expect(verifySignature(signer.key, MESSAGE, wrong)).toBe(false);
    }
  });

  test("the algorithm follows from the key", () => {
    const { alg, name } = algorithmOf(signer.key);
    expect({ Ed25519: -19, "P-256": -9, "P-384": -51 }[curve]).toBe(alg);
    expect(algorithmName(alg)).toBe(name);
  });
});

test("other kinds of keys, and points off the curve, are refused", () => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey;
  expect(refusal(() => coseKeyOf(rsa)).message).toMatch(/rsa/);
  const k1 = generateKeyPairSync("ec", { namedCurve: "secp256k1" }).privateKey;
  expect(refusal(() => coseKeyOf(k1)).message).toMatch(/secp256k1/);
  const { key } = testSigner("keys test", "P-256");
  if (key.kty !== "EC2") throw new Error("no point");
  const off = { ...key, y: key.y.with(31, (key.y[31] ?? 0) ^ 1) };
  expect(refusal(() => publicKeyOf(off)).code).toBe("wire.key");
  expect(algorithmName(-7)).toBeNull();
});

describe("key files", () => {
  let root = "";
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "portcullis-keys-"));
  });
  afterAll(() => rm(root, { recursive: true }));

  const fresh = (() => {
    let n = 0;
    return () => join(root, `keys-${n++}`, "signing.pem");
  })();
  const made = async (curve: Curve = "Ed25519") => {
    const file = fresh();
    const key = nodeKey(testSigner("file", curve));
    await writeKeyFile(file, key);
    return { file, directory: join(file, ".."), key };
  };

  test.each(CURVES)("%s: written and read, 0600 in 0700", async (curve) => {
    const { file, directory, key } = await made(curve);
    expect((await stat(file)).mode & 0o7777).toBe(0o600);
    expect((await stat(directory)).mode & 0o7777).toBe(0o700);
    expect((await readFile(file, "utf8")).split("\n")[0]).toBe("-----BEGIN PRIVATE KEY-----");
    expect((await readKeyFile(file)).equals(key)).toBe(true);
  });

  test("the mode does not depend on the umask", async () => {
    const { directory, key } = await made();
    for (const umask of [0o000, 0o377]) {
      const file = join(directory, `umask-${umask}.pem`);
      const before = process.umask(umask);
      try {
        await writeKeyFile(file, key);
      } finally {
        process.umask(before);
      }
      expect((await stat(file)).mode & 0o7777).toBe(0o600);
    }
  });

  test("a key is never overwritten", async () => {
    const { file, key } = await made();
    await expect(writeKeyFile(file, generateKey("P-256"))).rejects.toThrow(/never overwritten/);
    expect((await readKeyFile(file)).equals(key)).toBe(true);
  });

  test.each([0o640, 0o604, 0o660, 0o610])("a file of mode %o is refused", async (mode) => {
    const { file } = await made();
    await chmod(file, mode);
    const error = await readKeyFile(file).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(PrivateError);
    expect(String(error)).toContain(file);
    expect(String(error)).toMatch(/chmod 600/);
  });

  test.each([0o750, 0o705, 0o1777])("a directory of mode %o is refused", async (mode) => {
    const { file, directory } = await made();
    await chmod(directory, mode);
    await expect(readKeyFile(file)).rejects.toThrow(/of mode 0700/);
    await expect(writeKeyFile(join(directory, "b.pem"), generateKey("P-256"))).rejects.toThrow(
      /of mode 0700/,
    );
  });

  test("a symbolic link is refused", async () => {
    const { file, directory } = await made();
    await rename(file, join(directory, "real.pem"));
    await symlink("real.pem", file);
    await expect(readKeyFile(file)).rejects.toThrow(file);
  });

  test("absent, empty, a public key, an encrypted or an unusable key: one clear line", async () => {
    const { file, directory } = await made();
    await expect(readKeyFile(join(directory, "absent.pem"))).rejects.toThrow(/does not exist/);
    const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const encrypted = {
      type: "pkcs8",
      format: "pem",
      cipher: "aes-256-cbc",
      passphrase: "x",
    } as const;
    const rows: [string | Buffer, RegExp][] = [
      ["", /not a PKCS#8/],
      [publicKey.export({ type: "spki", format: "pem" }), /not a PKCS#8/],
      [privateKey.export({ type: "pkcs1", format: "pem" }), /not a PKCS#8/],
      [privateKey.export(encrypted), /not a PKCS#8/],
      ["-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", /no private key/],
      [privateKey.export({ type: "pkcs8", format: "pem" }), /rsa: use Ed25519, P-256 or P-384/],
      ["x".repeat(20_000), /too large/],
    ];
    for (const [content, message] of rows) {
      await writeFile(file, content);
      const error = await readKeyFile(file).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(WireError);
      expect(String(error)).toMatch(message);
      expect(String(error)).not.toMatch(/AAAA|MII/);
    }
  });
});

describe("one key has one encoding (one key counted twice: GHSA-9vcr-p3rj-q5q6)", () => {
  const signer = testSigner("keys test", "P-256");
  const good = decode(encodePlain("key", signer.key)) as CborMap;
  const x = good.get(-2) as Uint8Array;
  const changes: [string, [number, CborValue][]][] = [
    ["a kid of its own", [[2, x]]],
    ["an algorithm of its own", [[3, -9]]],
    ["key operations", [[4, [2]]]],
    ["a compressed point", [[-3, true]]],
    ["a coordinate without its leading zero", [[-2, x.subarray(1)]]],
    ["a coordinate with one more", [[-2, Uint8Array.of(0, ...x)]]],
    ["the private key", [[-4, x]]],
    ["another curve of the same width", [[-1, 8]]], // secp256k1
    ["a curve of another key type", [[-1, 6]]],
    ["another key type", [[1, 4]]],
  ];
  test.each(changes)("%s is refused", (_why, entries) => {
    const bytes = encode(new Map([...good, ...entries]));
    expect(refusal(() => parsePlain("key", bytes)).code).toBe("wire.shape");
  });
});
