/**
 * A case around governance and a chain: no job, no quote, no proof. What depends on those is
 * denied, and not told; the rest is the core's word on what lies there.
 */
import { nowSeconds } from "../clock.ts";
import { encodeCase, evidenceOf, parseSubject } from "../gate/case.ts";
import type { Materials } from "../gate/evidence.ts";
import type { Floors } from "../store/contract.ts";

export async function caseAround(
  materials: Materials,
  floors: Floors,
  usesOf: (elements: readonly Uint8Array[]) => Promise<readonly number[]>,
): Promise<Uint8Array> {
  const subject = parseSubject(materials, null);
  const held = {
    floors,
    counters: null,
    ima: null,
    uses: await usesOf(subject.elements),
    nonce: new Uint8Array(32),
    planeNonce: null,
    nowSeconds: nowSeconds(),
    parentRun: null,
  };
  const evidence = evidenceOf(subject, held, materials, new Uint8Array(0), null, null);
  return encodeCase(subject, held, evidence, null);
}
