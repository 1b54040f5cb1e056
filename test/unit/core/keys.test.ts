/**
 * Prepared keys and batches: the answer never depends on size, order, tier, limit, or what else is
 * in the batch.
 */
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { type Core, CoreError, loadCore, type SignatureCheck } from "../../../src/core/index.ts";

interface Pair {
  key: { x: Uint8Array; y: Uint8Array };
  privateKey: KeyObject;
}

const fromBase64 = (text = ""): Uint8Array => new Uint8Array(Buffer.from(text, "base64url"));

function makePair(): Pair {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const { x, y } = publicKey.export({ format: "jwk" });
  return { key: { x: fromBase64(x), y: fromBase64(y) }, privateKey };
}

const SCHEME = { type: "ecdsa", curve: "P-256", hash: "sha256" } as const;
const pairs = Array.from({ length: 6 }, makePair);
const pairAt = (index: number): Pair => pairs[index % pairs.length] ?? makePair();

function makeCheck(pair: Pair, key: SignatureCheck["key"], text: string): SignatureCheck {
  const message = new TextEncoder().encode(text);
  const options = { key: pair.privateKey, dsaEncoding: "ieee-p1363" } as const;
  return {
    scheme: SCHEME,
    key,
    message,
    signature: new Uint8Array(sign("sha256", message, options)),
  };
}

function broken(check: SignatureCheck, at: number): SignatureCheck {
  const signature = check.signature.slice();
  signature[at % 64] = (signature[at % 64] ?? 0) ^ 0x10;
  return { ...check, signature };
}

const thrown = (work: () => unknown): CoreError => {
  try {
    work();
  } catch (error) {
    if (error instanceof CoreError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
};

describe.each(["simd", "scalar", "checked"] as const)("prepared keys, %s", (build) => {
  let core: Core;
  beforeAll(async () => {
    core = await loadCore({ build });
  });

  test("a batch answers as each of its members alone, whatever the tiers and the order", async () => {
    const other = await loadCore({ build });
    const tiers = ["cold", "warm", "hot", "hot", "warm"] as const;
    const handles = tiers.map((tier, i) => core.enrollKey(pairAt(i).key, { tier }));
    const member = fc.record({
      who: fc.nat(5),
      kind: fc.constantFrom("good", "good", "bit", "message", "length", "other key"),
      at: fc.nat(63),
    });
    const numRuns = build === "simd" ? 40 : 6;
    fc.assert(
      fc.property(fc.array(member, { maxLength: 24 }), (members) => {
        const checks = members.map(({ who, kind, at }, i) => {
          const key = handles[who] ?? pairAt(who).key;
          const check = makeCheck(pairAt(kind === "other key" ? who + 1 : who), key, `m ${i}`);
          if (kind === "bit") return broken(check, at);
          if (kind === "message") return { ...check, message: new Uint8Array(at) };
          if (kind === "length") return { ...check, signature: check.signature.slice(0, at) };
          return check;
        });
        const expected = checks.map((check, i) => {
          const key = pairAt(members[i]?.who ?? 0).key;
          return other.verifySignature({ ...check, key }) ? 1 : 0;
        });
        expect(expected).toEqual(members.map(({ kind }) => (kind === "good" ? 1 : 0)));
        expect([...core.verifyBatch(checks)]).toEqual(expected);
        expect(checks.map((check) => (core.verifySignature(check) ? 1 : 0))).toEqual(expected);
      }),
      { numRuns },
    );
    for (const handle of handles) core.forgetKey(handle);
  });

  test("one bad signature among 256 is found at every position", () => {
    const handle = core.enrollKey(pairAt(0).key, { tier: "hot" });
    const checks = Array.from({ length: 256 }, (_, i) => makeCheck(pairAt(0), handle, `${i}`));
    const step = build === "simd" ? 1 : 101;
    for (let at = 0; at < 256; at += step) {
      const batch = checks.with(
        at,
        broken(checks[at] ?? checks[0] ?? makeCheck(pairAt(0), handle, ""), at),
      );
      const answers = core.verifyBatch(batch);
      expect(answers.indexOf(0)).toBe(at);
      expect(answers.lastIndexOf(0)).toBe(at);
    }
    core.forgetKey(handle);
  });

  test("empty, duplicated, and larger than the scratch", () => {
    expect(core.verifyBatch([])).toEqual(new Uint8Array());
    const handle = core.enrollKey(pairAt(1).key);
    const one = makeCheck(pairAt(1), handle, "one");
    const count = build === "simd" ? 2500 : 70;
    const batch = Array.from({ length: count }, (_, i) => (i % 50 === 7 ? broken(one, i) : one));
    expect([...core.verifyBatch(batch)]).toEqual(batch.map((_, i) => (i % 50 === 7 ? 0 : 1)));
    const large = { ...one, message: new Uint8Array(5_000_000) };
    expect([...core.verifyBatch([large, one, large, one, large, large])]).toEqual([
      0, 1, 0, 1, 0, 0,
    ]);
    core.forgetKey(handle);
  });

  test("the limit of memory changes no answer, and the longest unused give way", async () => {
    const limits = build === "simd" ? [0, 70_000, 200_000, 400_000] : [0];
    for (const preparedKeyBytes of limits) {
      const small = await loadCore({ build, preparedKeyBytes });
      const handles = pairs.map(({ key }) => small.enrollKey(key, { tier: "hot" }));
      const checks = handles.map((handle, i) => makeCheck(pairAt(i), handle, `${i}`));
      const batch = checks.flatMap((check, i) => [check, broken(check, i)]);
      expect([...small.verifyBatch(batch)]).toEqual(batch.map((_, i) => 1 - (i % 2)));
      for (const handle of handles) small.forgetKey(handle);
    }
    await expect(loadCore({ build, preparedKeyBytes: -1 })).rejects.toThrow(CoreError);
  });

  test("handles: forgotten, foreign and look-alike ones throw; a key may have several", async () => {
    const [first, second] = [core.enrollKey(pairAt(2).key), core.enrollKey(pairAt(2).key)];
    const check = makeCheck(pairAt(2), second, "two handles");
    core.forgetKey(first);
    expect(core.verifySignature(check)).toBe(true);
    expect(thrown(() => core.forgetKey(first)).code).toBe("handle.unknown");
    expect(thrown(() => core.verifySignature({ ...check, key: first })).code).toBe(
      "handle.unknown",
    );
    const error = thrown(() => core.verifyBatch([check, { ...check, key: first }]));
    expect([error.code, error.index]).toEqual(["handle.unknown", 1]);
    const foreign = await loadCore({ build });
    expect(thrown(() => foreign.verifySignature(check)).code).toBe("handle.unknown");
    core.forgetKey(second);
    expect(thrown(() => core.verifyBatch([check])).code).toBe("handle.unknown");
  });

  test("enrollKey throws for shape and for value, verifyBatch for shape, with the index", () => {
    const { x, y } = pairAt(3).key;
    const tweaked = y.slice();
    tweaked[31] = (tweaked[31] ?? 0) ^ 1;
    for (const key of [
      { x, y: tweaked },
      { x: new Uint8Array(32).fill(255), y },
      { x: new Uint8Array(48), y: new Uint8Array(48) },
      { x: new Uint8Array(32).fill(255) },
      { x: x.slice(1), y },
      { x: x.slice(1) },
      { n: new Uint8Array(256).fill(254), e: new Uint8Array([1, 0, 1]) },
      { n: new Uint8Array(256).fill(255), e: new Uint8Array([1]) },
    ]) {
      expect(thrown(() => core.enrollKey(key)).code).toBe("key.malformed");
    }
    const short = { n: new Uint8Array(128).fill(255), e: new Uint8Array([1, 0, 1]) };
    expect(thrown(() => core.enrollKey(short)).code).toBe("key.unsupported");
    const good = makeCheck(pairAt(3), pairAt(3).key, "good");
    const wrong = { ...good, scheme: { ...SCHEME, hash: "md5" as "sha256" } };
    const error = thrown(() => core.verifyBatch([good, good, wrong]));
    expect([error.code, error.index]).toEqual(["input", 2]);
    expect([...core.verifyBatch([good, { ...good, key: { x, y: tweaked } }])]).toEqual([1, 0]);
  });

  test("keys of every scheme can be enrolled, and mixed in a batch", () => {
    const ed = generateKeyPairSync("ed25519");
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" });
    const message = new TextEncoder().encode("mixed");
    const jwk = {
      ed: ed.publicKey.export({ format: "jwk" }),
      rsa: rsa.publicKey.export({ format: "jwk" }),
      p384: p384.publicKey.export({ format: "jwk" }),
    };
    const options = { key: p384.privateKey, dsaEncoding: "ieee-p1363" } as const;
    const checks: SignatureCheck[] = [
      {
        scheme: { type: "ed25519" },
        key: core.enrollKey({ x: fromBase64(jwk.ed.x) }),
        message,
        signature: new Uint8Array(sign(null, message, ed.privateKey)),
      },
      {
        scheme: { type: "rsassa", hash: "sha256" },
        key: core.enrollKey(
          { n: fromBase64(jwk.rsa.n), e: fromBase64(jwk.rsa.e) },
          { tier: "hot" },
        ),
        message,
        signature: new Uint8Array(sign("sha256", message, rsa.privateKey)),
      },
      {
        scheme: { type: "ecdsa", curve: "P-384", hash: "sha384" },
        key: core.enrollKey({ x: fromBase64(jwk.p384.x), y: fromBase64(jwk.p384.y) }),
        message,
        signature: new Uint8Array(sign("sha384", message, options)),
      },
      makeCheck(pairAt(4), core.enrollKey(pairAt(4).key, { tier: "hot" }), "p256"),
    ];
    expect([...core.verifyBatch(checks)]).toEqual([1, 1, 1, 1]);
    const other = checks.map((check) => ({ ...check, message: new Uint8Array(3) }));
    expect([...core.verifyBatch([...checks, ...other])]).toEqual([1, 1, 1, 1, 0, 0, 0, 0]);
  });
});
