import { decode as decodeByCborg, encode as encodeByCborg, rfc8949EncodeOptions } from "cborg";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LIMITS } from "../../src/limits.ts";
import { decode, encode } from "../../src/wire/cbor.ts";
import { type CborKey, type CborValue, isMap } from "../../src/wire/cbor-value.ts";
import { WireError } from "../../src/wire/error.ts";
import { inspect } from "../../src/wire/inspect.ts";
import { auditPath, merkleRoot, rootOf } from "../../src/wire/merkle.ts";
import { encodePlain, signObject } from "../../src/wire/objects.ts";
import { PLAIN, type PlainKind, SIGNED, type SignedKind } from "../../src/wire/registry.ts";
import { isRevoked, withStatus } from "../../src/wire/status.ts";
import { PLAIN_SAMPLES, SIGNED_SAMPLES, world } from "../support/samples.ts";
import { unhex } from "../support/wire.ts";

// Integers where encodings change their width, and everywhere else.
const edges = [0, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1];
const integer = fc.oneof(
  fc.constantFrom(...edges, ...edges.map((edge) => -1 - edge)),
  fc.maxSafeInteger(),
);
const key: fc.Arbitrary<CborKey> = fc.oneof(
  integer,
  fc.string({ unit: "grapheme", maxLength: 30 }),
);
const { value } = fc.letrec<{ value: CborValue; leaf: CborValue }>((tie) => ({
  leaf: fc.oneof(
    integer,
    fc.boolean(),
    fc.constant(null),
    fc.string({ unit: "binary" }),
    fc.uint8Array({ maxLength: 300 }),
  ),
  value: fc.oneof(
    { maxDepth: LIMITS.nesting, depthSize: "small" },
    tie("leaf"),
    fc.array(tie("value"), { maxLength: 30 }),
    fc.array(fc.tuple(key, tie("value")), { maxLength: 30 }).map((entries) => new Map(entries)),
  ),
}));

/** What the work gives, or null where it refuses as it should. Any other error is a fault. */
function attempt<T>(work: () => T): T | null {
  try {
    return work();
  } catch (error) {
    if (error instanceof WireError) return null;
    throw error;
  }
}

/** cborg holds integers beyond the safe ones as bigint; of ours that is -2^53 alone. */
function forCborg(v: CborValue): unknown {
  if (v === -(2 ** 53)) return BigInt(v);
  if (Array.isArray(v)) return v.map(forCborg);
  return isMap(v) ? new Map([...v].map(([k, each]) => [forCborg(k), forCborg(each)])) : v;
}
const STRICT = {
  strict: true,
  allowIndefinite: false,
  rejectDuplicateMapKeys: true,
  useMaps: true,
} as const;

describe("CBOR", () => {
  test("what is encoded decodes to the same value", () => {
    fc.assert(
      fc.property(value, (v) => {
        expect(decode(encode(v))).toEqual(v);
      }),
    );
  });

  test("cborg encodes the same bytes (RFC 8949 §4.2.1)", () => {
    fc.assert(
      fc.property(value, (v) => {
        expect(unhex(encode(v))).toBe(unhex(encodeByCborg(forCborg(v), rfc8949EncodeOptions)));
      }),
    );
  });

  test("what is accepted encodes to the same bytes, and cborg reads the same value", () => {
    const near = fc.tuple(value, fc.nat(), fc.nat(255)).map(([v, at, byte]) => {
      const bytes = encode(v);
      bytes[at % bytes.length] = byte;
      return bytes;
    });
    let accepted = 0;
    fc.assert(
      fc.property(fc.oneof(near, fc.uint8Array({ maxLength: 12 })), (bytes) => {
        const read = attempt(() => decode(bytes));
        if (read === null) return;
        accepted++;
        expect(unhex(encode(read))).toBe(unhex(bytes));
        expect(decodeByCborg(bytes, STRICT)).toEqual(forCborg(read));
      }),
      { numRuns: 2_000 },
    );
    expect(accepted).toBeGreaterThan(100);
  });
});

describe("objects", () => {
  const signed = Object.keys(SIGNED) as SignedKind[];
  const plain = Object.keys(PLAIN) as PlainKind[];

  test("bytes changed anywhere are refused or shown, never an error of ours", async () => {
    const all = [
      ...(await Promise.all(
        signed.map((kind) => signObject(kind, SIGNED_SAMPLES[kind], [world.signers.agent])),
      )),
      ...plain.map((kind) => encodePlain(kind, PLAIN_SAMPLES[kind])),
    ];
    const change = fc.record({
      object: fc.constantFrom(...all),
      at: fc.nat(),
      with: fc.uint8Array({ maxLength: 3 }),
      cut: fc.nat(3),
    });
    fc.assert(
      fc.property(change, ({ object, at, with: inserted, cut }) => {
        const place = at % object.length;
        const bytes = Uint8Array.of(
          ...object.subarray(0, place),
          ...inserted,
          ...object.subarray(place + cut),
        );
        const seen = attempt(() => inspect(bytes));
        expect(seen === null || seen.unverified.length > 0).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });
});

test("a Merkle path leads to the root from every place, and from no other", () => {
  const requests = fc.uniqueArray(fc.uint8Array({ minLength: 32, maxLength: 32 }), {
    minLength: 2,
    maxLength: 70,
    selector: unhex,
  });
  fc.assert(
    fc.property(requests, fc.nat(), fc.nat(), (all, a, b) => {
      const [i, j] = [a % all.length, b % all.length];
      const path = auditPath(all, i);
      const [mine, other] = [all[i], all[j]];
      if (!mine || !other) throw new Error("absent");
      expect(rootOf(mine, path)).toEqual(merkleRoot(all));
      if (i !== j) expect(rootOf(other, path)).not.toEqual(merkleRoot(all));
    }),
  );
});

test("setting one status bit changes that one alone", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 64 }),
      fc.nat(),
      fc.boolean(),
      (bits, at, revoked) => {
        const list = world.statusList({ grants: bits });
        const index = at % (bits.length * 8);
        const after = withStatus(list, "grants", index, revoked);
        for (let i = 0; i < bits.length * 8; i++) {
          expect(isRevoked(after, "grants", i)).toBe(
            i === index ? revoked : isRevoked(list, "grants", i),
          );
        }
      },
    ),
  );
});
