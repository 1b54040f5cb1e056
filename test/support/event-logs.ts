/**
 * Boot event logs made by hand, and a reader of them that shares nothing with the core: PFP §10.2,
 * §10.4.5.
 */
import { sha1 } from "@noble/hashes/legacy.js";
import { sha256, sha384, sha512 } from "@noble/hashes/sha2.js";
import { type Bank, concat, TPM_ALG } from "./ak.ts";
import { HASHES } from "./signatures.ts";

export const HASH = { sha1, sha256, sha384, sha512 } as const;
export const EV_NO_ACTION = 3;
export const EV_SEPARATOR = 4;

export interface MadeEvent {
  readonly pcr: number;
  readonly type: number;
  readonly data: Uint8Array;
  /** By bank; what is not here is not carried. */
  readonly digests: { readonly [bank in Bank]?: Uint8Array };
}

export const le16 = (value: number): Uint8Array => Uint8Array.of(value & 0xff, value >> 8);
export const le32 = (value: number): Uint8Array =>
  Uint8Array.of(value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >>> 24);
const ascii = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));

/** TCG_PCR_EVENT. */
export const sha1Event = (event: MadeEvent): Uint8Array =>
  concat(
    le32(event.pcr),
    le32(event.type),
    event.digests.sha1 ?? new Uint8Array(20),
    le32(event.data.length),
    event.data,
  );

/** TCG_PCR_EVENT2. */
export function agileEvent(event: MadeEvent): Uint8Array {
  const carried = HASHES.flatMap((bank) => {
    const digest = event.digests[bank];
    return digest === undefined ? [] : [concat(le16(TPM_ALG[bank]), digest)];
  });
  const { pcr, type, data } = event;
  const head = [le32(pcr), le32(type), le32(carried.length)];
  return concat(...head, ...carried, le32(data.length), data);
}

/** TCG_EfiSpecIDEvent over [TPM_ALG_ID, bytes of a digest]. */
export function specId(
  algorithms: readonly (readonly [number, number])[],
  vendor: Uint8Array = new Uint8Array(),
  count = algorithms.length,
): Uint8Array {
  const rows = algorithms.map(([id, bytes]) => concat(le16(id), le16(bytes)));
  const version = concat(le32(0), Uint8Array.of(0, 2, 0, 2));
  const end = concat(Uint8Array.of(vendor.length), vendor);
  const data = concat(ascii("Spec ID Event03\0"), version, le32(count), ...rows, end);
  return sha1Event({ pcr: 0, type: EV_NO_ACTION, data, digests: {} });
}

export const startupLocality = (locality: number): MadeEvent => ({
  pcr: 0,
  type: EV_NO_ACTION,
  data: concat(ascii("StartupLocality\0"), Uint8Array.of(locality)),
  digests: {},
});

/** An event whose digests are those of its data. */
export function measured(
  pcr: number,
  type: number,
  data: Uint8Array,
  banks: readonly Bank[] = ["sha256"],
): MadeEvent {
  const digests = Object.fromEntries(banks.map((bank) => [bank, HASH[bank](data)]));
  return { pcr, type, data, digests };
}

/** A crypto-agile log of these banks. */
export function agileLog(banks: readonly Bank[], events: readonly MadeEvent[]): Uint8Array {
  const algorithms = banks.map((bank) => [TPM_ALG[bank], HASH[bank].outputLen] as const);
  return concat(specId(algorithms), ...events.map(agileEvent));
}

/** What the events extend: by bank, the PCRs that received an extend. */
export function replayed(banks: readonly Bank[], events: readonly MadeEvent[], locality = 0) {
  const rows = banks.map((bank) => {
    const values: { [pcr: number]: Uint8Array } = {};
    for (const { pcr, type, digests } of events) {
      const digest = digests[bank];
      if (type === EV_NO_ACTION || digest === undefined) continue;
      const initial = new Uint8Array(HASH[bank].outputLen);
      if (pcr === 0) initial[initial.length - 1] = locality;
      values[pcr] = HASH[bank](concat(values[pcr] ?? initial, digest));
    }
    return [bank, values] as const;
  });
  return Object.fromEntries(rows) as { [bank in Bank]?: { [pcr: number]: Uint8Array } };
}
