/**
 * What a policy would say of recorded evidence. The core judges; this names what it found.
 */
import type { Appraisal, Code, Core, HashName, Pcrs } from "../core/index.ts";
import { LIMITS } from "../limits.ts";
import { parseAttest } from "../tpm/structures/attest.ts";
import { encodePayload, parsePlain, parseSigned, type ReferencePolicy } from "../wire/objects.ts";
import type { PcrEventRules } from "../wire/policy-shapes.ts";
import { UsageError } from "./error.ts";
import { factOf, factText, variableIn } from "./event-facts.ts";
import { entryText } from "./ima-text.ts";
import { BANKS } from "./policy-document.ts";
import { labelText } from "./policy-text.ts";
import { hex } from "./print.ts";

/** The part of a case that a policy judges. */
export interface Evidence {
  readonly publicArea: Uint8Array;
  readonly attest: Uint8Array;
  readonly signature: Uint8Array;
  readonly pcrs: Pcrs;
  readonly eventLog: Uint8Array | null;
  readonly ima: Uint8Array | null;
  /** What the list continues, proven by an earlier quote; null where it is whole. */
  readonly imaPrefix: { readonly entries: number; readonly values: readonly Uint8Array[] } | null;
  readonly firmwareVersion: bigint;
  readonly extraData: Uint8Array;
}

/** What a reason may be found in. */
export type Shown = Pick<Evidence, "pcrs" | "eventLog" | "ima" | "imaPrefix">;

export interface Trial {
  readonly codes: readonly Code[];
  /** What exactly is wrong, as far as the log tells: a line each. */
  readonly reasons: readonly string[];
}

const BANK_IDS: ReadonlyMap<number, HashName> = new Map([
  [0x0004, "sha1"],
  [0x000b, "sha256"],
  [0x000c, "sha384"],
  [0x000d, "sha512"],
]);

/** Reads a case. Throws UsageError where it has no quote that could be judged. */
export function evidenceOf(bytes: Uint8Array, name: string): Evidence {
  try {
    if (bytes.length > LIMITS.caseBytes) throw new Error("it is larger than any case");
    const { evidence, context } = parsePlain("case", bytes).value;
    const { slot, pcrs: values, eventLog, ima } = evidence.tpm;
    const { attested, firmwareVersion, extraData } = parseAttest(slot.attest);
    if (attested.type !== "quote") throw new Error("it holds no quote");
    const { publicArea } = parseSigned("node", evidence.node).claims;
    const pcrs: { [bank in HashName]?: { [pcr: number]: Uint8Array } } = {};
    const rows = attested.pcrSelect.flatMap(({ hash, pcrs: indexes }) =>
      indexes.map((pcr) => [BANK_IDS.get(hash), pcr] as const),
    );
    for (const [i, [bank, pcr]] of rows.entries()) {
      const value = values[i];
      if (bank === undefined || value === undefined) continue;
      pcrs[bank] = { ...pcrs[bank], [pcr]: value };
    }
    const { attest, signature } = slot;
    const logs = { eventLog, ima, imaPrefix: context.ima };
    return { publicArea, attest, signature, pcrs, ...logs, firmwareVersion, extraData };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError(`${name} is no case with a quote: ${why}`, { cause });
  }
}

/**
 * Which PCR, event or file the policies of a case deny, a line each; none where the case has no
 * quote that could be judged, or no policy objects.
 */
export function denialReasons(core: Core, bytes: Uint8Array): string[] {
  try {
    const evidence = evidenceOf(bytes, "the case");
    const { policies } = parsePlain("case", bytes).value.evidence;
    return policies.flatMap((policy) => {
      const { claims } = parseSigned("policy", policy);
      const { reasons } = tryPolicy(core, claims, evidence);
      return reasons.map((reason) => `policy ${claims.name}: ${reason}`);
    });
  } catch {
    // The verdict says what is wrong with a case that does not parse.
    return [];
  }
}

/**
 * Judges the evidence by a policy. The nonce is taken as it is: whether the quote is fresh is not
 * asked of what was recorded.
 */
export function tryPolicy(core: Core, policy: ReferencePolicy, evidence: Evidence): Trial {
  const { eventLog, ima, imaPrefix, extraData, firmwareVersion, ...quote } = evidence;
  // An enrolled key lies in the endorsement hierarchy, which a case does not show again: the
  // firmware version is compared here.
  const { firmwareVersionMin, ...claims } = policy;
  const appraisal = core.appraiseQuote({
    ...quote,
    qualifyingData: extraData,
    policy: encodePayload("policy", claims),
    ...(eventLog && { eventLog }),
    ...(ima && { ima }),
    ...(ima && imaPrefix && { imaPrefix }),
  });
  const old = firmwareVersionMin !== undefined && firmwareVersion < firmwareVersionMin;
  const codes = [...appraisal.codes, ...(old ? ["environment.firmware-rollback" as const] : [])];
  return { codes, reasons: explained(core, policy, evidence, { ...appraisal, codes }) };
}

type Found = Pick<Appraisal, "codes" | "deniedImaEntry">;

/** What exactly was found, as far as evidence and policy tell: for people, it decides nothing. */
export function explained(
  core: Core,
  policy: ReferencePolicy | null,
  evidence: Shown,
  { codes, deniedImaEntry }: Found,
): string[] {
  if (codes.length === 0) return [];
  const has = (...of: readonly Code[]): boolean => of.some((code) => codes.includes(code));
  const reasons = policy === null ? [] : valueReasons(policy, evidence);
  const { eventLog, ima } = evidence;
  if (eventLog !== null && has("environment.eventlog-missing", "environment.eventlog-mismatch")) {
    reasons.push(...replayReasons(core, eventLog, evidence.pcrs));
  } else if (eventLog !== null && policy?.eventLog !== undefined) {
    reasons.push(...eventReasons(core, policy.eventLog, eventLog));
  }
  if (ima !== null && (deniedImaEntry !== undefined || has("environment.ima-violation"))) {
    reasons.push(...entryReasons(core, evidence, ima, deniedImaEntry));
  }
  return reasons;
}

/** The entry that the core denies, and the first violation, as the list has them. */
function entryReasons(
  core: Core,
  { imaPrefix }: Shown,
  ima: Uint8Array,
  denied: number | undefined,
): string[] {
  const { list = [] } = core.replayIma(ima, { bank: "sha256", withEntries: true });
  const before = imaPrefix?.entries ?? 0;
  const named = denied === undefined ? undefined : list[denied - before];
  const violation = list.find((entry) => entry.violation);
  return [
    ...(named ? [`IMA entry ${denied}: not allowed: ${entryText(named)}`] : []),
    ...(denied === undefined && violation
      ? [`IMA entry ${violation.index + before}: a violation: ${entryText(violation)}`]
      : []),
  ];
}

/** PCRs that the log does not explain; IMA's and those that any program resets apart. */
const UNEXPLAINED = [10, 16, 23];

function replayReasons(core: Core, log: Uint8Array, pcrs: Pcrs): string[] {
  const replay = core.replayEventLog(log);
  return BANKS.flatMap((bank) =>
    Object.entries(pcrs[bank] ?? {}).flatMap(([pcr, value]) => {
      if (UNEXPLAINED.includes(Number(pcr))) return [];
      const expected = replay.pcrs[bank]?.[Number(pcr)];
      const place = `${bank} PCR ${pcr}`;
      if (expected !== undefined) {
        return same(value, expected)
          ? []
          : [`${place}: the boot event log replays to another value`];
      }
      const fill = Number(pcr) >= 17 && Number(pcr) <= 22 ? 0xff : 0;
      if (value.every((byte) => byte === fill)) return [];
      return [`${place}: extended, and the boot event log has no event of it`];
    }),
  );
}

function valueReasons(policy: ReferencePolicy, evidence: Shown): string[] {
  const reasons: string[] = [];
  for (const bank of BANKS) {
    for (const [pcr, allowed] of policy.pcrs?.[bank] ?? []) {
      const value = evidence.pcrs[bank]?.[pcr];
      if (value === undefined) reasons.push(`${bank} PCR ${pcr} was not quoted`);
      else if (!allowed.some((one) => same(one, value))) {
        reasons.push(`${bank} PCR ${pcr} is ${hex(value)}`);
      }
    }
    for (const pcr of policy.eventLog?.[bank]?.keys() ?? []) {
      if (evidence.pcrs[bank]?.[pcr] === undefined) {
        reasons.push(`${bank} PCR ${pcr} was not quoted`);
      }
    }
  }
  return reasons;
}

/** The events that the rules do not allow, and those that they miss. For people: it decides nothing. */
function eventReasons(
  core: Core,
  rules: NonNullable<ReferencePolicy["eventLog"]>,
  log: Uint8Array,
): string[] {
  let replay: ReturnType<Core["replayEventLog"]>;
  try {
    replay = core.replayEventLog(log);
  } catch {
    return ["the boot event log does not parse"];
  }
  return BANKS.flatMap((bank) =>
    [...(rules[bank] ?? [])].flatMap(([pcr, own]) => {
      const events = replay.events.filter((event) => event.pcr === pcr && event.digests[bank]);
      return pcrReasons(`${bank} PCR ${pcr}`, own, events, bank);
    }),
  );
}

type Events = ReturnType<Core["replayEventLog"]>["events"];
const same = (a: Uint8Array | undefined, b: Uint8Array): boolean =>
  a !== undefined && Buffer.compare(a, b) === 0;

function pcrReasons(place: string, rules: PcrEventRules, all: Events, bank: HashName): string[] {
  const events = all.filter(({ type }) => type !== 3);
  const reasons: string[] = [];
  const isSeparator = (event: Events[number]): boolean => factOf(event, bank).kind === "separator";
  const ofSet = (event: Events[number], { digests }: PcrEventRules["events"][number]): boolean =>
    digests.some((one) => same(event.digests[bank], one));
  const ofVariable = (event: Events[number], rule: PcrEventRules["variables"][number]): boolean => {
    const fact = factOf(event, bank);
    const found = fact.kind === "variable" ? variableIn(event.data) : null;
    return found !== null && found.name === rule.name && same(found.guid, rule.guid);
  };
  const separators = events.filter(isSeparator).length;
  if (rules.separator === "one" && separators !== 1)
    reasons.push(`${place}: ${separators} separators`);
  for (const event of events) {
    if (rules.separator === "one" && isSeparator(event)) continue;
    const allowed =
      rules.events.some((set) => ofSet(event, set)) ||
      rules.variables.some((rule) => ofVariable(event, rule)) ||
      rules.types.includes(event.type);
    if (!allowed)
      reasons.push(`${place}: not allowed: event ${event.index}, ${factText(event, bank)}`);
  }
  for (const set of rules.events) {
    if (set.need !== "required" || events.some((event) => ofSet(event, set))) continue;
    const label = set.label === null ? set.digests.map(hex).join(" or ") : labelText(set.label);
    reasons.push(`${place}: did not occur: ${label}`);
  }
  for (const rule of rules.variables) {
    if (rule.need !== "required" || events.some((event) => ofVariable(event, rule))) continue;
    reasons.push(`${place}: did not occur: variable ${rule.name}`);
  }
  return reasons;
}
