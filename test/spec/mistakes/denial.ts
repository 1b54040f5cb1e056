/**
 * What the tests of this folder share: one core, one trust domain, and a denial that is the same
 * told short or long.
 */
import { expect } from "vitest";
import { type Code, loadCore, type Verdict } from "../../../src/core/index.ts";
import { type CaseOverrides, makeWorld } from "../../support/world.ts";

export const core = await loadCore();
export const world = makeWorld();

/** Decides a case both ways; what both say. */
export function decided(bytes: Uint8Array): Verdict {
  const short = core.decide(bytes);
  const explained = core.decide(bytes, { explain: true });
  expect([explained.allow, explained.code]).toEqual([short.allow, short.code]);
  expect(explained.codes).not.toContain("internal.trap");
  return short;
}

const bytesOf = async (made: CaseOverrides | Uint8Array): Promise<Uint8Array> =>
  made instanceof Uint8Array ? made : world.caseBytes(made);

/** Expects the case to be denied, by this code first. */
export async function denies(made: CaseOverrides | Uint8Array, code: Code): Promise<void> {
  expect(decided(await bytesOf(made))).toMatchObject({ allow: false, code });
}

/** Expects the case to be allowed: what stands beside a mistake and is none. */
export async function allows(made: CaseOverrides | Uint8Array): Promise<Verdict> {
  const verdict = decided(await bytesOf(made));
  expect(verdict.code).toBeNull();
  return verdict;
}
