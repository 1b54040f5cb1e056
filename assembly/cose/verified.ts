/**
 * Signatures that verified before. Governance, policies and credentials come with every case and
 * seldom change: their signatures need to be computed once.
 *
 * An entry is SHA-256 over everything that the answer depends on: the key's thumbprint (which fixes
 * its algorithm and coordinates), the signature and the Sig_structure, byte for byte. Only what
 * verified is kept, so that the table can change how fast an answer comes, and never the answer. A
 * new entry takes the place of whatever shares its slot.
 */
import { Span, lenOf, ptrOf } from "../abi";
import { HASH_CONTEXT_BYTES, HashId, begin, finish, update } from "../hash/hash";
import { KID_BYTES } from "./key";

/** A power of two. */
const ENTRIES: u32 = 1024;
const TABLE = memory.data(1024 * 32, 16);
const CONTEXT = memory.data(HASH_CONTEXT_BYTES, 16);
const LENGTH = memory.data(4, 4);
const ENTRY = memory.data(32, 8);

/** Forms the entry of this triple, for `isVerified` and `keepVerified`. */
export function formEntry(kid: usize, signature: Span, message: Span): void {
  store<u32>(LENGTH, lenOf(signature));
  begin(HashId.SHA256, CONTEXT);
  update(CONTEXT, kid, KID_BYTES);
  update(CONTEXT, LENGTH, 4);
  update(CONTEXT, ptrOf(signature), lenOf(signature));
  update(CONTEXT, ptrOf(message), lenOf(message));
  finish(CONTEXT, ENTRY);
}

function slot(): usize {
  return TABLE + ((load<u32>(ENTRY) & (ENTRIES - 1)) << 5);
}

/** Whether the triple formed last has verified before. */
export function isVerified(): bool {
  return memory.compare(slot(), ENTRY, 32) == 0;
}

/** Keeps the triple formed last, which has just verified. */
export function keepVerified(): void {
  memory.copy(slot(), ENTRY, 32);
}
