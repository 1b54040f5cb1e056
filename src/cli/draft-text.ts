/**
 * What a signer is shown: all that the bytes say, line by line, and first what differs from what
 * is in force. A key is shown as its kid, which is the digest of the whole key.
 */
import { type Domain, loadPolicies } from "../domain/domain.ts";
import { listOf } from "../domain/ratification.ts";
import type { UnverifiedDraft } from "../wire/draft.ts";
import { type StatusList, showClaims } from "../wire/objects.ts";
import { parseStatusList } from "../wire/status.ts";
import { hex, type Json, oneLine } from "./print.ts";

/** The object against what is in force; null where there is nothing to compare it with. */
export interface DraftText {
  readonly against: string | null;
  readonly changes: readonly string[];
  readonly full: readonly string[];
}

const isRecord = (value: Json): value is { readonly [key: string]: Json | undefined } =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** `place: value` for every leaf of the tree; items of a list stand under the list's own place. */
function flattened(value: Json | undefined, place: string): string[] {
  if (value === undefined) return [];
  if (Array.isArray(value)) {
    if (value.length === 0) return [`${place}: (none)`];
    const nested = value.some((item: Json) => Array.isArray(item));
    return value.flatMap((item: Json, i) => flattened(item, nested ? `${place}[${i}]` : place));
  }
  if (!isRecord(value)) return [`${place}: ${oneLine(String(value))}`];
  const { kid, crv, key, labels, ...rest } = value;
  if (typeof kid === "string") return [`${place}: ${String(crv)} ${kid}`];
  if (
    key !== undefined &&
    isRecord(key) &&
    labels !== undefined &&
    Object.keys(rest).length === 0
  ) {
    const may = labels === null ? "any label" : `labels ${JSON.stringify(labels)}`;
    return flattened(key, place).map((line) => `${line}, ${oneLine(may)}`);
  }
  const entries = Object.entries(value);
  if (entries.length === 0) return [`${place}: (none)`];
  const at = place === "" ? "" : `${place}.`;
  return entries.flatMap(([name, inner]) => flattened(inner, `${at}${oneLine(name)}`));
}

export function claimLines({ kind, claims }: UnverifiedDraft): string[] {
  return flattened(showClaims(kind, claims as never) as Json, "");
}

function differing(before: readonly string[], after: readonly string[]): string[] {
  const [old, now] = [new Set(before), new Set(after)];
  return [
    ...before.filter((line) => !now.has(line)).map((line) => `- ${line}`),
    ...after.filter((line) => !old.has(line)).map((line) => `+ ${line}`),
  ];
}

/** What a status list revokes, as lines. */
function revokedLines(list: StatusList): string[] {
  const indexes = (bits: Uint8Array, what: string) =>
    [...bits].flatMap((byte, i) =>
      [0, 1, 2, 3, 4, 5, 6, 7]
        .filter((bit) => ((byte >> bit) & 1) === 1)
        .map((bit) => `revoked ${what}: ${8 * i + bit}`),
    );
  return [
    `status list: room for ${8 * list.grants.length} grants, ${8 * list.nodes.length} nodes`,
    ...indexes(list.grants, "grant"),
    ...indexes(list.nodes, "node"),
    ...list.elements.map((digest) => `revoked element: ${hex(digest)}`),
  ];
}

/**
 * The text of a draft. `lists`: status lists at hand, among them the one that a snapshot names.
 * Throws DomainError `domain.missing` where that is absent: nobody signs what was not shown.
 */
export async function textOf(
  draft: UnverifiedDraft,
  domain: Domain,
  lists: readonly Uint8Array[],
): Promise<DraftText> {
  const own = claimLines(draft);
  switch (draft.kind) {
    case "charter": {
      const { object, digest } = domain.charter;
      const against = `charter ${object.claims.number}, digest ${hex(digest)}`;
      return compared(against, claimLines({ ...object, digest }), own);
    }
    case "snapshot": {
      const { object, digest } = domain.snapshot;
      const list = parseStatusList(listOf(domain, draft.claims, lists));
      const against = `snapshot ${object.claims.version}, digest ${hex(digest)}`;
      const before = [...claimLines({ ...object, digest }), ...revokedLines(domain.status.list)];
      return compared(against, before, [...own, ...revokedLines(list)]);
    }
    case "policy": {
      const named = (await loadPolicies(domain)).filter(({ name }) => name === draft.claims.name);
      const version = ({ object }: (typeof named)[number]) => object.claims.version;
      const newest = named.toSorted((a, b) => version(b) - version(a))[0];
      if (newest === undefined) return compared(null, [], own);
      const { object, digest } = newest;
      const against = `${newest.name} version ${object.claims.version}, digest ${hex(digest)}`;
      return compared(against, claimLines({ ...object, digest }), own);
    }
    case "grant":
      return compared(null, [], own);
  }
}

function compared(against: string | null, before: string[], after: string[]): DraftText {
  return { against, changes: against === null ? [] : differing(before, after), full: after };
}
