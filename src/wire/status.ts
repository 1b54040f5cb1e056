/**
 * The status list: one bit for each grant and each node credential by its status index (least
 * significant bit first), and the digests of single elements. An index beyond the list counts as
 * revoked, so a list must cover what was issued.
 */
import { compareBytes } from "../bytes.ts";
import { WireError } from "./error.ts";
import { encodePlain, parsePlain, type StatusList } from "./objects.ts";

export type StatusBits = "grants" | "nodes";

/** A list with room for so many grants and nodes, nothing revoked. */
export function emptyStatusList(grants: number, nodes: number): StatusList {
  const room = (count: number) => new Uint8Array(Math.ceil(count / 8));
  return { grants: room(grants), nodes: room(nodes), elements: [] };
}

export function encodeStatusList(list: StatusList): Uint8Array {
  return encodePlain("statusList", list);
}

export function parseStatusList(bytes: Uint8Array): StatusList {
  return parsePlain("statusList", bytes).value;
}

/** Whether the list says revoked; an index beyond it is. */
export function isRevoked(list: StatusList, bits: StatusBits, index: number): boolean {
  const byte = list[bits][Math.floor(index / 8)];
  return byte === undefined || ((byte >> (index % 8)) & 1) === 1;
}

/** A copy with the array lengthened to hold at least `count` indexes. */
export function grown(list: StatusList, bits: StatusBits, count: number): StatusList {
  const bytes = new Uint8Array(Math.max(list[bits].length, Math.ceil(count / 8)));
  bytes.set(list[bits]);
  return { ...list, [bits]: bytes };
}

/**
 * A copy with one bit set (revoked) or cleared. Throws WireError `wire.shape` for an index beyond
 * the list.
 */
export function withStatus(
  list: StatusList,
  bits: StatusBits,
  index: number,
  revoked: boolean,
): StatusList {
  const bytes = new Uint8Array(list[bits]);
  const place = Math.floor(index / 8);
  const byte = Number.isInteger(index) && index >= 0 ? bytes[place] : undefined;
  if (byte === undefined) {
    throw new WireError(
      "wire.shape",
      `status index ${index} lies beyond ${bytes.length * 8} ${bits}`,
    );
  }
  const mask = 1 << (index % 8);
  bytes[place] = revoked ? byte | mask : byte & ~mask;
  return { ...list, [bits]: bytes };
}

/** A copy that revokes one element, of any kind, by its digest. */
export function withElementRevoked(list: StatusList, digest: Uint8Array): StatusList {
  if (list.elements.some((known) => compareBytes(known, digest) === 0)) return list;
  return { ...list, elements: [...list.elements, digest].toSorted(compareBytes) };
}
