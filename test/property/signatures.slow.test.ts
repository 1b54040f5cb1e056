/**
 * No disagreement with node:crypto over a million random and mutated (key, message, signature)
 * triples a scheme, in every build, alone and in batches, by enrolled keys and by keys never seen.
 * $PORTCULLIS_TRIPLES sets another number, $PORTCULLIS_BUILDS fewer builds (simd,scalar,checked).
 */
import { constants, verify } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { type Signed, signEcdsa, signEd25519, signRsa } from "../../bench/fixtures.ts";
import { type Core, type KeyHandle, loadCore, type SignatureCheck } from "../../src/core/index.ts";
import { seededRandom } from "../support/random.ts";

const TRIPLES = Number(process.env.PORTCULLIS_TRIPLES ?? 1_000_000);
const SEED = Number(process.env.PORTCULLIS_SEED ?? 11);
const BATCH = 200;
/** Triples from one set of signatures: what is rare shows in new ones alone. */
const POOL_TRIPLES = 10_000;
const ALL = ["simd", "scalar", "checked"] as const;
const WANTED = process.env.PORTCULLIS_BUILDS?.split(",");
const BUILDS = ALL.filter((build) => WANTED?.includes(build) ?? true);
const ANY_SALT = constants.RSA_PSS_SALTLEN_AUTO;
const TIERS = ["cold", "warm", "hot"] as const;

const SCHEMES: readonly (readonly [string, () => Signed[]])[] = [
  ["ECDSA P-256", () => signEcdsa("P-256", 12, 40)],
  ["ECDSA P-384", () => signEcdsa("P-384", 6, 40)],
  ["Ed25519", () => signEd25519(200)],
  ["RSASSA 2048", () => signRsa(2048, 8)],
  ["RSASSA 3072", () => signRsa(3072, 4)],
  ["RSAPSS 2048", () => signRsa(2048, 8, "rsapss")],
];

interface Triple {
  readonly base: Signed;
  /** Whose key it is verified by. */
  readonly owner: Signed;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

function flip(bytes: Uint8Array, random: () => number): Uint8Array {
  const copy = bytes.slice();
  const at = Math.floor(random() * copy.length);
  copy[at] = (copy[at] ?? 0) ^ (1 << Math.floor(random() * 8));
  return copy;
}

/** A signature as it is (one in four), or with its message, itself, or its key changed. */
function mutate(pool: readonly Signed[], random: () => number): Triple {
  const pick = (): Signed => pool[Math.floor(random() * pool.length)] ?? (pool[0] as Signed);
  const base = pick();
  const { message, signature } = base;
  const same = { base, owner: base, message, signature };
  const kind = Math.floor(random() * 8);
  if (kind < 2) return same;
  if (kind < 4) return { ...same, signature: flip(signature, random) };
  if (kind === 4) return { ...same, message: flip(message, random) };
  if (kind === 5) return { ...same, owner: pick() };
  if (kind === 6) return { ...same, signature: pick().signature };
  const noise = signature.map(() => Math.floor(random() * 256));
  return { ...same, signature: random() < 0.5 ? noise : signature.map((b, i) => (i < 8 ? 0 : b)) };
}

/** What node:crypto says; ECDSA signatures are r||s for it too, and a salt has any length. */
function oracle({ owner, message, signature }: Triple): boolean {
  const { hash, key, padding } = owner.native;
  if (padding === undefined) {
    return verify(hash, message, { key, dsaEncoding: "ieee-p1363" }, signature);
  }
  return verify(hash, message, { key, padding, saltLength: ANY_SALT }, signature);
}

describe.each(SCHEMES)(`%s, seed ${SEED}`, (name, make) => {
  let cores: Core[];
  beforeAll(async () => {
    cores = await Promise.all(BUILDS.map((build) => loadCore({ build })));
  });

  test(`${TRIPLES} triples`, () => {
    const random = seededRandom(SEED);
    let pool: Signed[] = [];
    const enroll = (core: Core): Map<object, KeyHandle> => {
      const keys = new Map<object, KeyHandle>();
      for (const one of pool) {
        if (keys.has(one.native.key)) continue;
        keys.set(one.native.key, core.enrollKey(one.key, { tier: TIERS[keys.size % 3] ?? "hot" }));
      }
      return keys;
    };
    let handles: Map<object, KeyHandle>[] = [];
    let [accepted, alone] = [0, 0];
    for (let done = 0; done < TRIPLES; done += BATCH) {
      if (done % POOL_TRIPLES === 0) {
        for (const [index, keys] of handles.entries()) {
          for (const handle of keys.values()) cores[index]?.forgetKey(handle);
        }
        pool = make();
        handles = cores.map(enroll);
      }
      const triples = Array.from({ length: BATCH }, () => mutate(pool, random));
      const expected = triples.map((triple) => (oracle(triple) ? 1 : 0));
      accepted += expected.filter((answer) => answer === 1).length;
      for (const [index, core] of cores.entries()) {
        const checks = triples.map(({ owner, message, signature }, i): SignatureCheck => {
          // One in eight by the key itself, the others by its handle.
          const handle = i % 8 === 0 ? undefined : handles[index]?.get(owner.native.key);
          return { scheme: owner.scheme, key: handle ?? owner.key, message, signature };
        });
        const place = `${BUILDS[index]}, from triple ${done}`;
        expect([...core.verifyBatch(checks)], place).toEqual(expected);
        // Ten of them once more, each alone: five by keys that no batch has company for.
        for (let i = done % 8; i < BATCH; i += 20) {
          const [check, owner] = [checks[i], triples[i]?.owner];
          if (check === undefined || owner === undefined) continue;
          const key = alone++ % 2 === 0 ? owner.key : check.key;
          expect(core.verifySignature({ ...check, key }) ? 1 : 0, place).toBe(expected[i]);
        }
      }
    }
    console.log(
      `${name}: ${TRIPLES} triples, seed ${SEED}, in ${BUILDS.join(", ")}:`,
      `${accepted} accepted, no disagreement; ${alone} of them once more alone`,
    );
    expect(BUILDS.length).toBeGreaterThan(0);
    expect(accepted).toBeGreaterThan(TRIPLES / 8);
  }, 86_400_000);
});
