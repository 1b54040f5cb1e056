/**
 * The status list: who is revoked. Bits by status index for grants and credentials, digests for any
 * element.
 */
import { Span, lenOf, ptrOf, same, span } from "../abi";
import { Fault, READER_BYTES, Reader } from "../codec/cbor";
import { hashKept } from "../cose/kept";
import { HashId } from "../hash/hash";
import { check } from "../findings";
import { Code, limits } from "../generated";
import { holds, readSorted } from "./claims";

let grants: Span = 0;
let nodes: Span = 0;
let elements: Span = 0;

const MAIN = changetype<Reader>(memory.data(READER_BYTES, 8));
const DIGEST = memory.data(32, 8);

/** Reads the list, after its digest was compared with the one that the snapshot names. */
export function openStatus(bytes: Span, named: Span): bool {
  if (!check(lenOf(bytes) > 0, Code.REVOCATION_MISSING)) return false;
  if (!check(lenOf(bytes) <= limits.statusBytes, Code.REVOCATION_MALFORMED)) return false;
  const r = MAIN.open(bytes);
  r.array(3, 3);
  grants = r.bytes(0, limits.statusBytes);
  nodes = r.bytes(0, limits.statusBytes);
  elements = readSorted(r, 0, limits.statusBytes, 32, 32);
  if (!check(r.close() == Fault.NONE, Code.REVOCATION_MALFORMED)) return false;
  hashKept(HashId.SHA256, bytes, DIGEST);
  return check(same(span(DIGEST, 32), named), Code.REVOCATION_LIST);
}

/** An index beyond the list is revoked: a list cut short must not free anyone. */
function isSet(bits: Span, index: u64): bool {
  if (index >> 3 >= <u64>lenOf(bits)) return true;
  return ((load<u8>(ptrOf(bits) + <usize>(index >> 3)) >> <u8>(index & 7)) & 1) != 0;
}

export function isGrantRevoked(index: u64): bool {
  return isSet(grants, index);
}

export function isNodeRevoked(index: u64): bool {
  return isSet(nodes, index);
}

export function isElementRevoked(digest: Span): bool {
  return holds(elements, digest);
}
