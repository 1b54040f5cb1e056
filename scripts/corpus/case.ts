/** A case of the corpus, and its form in a file (corpus/README.md, corpus/schema.json). */
import type { Code, Quote } from "../../src/core/index.ts";

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

/** The case as its file holds it. */
export function fileOf({ quote, codes, ...head }: CorpusCase): string {
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
    policy: { pcrs: banksOf(policy.pcrs as Banks) },
    ...(counters && { floor: counters }),
    ...(quote.eventLog && { eventLog: hex(quote.eventLog) }),
    ...(quote.ima && { ima: hex(quote.ima) }),
    expected: { ok: codes.length === 0, code: codes[0] ?? null, codes },
  };
  return `${JSON.stringify(content, null, 1)}\n`;
}
