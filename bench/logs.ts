/** Quotes with logs behind them, against node:crypto verifying the signature of one quote alone. */
import { verify } from "node:crypto";
import type { Core, Quote } from "../src/core/index.ts";
import { encodePayload } from "../src/wire/objects.ts";
import { type SoftwareAk, softwareAk } from "../test/support/ak.ts";
import { CLOCK, NOW } from "../test/support/domain.ts";
import { agileLog, EV_SEPARATOR, measured, replayed } from "../test/support/event-logs.ts";
import { rulesOf, stageOf } from "../test/support/ima-cases.ts";
import { encodeList, IMA_PCR, ngEntry, replayedIma } from "../test/support/ima-lists.ts";
import { seeded } from "../test/support/keys.ts";
import { nativeKey, quoteKey, quoteSignature } from "./cases.ts";
import { toDer } from "./fixtures.ts";
import type { Scale, Subject, Suite } from "./measure.ts";
import { insist, pick, turns } from "./signatures.ts";

/** go-attestation takes 4.1 native verifications with such a log, and 1.3 without one. */
const LOG_NEW = 2 / 4.1;
const LOG_SEEN = 6 / 1.3;
/** Keylime takes 0.13 native verifications an entry. */
const IMA_ENTRY = 5 / 0.13;
const EVENTS = 112;
const ALLOWED = 10_000;
/** Of an EFI variable and of a path, for the most part. */
const EVENT_DATA = [16, 4, 48, 900, 130, 70, 210];
const EV_EVENT_TAG = 6;
/** More quotes, and more logs, than the core keeps anything of. */
const QUOTES = { full: 4500, quick: 2500, once: 2 };
const LOGS = { full: 200, quick: 100, once: 2 };

type Values = ReadonlyMap<number, Uint8Array>;

function keyOf(core: Core): SoftwareAk {
  const ak = softwareAk("ecdsa-p256", "bench");
  const key = quoteKey(ak.publicArea);
  if (key.kty !== "EC2") throw new Error("no point");
  core.enrollKey({ x: key.x, y: key.y }, { tier: "hot" });
  return ak;
}

function quoteOf(ak: SoftwareAk, name: string, values: Values): Omit<Quote, "policy"> {
  const qualifyingData = seeded(name);
  const pcrs = { sha256: values };
  const { attest, signature } = ak.quote({ extraData: qualifyingData, pcrs, clock: CLOCK });
  const shown = { sha256: Object.fromEntries(values) };
  return { publicArea: ak.publicArea, attest, signature, pcrs: shown, qualifyingData };
}

function native(ak: SoftwareAk, { attest, signature }: Pick<Quote, "attest" | "signature">) {
  const key = nativeKey(quoteKey(ak.publicArea));
  const der = toDer(quoteSignature(signature));
  const run = (): void => insist(verify("sha256", attest, key, der));
  return { name: "node:crypto, the signature alone", operations: 1, run } satisfies Subject;
}

/** All 24 PCRs of a boot that was measured like this; 17 to 22 as a reset leaves them. */
export function bootOf(seed: string): { readonly log: Uint8Array; readonly values: Values } {
  const events = Array.from({ length: EVENTS }, (_, i) => {
    const size = EVENT_DATA[i % EVENT_DATA.length] ?? 0;
    const last = i >= EVENTS - 8;
    const data = last ? new Uint8Array(4) : seeded(`${seed}, event ${i}`, size);
    const pcr = last ? i - (EVENTS - 8) : ([0, 2, 4, 7, 1, 5, 8, 9][i % 8] ?? 0);
    return measured(pcr, last ? EV_SEPARATOR : EV_EVENT_TAG, data, ["sha1", "sha256"]);
  });
  const found = replayed(["sha256"], events).sha256 ?? {};
  const values = Array.from({ length: 24 }, (_, pcr): [number, Uint8Array] => {
    const initial = new Uint8Array(32).fill(pcr >= 17 && pcr <= 22 ? 0xff : 0);
    return [pcr, found[pcr] ?? initial];
  });
  return { log: agileLog(["sha1", "sha256"], events), values: new Map(values) };
}

function bootQuotes(ak: SoftwareAk, scale: Scale, boots: number): Quote[] {
  const made = Array.from({ length: boots }, (_, i) => bootOf(`boot ${i} of ${boots}`));
  return Array.from({ length: QUOTES[scale] }, (_, i) => {
    const { log, values } = pick(made, i % boots);
    // 16 and 23 prove nothing, and a policy that reads them denies.
    const trusted = [...values].filter(([pcr]) => pcr !== 16 && pcr !== 23);
    const rules = Object.fromEntries(trusted.map(([pcr, value]) => [pcr, [value]]));
    const quote = quoteOf(ak, `quote ${i} of ${boots}`, values);
    return { ...quote, policy: { pcrs: { sha256: rules } }, eventLog: log };
  });
}

/**
 * Quotes in turn, so many together. Subjects that share quotes share the turn: none meets a quote that
 * another has had appraised a moment ago, whose signature the core would still know.
 */
export function appraising(
  core: Core,
  quotes: readonly Quote[],
  size: number,
  turn = turns(quotes.length),
): Omit<Subject, "name"> {
  if (size === 1) {
    return { operations: 1, run: () => insist(core.appraiseQuote(pick(quotes, turn())).ok) };
  }
  const run = (): void => {
    const some = Array.from({ length: size }, () => pick(quotes, turn()));
    insist(core.appraiseQuotes(some).every(({ ok }) => ok));
  };
  return { operations: size, run };
}

export function eventLogSuites(core: Core, scale: Scale): Suite[] {
  const ak = keyOf(core);
  const fresh = bootQuotes(ak, scale, LOGS[scale]);
  const same = bootQuotes(ak, scale, 1);
  const subjects = [
    native(ak, pick(fresh, 0)),
    { name: "another log each time, batch of 64", budget: LOG_NEW, ...appraising(core, fresh, 64) },
    {
      name: "the same log each time, batch of 64",
      budget: LOG_SEEN,
      ...appraising(core, same, 64),
    },
  ];
  return [{ name: `Quote with a boot log of ${EVENTS} events`, subjects }];
}

/** Every entry is of the list, and every file of the list is measured once where there is time. */
export function imaSuites(core: Core, scale: Scale): Suite[] {
  const ak = keyOf(core);
  const paths = Array.from({ length: ALLOWED }, (_, i) => `/usr/lib/package-${i % 97}/file-${i}`);
  const entries = paths.slice(0, scale === "once" ? 100 : ALLOWED).map((path) => ngEntry(path));
  const values = new Map([
    [0, seeded("pcr 0")],
    [IMA_PCR, replayedIma(entries, "sha256")[IMA_PCR] ?? new Uint8Array(32)],
  ]);
  const policy = encodePayload("policy", {
    ...{ domain: "example.test", iat: NOW, name: "base", version: 1 },
    pcrs: { sha256: new Map([[0, [seeded("pcr 0")]]]) },
    ima: rulesOf([stageOf(paths)]),
  });
  const ima = encodeList(entries);
  const quotes = Array.from({ length: 8 }, (_, i): Quote => {
    return { ...quoteOf(ak, `list ${i}`, values), policy, ima };
  });
  const { run } = appraising(core, quotes, 1);
  const entry = {
    name: "appraiseQuote, an entry",
    budget: IMA_ENTRY,
    operations: entries.length,
    run,
  };
  const subjects = [native(ak, pick(quotes, 0)), entry];
  return [{ name: `IMA list, allowlist of ${ALLOWED} files`, subjects }];
}
