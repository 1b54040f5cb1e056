/** Enrolled RSA keys: the same answers as by the key itself, in every build. */
import { constants, createPrivateKey, sign } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import {
  type Core,
  type KeyHandle,
  loadCore,
  type SignatureCheck,
} from "../../../src/core/index.ts";
import { bytesOf, makeRsaPair, type RsaPair } from "../../support/rsa.ts";

const message = new TextEncoder().encode("a quote");
const pairs = [makeRsaPair(2048), makeRsaPair(2056, 3), makeRsaPair(3072)];

function pss(pair: RsaPair, saltLength: number): Uint8Array {
  const key = createPrivateKey(pair.privateKey.export({ format: "pem", type: "pkcs8" }));
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  return new Uint8Array(sign("sha256", message, { key, padding, saltLength }));
}

/** Checks by a key or its handle, and what they are worth. */
function checksOf(pair: RsaPair, key: SignatureCheck["key"]): [SignatureCheck, number][] {
  const rsassa = { type: "rsassa", hash: "sha256" } as const;
  const rsapss = { type: "rsapss", hash: "sha256" } as const;
  const signature = new Uint8Array(sign("sha256", message, pair.privateKey));
  const salted = pss(pair, 32);
  const changed = signature.with(7, (signature[7] ?? 0) ^ 1);
  return [
    [{ scheme: rsassa, key, message, signature }, 1],
    [{ scheme: rsassa, key, message, signature: changed }, 0],
    [{ scheme: rsassa, key, message, signature: signature.subarray(1) }, 0],
    [{ scheme: { ...rsassa, hash: "sha384" }, key, message, signature }, 0],
    [{ scheme: rsapss, key, message, signature }, 0],
    [{ scheme: rsapss, key, message, signature: salted }, 1],
    [{ scheme: { ...rsapss, saltLength: 32 }, key, message, signature: salted }, 1],
    [{ scheme: { ...rsapss, saltLength: 31 }, key, message, signature: salted }, 0],
    [{ scheme: { ...rsapss, saltLength: 0 }, key, message, signature: pss(pair, 0) }, 1],
    [{ scheme: rsapss, key, message: message.subarray(1), signature: salted }, 0],
  ];
}

describe.each(["simd", "scalar", "checked"] as const)("enrolled RSA keys, %s", (build) => {
  let core: Core;
  beforeAll(async () => {
    core = await loadCore({ build });
  });

  /** Compares answers by the key, by its handle, together and alone. */
  function compare(pair: RsaPair, handle: KeyHandle): void {
    for (const key of [{ n: pair.n, e: pair.e }, handle]) {
      const checks = checksOf(pair, key);
      const expected = checks.map(([, answer]) => answer);
      expect([...core.verifyBatch(checks.map(([check]) => check))]).toEqual(expected);
      expect(checks.map(([check]) => Number(core.verifySignature(check)))).toEqual(expected);
    }
  }

  test("RSASSA and PSS with any salt, by the key and by its handle", () => {
    for (const pair of pairs) compare(pair, core.enrollKey(pair, { tier: "hot" }));
  });

  test("leading zeros make no other key; a key that differs in high bits alone is another", () => {
    const [pair] = pairs as [RsaPair];
    const zeros = new Uint8Array(700);
    const n = new Uint8Array([...zeros, ...pair.n]);
    const e = new Uint8Array([...zeros, ...pair.e]);
    const other = { n: bytesOf(pair.modulus ^ (1n << 1500n)), e: pair.e };
    const another = { n: pair.n, e: Uint8Array.of(3) };
    const handles = [other, another, { n, e }].map((key) => core.enrollKey(key));
    const [[check]] = checksOf(pair, pair) as [[SignatureCheck, number]];
    const answers = handles.map((key) => Number(core.verifySignature({ ...check, key })));
    expect(answers).toEqual([0, 0, 1]);
    for (const handle of handles) core.forgetKey(handle);
  });

  test("without room for a record, and after a key was forgotten", async () => {
    const [pair] = pairs as [RsaPair];
    core = await loadCore({ build, preparedKeyBytes: 3000 });
    const handles = pairs.map((key) => core.enrollKey(key));
    for (const [index, key] of pairs.entries()) compare(key, handles[index] as KeyHandle);
    core.forgetKey(handles[0] as KeyHandle);
    compare(pair, core.enrollKey(pair));
  });
});
