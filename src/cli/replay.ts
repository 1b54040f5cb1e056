/** `portcullis replay`: the core alone judges the case; nothing of this machine enters. */
import type { Command } from "commander";
import { loadCore } from "../core/load.ts";
import type { Verdict } from "../core/verdict.ts";
import { EXIT } from "../gate/exit-codes.ts";
import { LIMITS } from "../limits.ts";
import { CaseFolder } from "../log/cases.ts";
import { readInput } from "./input-file.ts";
import { denialReasons } from "./policy-trial.ts";
import { denialLines, denialShape, hex, isoTime, type Json, reasonLines } from "./print.ts";
import type { Session } from "./session.ts";
import { parseHex } from "./values.ts";
import { defineVerb } from "./verb.ts";

const DIGEST = /^[0-9a-f]{64}$/i;

function caseBytes(session: Session, name: string): Promise<Uint8Array> {
  if (!DIGEST.test(name)) return readInput(name, LIMITS.caseBytes);
  return new CaseFolder(session.home().cases).read(parseHex(name, 32, "the case"));
}

/** {allow, code, codes: [{code, why, next, retry}], families: {family: state}, request} */
export function verdictShape(verdict: Verdict): Json {
  const { request } = verdict;
  return {
    allow: verdict.allow,
    code: verdict.code,
    codes: verdict.codes.map((code) => ({ ...denialShape(code) })),
    families: { ...verdict.families },
    request: request && {
      role: request.role,
      purpose: request.purpose,
      requestDigest: hex(request.requestDigest),
      jobDigest: hex(request.jobDigest),
      chainDigest: hex(request.chainDigest),
      expires: isoTime(request.expires),
      mark: request.mark,
    },
  };
}

/** The verdict with every family's state; for a denial, every code that an explanation found. */
export function verdictLines(verdict: Verdict, reasons: readonly string[] = []): string[] {
  const states = Object.entries(verdict.families)
    .filter(([family]) => family !== "internal")
    .map(([family, state]) => `  ${family.padEnd(11)}  ${state}`);
  const codes = verdict.codes.flatMap((code) => denialLines(code));
  return [verdict.allow ? "allow" : "deny", ...states, ...reasonLines(reasons), ...codes];
}

export function register(program: Command): void {
  defineVerb<object>(program, {
    name: "replay",
    summary: "decide a recorded case again: exit 0 if it is allowed, 77 if not",
    examples: [
      "portcullis replay cases/3b1f...c2.case",
      "portcullis replay 3b1f8a...c2   # a case of this home, by its digest",
    ],
    notes: [
      "JSON: {allow, code, codes: [{code, why, next, retry}], families: {family: state}, request, " +
        "reasons: [text]}",
    ],
    setup: (command) => command.argument("<case>", "a file, or the digest of a recorded case"),
    run: async (session, _options, [name = ""]) => {
      const bytes = await caseBytes(session, name);
      const core = await loadCore();
      const verdict = core.decide(bytes, { explain: true });
      const reasons = verdict.families.environment === "denied" ? denialReasons(core, bytes) : [];
      session.tell(
        { ...(verdictShape(verdict) as object), reasons },
        verdictLines(verdict, reasons),
      );
      return verdict.allow ? 0 : EXIT.denied;
    },
  });
}
