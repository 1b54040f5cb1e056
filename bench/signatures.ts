/** Signature suites: our core against node:crypto (OpenSSL), @noble/curves and WebCrypto. */
import { verify, webcrypto } from "node:crypto";
import { ed25519 } from "@noble/curves/ed25519.js";
import { p256, p384 } from "@noble/curves/nist.js";
import type { Core, SignatureCheck, Tier } from "../src/core/index.ts";
import { type Signed, signEcdsa, signEd25519, signRsa } from "./fixtures.ts";
import type { Scale, Subject, Suite } from "./measure.ts";

/** Gives one index after the other, round and round. */
export function turns(length: number): () => number {
  let next = 0;
  return () => {
    const index = next;
    next = (next + 1) % length;
    return index;
  };
}

export const insist = (valid: boolean): void => {
  if (!valid) throw new Error("a valid signature was refused");
};

/** One item of a list that is never empty. */
export function pick<T>(items: readonly T[], index: number): T {
  const item = items[index];
  if (item === undefined) throw new Error(`there is no item ${index}`);
  return item;
}

function native(signed: readonly Signed[]): Subject {
  const turn = turns(signed.length);
  return {
    name: "node:crypto",
    operations: 1,
    run: () => {
      const one = pick(signed, turn());
      const { hash, key, signature } = one.native;
      insist(verify(hash, one.message, key, signature));
    },
  };
}

function web(
  signed: readonly Signed[],
  algorithm: webcrypto.RsaHashedImportParams | webcrypto.EcKeyImportParams | { name: string },
): Subject {
  const { subtle } = webcrypto;
  const keys = new Map<Signed, webcrypto.CryptoKey>();
  const turn = turns(signed.length);
  return {
    name: "WebCrypto",
    operations: 1,
    run: async () => {
      const one = pick(signed, turn());
      let key = keys.get(one);
      if (key === undefined) {
        const jwk = one.native.key.export({ format: "jwk" });
        key = await subtle.importKey("jwk", jwk, algorithm, false, ["verify"]);
        keys.set(one, key);
      }
      insist(await subtle.verify(algorithm, key, one.signature, one.message));
    },
  };
}

function noble(signed: readonly Signed[]): Subject {
  const turn = turns(signed.length);
  const keys = signed.map(({ key }) => {
    if (!("x" in key)) throw new Error("@noble/curves has no RSA");
    return "y" in key ? new Uint8Array(Buffer.concat([Uint8Array.of(4), key.x, key.y])) : key.x;
  });
  const run = (): void => {
    const index = turn();
    const { scheme, message, signature } = pick(signed, index);
    const key = pick(keys, index);
    if (scheme.type === "ed25519") insist(ed25519.verify(signature, message, key));
    else {
      const curve = scheme.type === "ecdsa" && scheme.curve === "P-384" ? p384 : p256;
      insist(curve.verify(signature, message, key, { lowS: false }));
    }
  };
  return { name: "@noble/curves", operations: 1, run };
}

/**
 * Our core over checks in groups of `size`, one group after the other; size 1 is `verifySignature`.
 */
function ours(
  core: Core,
  name: string,
  checks: readonly SignatureCheck[],
  size: number,
  budget?: number,
): Subject {
  const demand = budget === undefined ? {} : { budget };
  if (size === 1) {
    const turn = turns(checks.length);
    return {
      ...demand,
      name,
      operations: 1,
      run: () => insist(core.verifySignature(pick(checks, turn()))),
    };
  }
  const groups = Array.from({ length: Math.floor(checks.length / size) }, (_, i) =>
    checks.slice(i * size, (i + 1) * size),
  );
  const turn = turns(groups.length);
  return {
    ...demand,
    name,
    operations: size,
    run: () => insist(core.verifyBatch(pick(groups, turn())).every((answer) => answer === 1)),
  };
}

function enrolled(core: Core, signed: readonly Signed[], tier: Tier): SignatureCheck[] {
  const handles = new Map<object, SignatureCheck["key"]>();
  return signed.map((one) => {
    let key = handles.get(one.native.key);
    if (key === undefined) {
      key = core.enrollKey(one.key, { tier });
      handles.set(one.native.key, key);
    }
    return { scheme: one.scheme, key, message: one.message, signature: one.signature };
  });
}

/** What a batch of each size has to reach. */
const P256: Readonly<Record<number, number>> = { 64: 6, 16: 6, 4: 4, 1: 3 };

/** ECDSA P-256: tiers, batch sizes and numbers of keys. */
export function p256Suites(core: Core, scale: Scale): Suite[] {
  const few = signEcdsa("P-256", 8, 32);
  const many = signEcdsa("P-256", { full: 1000, quick: 200, once: 64 }[scale]);
  const unseen = signEcdsa("P-256", 64);
  const hot = enrolled(core, few, "hot");
  // Keys of their own: one that is hot already stays hot.
  const warm = enrolled(core, signEcdsa("P-256", 8, 16), "warm");
  const rotated = enrolled(core, many, "hot");
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const sizes = scale === "full" ? [256, 64, 32, 16, 8, 4, 2, 1] : [64, 16, 4, 1];
  const subjects = [
    native(few),
    ...sizes.map((size) => ours(core, `enrolled, hot, batch of ${size}`, hot, size, P256[size])),
    ours(core, `enrolled, ${many.length} keys in rotation, batch of 64`, rotated, 64, 5),
    ours(core, "enrolled, warm, batch of 64", warm, 64),
    ours(core, "never seen, single", unseen, 1, 0.5),
    ours(core, "never seen, batch of 64", unseen, 64, 1.3),
    noble(few),
    web(few, algorithm),
  ];
  return [{ name: "ECDSA P-256", subjects }];
}

/** The other schemes, known keys, in a batch and alone. */
export function otherSuites(core: Core): Suite[] {
  const p384s = signEcdsa("P-384", 4, 16);
  const eds = signEd25519(64);
  const both = (signed: readonly Signed[], budget: number): Subject[] => {
    const checks = enrolled(core, signed, "hot");
    return [
      native(signed),
      ours(core, "enrolled, batch of 64", checks, 64, budget),
      ours(core, "enrolled, single", checks, 1),
    ];
  };
  const rsas = [2048, 3072].map((bits): Suite => {
    const signed = signRsa(bits, 4);
    const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
    const checks = enrolled(core, signed, "hot");
    const alone = ours(core, "enrolled, single", checks, 1, bits === 2048 ? 0.75 : 0.6);
    const batch = ours(core, "enrolled, batch of 4", checks, 4);
    const subjects = [native(signed), batch, alone, web(signed, algorithm)];
    return { name: `RSASSA ${bits}`, subjects };
  });
  const p384Web = { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" };
  return [
    {
      name: "ECDSA P-384",
      subjects: [...both(p384s, 20), noble(p384s), web(p384s, p384Web)],
    },
    { name: "Ed25519", subjects: [...both(eds, 8), noble(eds), web(eds, { name: "Ed25519" })] },
    ...rsas,
  ];
}

/** How the time of one P-256 signature grows with the number of enrolled keys, used in turn. */
export function scalingSuites(core: Core, scale: Scale): Suite[] {
  const counts = scale === "full" ? [1, 100, 1000, 10_000] : [1, 100];
  const all = signEcdsa("P-256", counts.at(-1) ?? 1);
  const subjects = counts.map((count) => {
    const some = count === 1 ? signEcdsa("P-256", 1, 64) : all.slice(0, count);
    return ours(core, `${count} keys in turn, batch of 64`, enrolled(core, some, "warm"), 64);
  });
  return [
    { name: "P-256, enrolled keys (warm)", subjects: [native(all.slice(0, 64)), ...subjects] },
  ];
}
