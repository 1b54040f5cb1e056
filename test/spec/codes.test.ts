/**
 * Every code of the table is reached by a case, first and in explanations; table, docs and tests
 * agree.
 */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { CODE_LIST, CODES, type Core, FAMILIES, familyOf, loadCore } from "../../src/core/index.ts";
import { DENIALS, denialCase } from "../support/denials.ts";
import { makeWorld } from "../support/world.ts";

const world = makeWorld();
let core: Core;
beforeAll(async () => {
  core = await loadCore();
});

/** Codes that no case reaches, and the test that reaches each instead. */
const ELSEWHERE: { readonly [code: string]: string } = {
  "environment.quote-key": "test/unit/core/appraise.test.ts",
  "environment.clock-obfuscated": "test/unit/core/appraise.test.ts",
  "environment.eventlog-malformed": "test/unit/core/appraise-logs.test.ts",
  "environment.eventlog-uncovered": "test/unit/core/appraise-logs.test.ts",
  "environment.eventlog-missing": "test/unit/core/appraise-logs.test.ts",
  "environment.eventlog-mismatch": "test/unit/core/appraise-logs.test.ts",
  "environment.ima-malformed": "test/unit/core/appraise-logs.test.ts",
  "environment.ima-incomplete": "test/unit/core/appraise-logs.test.ts",
  "environment.ima-uncovered": "test/unit/core/appraise-logs.test.ts",
  "environment.ima-padded": "test/unit/core/appraise-logs.test.ts",
  "environment.ima-mismatch": "test/unit/core/appraise-logs.test.ts",
  "environment.ima-other-pcr": "test/unit/core/appraise-logs.test.ts",
  "environment.ima-violation": "test/unit/core/appraise-logs.test.ts",
  "internal.undecided": "test/unit/core/verdict.test.ts",
  "internal.trap": "test/unit/core/verdict.test.ts",
  "internal.timeout": "test/unit/gate/gate.test.ts",
  "internal.tpm-unavailable": "test/unit/gate/gate.test.ts",
  "internal.attestation-key": "test/e2e/cli-reboots.test.ts",
  "internal.evidence": "test/unit/gate/gate.test.ts",
  "internal.store": "test/unit/gate/gate.test.ts",
  "internal.log": "test/unit/gate/gate.test.ts",
  "internal.exec": "test/unit/gate/gate.test.ts",
  "internal.ledger": "test/unit/gate/gate.test.ts",
  "internal.rollback": "test/unit/gate/gate.test.ts",
  "internal.clock": "test/unit/gate/gate.test.ts",
  "internal.deadline": "test/unit/gate/gate.test.ts",
};

test("the accepted case is allowed", async () => {
  const verdict = core.decide(await world.caseBytes());
  expect(verdict.codes).toEqual([]);
  expect(verdict.allow).toBe(true);
  expect(verdict.proven).toBe(verdict.required);
});

describe("each code is reached", () => {
  for (const code of CODE_LIST) {
    const elsewhere = ELSEWHERE[code];
    if (elsewhere !== undefined) {
      test(`${code} (in ${elsewhere})`, () => {
        expect(DENIALS[code]).toBeUndefined();
        expect(readFileSync(elsewhere, "utf8")).toContain(`"${code}"`);
      });
      continue;
    }
    test(code, async () => {
      const bytes = await denialCase(world, code);
      if (bytes === null) throw new Error(`no case reaches ${code}`);
      const verdict = core.decide(bytes);
      const explained = core.decide(bytes, { explain: true });
      expect(explained.codes).toContain(code);
      expect(explained.code).toBe(verdict.code);
      expect(verdict.code).toBe(code);
      expect(verdict.allow).toBe(false);
      expect(verdict.families[familyOf(code)]).not.toBe("proven");
    });
  }
});

test("codes stand in the order of their families, and have two parts", () => {
  const places = CODE_LIST.map((code) => FAMILIES.indexOf(familyOf(code)));
  expect(places).toEqual([...places].sort((a, b) => a - b));
  for (const code of CODE_LIST) expect(code).toMatch(/^[a-z]+\.[a-z][a-z-]*$/);
});

test("docs/codes.md lists the table", () => {
  const page = readFileSync("docs/codes.md", "utf8");
  const rows = [...page.matchAll(/^\| `([a-z.-]+)` \| (.*) \| (.*) \|$/gm)];
  expect(rows.map(([, code]) => code)).toEqual(CODE_LIST);
  for (const [, code, why, next] of rows) {
    const row = CODES[code as keyof typeof CODES];
    expect([why, next]).toEqual([row.why, row.next]);
  }
});
