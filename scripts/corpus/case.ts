/** A case of the corpus, and its form in a file (corpus/README.md, corpus/schema.json). */
import { parseYaml } from "../../src/cli/document.ts";
import { policyOf } from "../../src/cli/policy-document.ts";
import type { Code, PcrPolicy, Quote } from "../../src/core/index.ts";
import { encodePayload } from "../../src/wire/objects.ts";

/** Rules over logs, in the policy language (docs/policies.md) as JSON, which YAML takes. */
export interface Rules {
  readonly "event-log"?: object;
  readonly ima?: object;
}

export interface CorpusCase {
  readonly name: string;
  /** What is wrong, or that nothing is, in one sentence. */
  readonly about: string;
  /** Published mistakes of verifiers that this case finds. */
  readonly mistakes: readonly string[];
  /** The accepted case that it was made from; null for an accepted one. */
  readonly from: string | null;
  /** Who signed: a TPM, or a key in software that signs what no TPM would. */
  readonly signer: "tpm" | "software";
  readonly quote: Quote;
  /** What the policy says besides PCR values. */
  readonly rules?: Rules;
  /** Every code that an appraisal gives, the first being the verdict's; none for an accepted one. */
  readonly codes: readonly Code[];
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

type Leaf = Uint8Array | readonly Uint8Array[];
type Banks = Readonly<Record<string, Readonly<Record<string, Leaf>> | undefined>>;

function banksOf(banks: Banks): object {
  const text = (leaf: Leaf) => (leaf instanceof Uint8Array ? hex(leaf) : leaf.map(hex));
  const rows = Object.entries(banks).map(([bank, values = {}]) => {
    return [bank, Object.fromEntries(Object.entries(values).map(([i, leaf]) => [i, text(leaf)]))];
  });
  return Object.fromEntries(rows);
}

/** The reference policy that these PCR values and rules compile to. */
export function payloadOf({ pcrs }: PcrPolicy, rules: Rules): Uint8Array {
  const document = { name: "corpus", pcrs: banksOf(pcrs as Banks), ...rules };
  const request = policyOf(parseYaml(Buffer.from(JSON.stringify(document)), "the policy"));
  return encodePayload("policy", { domain: "example.org", iat: 1, version: 1, ...request });
}

/** The quote as an appraisal takes it. */
export function appraisable({ quote, rules }: Pick<CorpusCase, "quote" | "rules">): Quote {
  const { policy } = quote;
  if (rules === undefined || policy instanceof Uint8Array) return quote;
  return { ...quote, policy: payloadOf(policy, rules) };
}

/** The case as its file holds it. */
export function fileOf({ quote, codes, rules, ...head }: CorpusCase): string {
  const { policy, floor, pcrs } = quote;
  if (policy instanceof Uint8Array) throw new Error("the corpus has rules over PCRs only");
  const counters = floor && {
    resetCount: floor.resetCount,
    restartCount: floor.restartCount,
    clock: floor.clock.toString(),
    ...(floor.firmwareVersion !== undefined && {
      firmwareVersion: floor.firmwareVersion.toString(),
    }),
  };
  const content = {
    ...head,
    publicArea: hex(quote.publicArea),
    ...(quote.ekName && { ekName: hex(quote.ekName) }),
    attest: hex(quote.attest),
    signature: hex(quote.signature),
    qualifyingData: hex(quote.qualifyingData),
    pcrs: banksOf(pcrs as Banks),
    policy: { pcrs: banksOf(policy.pcrs as Banks), ...rules },
    ...(counters && { floor: counters }),
    ...(quote.eventLog && { eventLog: hex(quote.eventLog) }),
    ...(quote.ima && { ima: hex(quote.ima) }),
    ...(quote.imaPrefix && {
      imaPrefix: { entries: quote.imaPrefix.entries, values: quote.imaPrefix.values.map(hex) },
    }),
    expected: { ok: codes.length === 0, code: codes[0] ?? null, codes },
  };
  return `${JSON.stringify(content, null, 1)}\n`;
}
