/**
 * The sections of a case, so that a walk over its bits visits each, and the bits that may change
 * without a denial.
 */
import { decode, encode } from "../../src/wire/cbor.ts";
import { type CborValue, isMap } from "../../src/wire/cbor-value.ts";
import type { BuiltCase } from "./world.ts";

export interface Section {
  readonly name: string;
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

/**
 * Every signed object, the status list, the job, the quote and its signature; context and the rest
 * as one each.
 */
export function sectionsOf(built: BuiltCase): Section[] {
  const whole = Buffer.from(built.bytes);
  const { evidence } = built;
  const parts: readonly (readonly [string, Uint8Array | null])[] = [
    ["charter", built.charter.bytes],
    ["snapshot", built.snapshot.bytes],
    ["status list", built.statusList],
    ["grant", built.grant.bytes],
    ...built.chain.slice(1).map(({ bytes }, i) => [`link ${i + 1}`, bytes] as const),
    ["proof", evidence.proof],
    ["node credential", built.node.bytes],
    ["job", built.job],
    ["policy", built.policies[0]?.bytes ?? null],
    ["attest", built.quote.attest],
    ["quote signature", built.quote.signature],
    ["result", built.result],
  ];
  const sections = parts.flatMap(([name, bytes]) => {
    const start = bytes === null ? -1 : whole.indexOf(bytes);
    return start < 0 || bytes === null ? [] : [{ name, start, end: start + bytes.length }];
  });
  const contextEnd = whole.indexOf(built.evidenceBytes);
  return [
    { name: "context", start: 0, end: contextEnd },
    ...sections,
    { name: "whole", start: 0, end: whole.length },
  ];
}

/**
 * Numbers of the context are the verifier's own and may lie anywhere inside their range: the time,
 * the floors, the counters, and the uses so far. Everything else in a case is bound.
 */
export function exemptFlip(built: BuiltCase, flipped: Uint8Array): boolean {
  return Buffer.from(withoutNumbers(flipped)).equals(withoutNumbers(built.bytes));
}

function withoutNumbers(bytes: Uint8Array): Uint8Array {
  const whole = decode(bytes);
  if (!Array.isArray(whole)) throw new Error("a case is an array");
  const [version, context, evidence, result] = whole as readonly CborValue[];
  if (!isMap(context ?? null)) throw new Error("a context is a map");
  const own = new Map(context as ReadonlyMap<number, CborValue>);
  own.set(3, 0);
  const floors = own.get(4) as readonly CborValue[];
  own.set(4, [0, 0, floors[1] === 0 ? null : (floors[2] ?? null), 0]);
  own.set(6, [(own.get(6) as readonly CborValue[])[0] ?? null, null]);
  own.set(
    7,
    (own.get(7) as readonly (readonly CborValue[])[]).map((use) => [use[0] ?? null, 0]),
  );
  return encode([version ?? null, own, evidence ?? null, result ?? null]);
}
