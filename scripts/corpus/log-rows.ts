/** Rows of cases with a log: what a machine measured, what it shows, and what is wrong with it. */
import type { Code, Quote } from "../../src/core/index.ts";
import type { PcrBanks } from "../../test/support/ak.ts";
import { acceptedQuote } from "../../test/support/tpm-structures.ts";
import type { CorpusCase, Rules } from "./case.ts";

/** `what`: a quote with its log, or what was measured, from which both follow. */
export type LogRow<M> = readonly [
  name: string,
  about: string,
  what: Quote | M,
  codes: Code | readonly Code[],
  mistakes?: readonly string[],
  rules?: Rules,
];

/** A quote of these values, all of which the policy allows, and what is presented beside it. */
export function quoteOver(pcrs: PcrBanks, parts: Partial<Quote> = {}): Quote {
  return { ...acceptedQuote({ request: { pcrs } }), ...parts };
}

/** Rows that are refused, beside the accepted case that they differ from and its rules. */
export function refusals<M extends readonly unknown[]>(measured: (what: M) => Quote) {
  const isQuote = (what: Quote | M): what is Quote => "attest" in what;
  return (from: string, usual?: Rules) =>
    ([name, about, what, codes, mistakes = [], rules = usual]: LogRow<M>): CorpusCase => {
      const quote = isQuote(what) ? what : measured(what);
      const common = { name, about, mistakes, from, signer: "software", quote } as const;
      const list = typeof codes === "string" ? [codes] : codes;
      return { ...common, codes: list, ...(rules && { rules }) };
    };
}

export function acceptedRows(
  rows: readonly (readonly [name: string, about: string, quote: Quote, rules?: Rules])[],
): CorpusCase[] {
  const head = { mistakes: [], from: null, signer: "software", codes: [] } as const;
  return rows.map(([name, about, quote, rules]) => {
    return { ...head, name, about, quote, ...(rules && { rules }) };
  });
}
