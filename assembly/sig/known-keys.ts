/**
 * Keys that nobody enrolled and that verify again and again: those of a charter, attestation keys,
 * holders. After some signatures the core gives such a key a table by itself; it takes no room from
 * a key that was enrolled. Only signatures that verified count, so that whoever sends others gets
 * no tables made, and a table changes no answer.
 */
import { countLent, findKey, KeyKind, lendKey, NO_SLOT, Tier } from "./prepared-keys";

/** As many signatures in plain form cost more than the table. */
const WARM_USES: u32 = 8;
const HOT_USES: u32 = 256;

@unmanaged
class Seen {
  kind: u32;
  uses: u32;
}

/** Keys on their way: each in the one place that its bytes give it, whoever was there before. */
const PLACES: u32 = 1024;
const SEEN: usize = memory.data(1024 * 128, 16);
const KEY: usize = 8;

function keyBytes(kind: u32): usize {
  if (kind == <u32>KeyKind.P384) return 96;
  return kind == <u32>KeyKind.P256 ? 64 : 32;
}

/** Notes that a signature by this key verified. */
export function noteVerified(kind: u32, key: usize): void {
  if (SIMD == 0) return;
  const slot = findKey(kind, key);
  if (slot != NO_SLOT) {
    noteSlot(slot, kind, key);
    return;
  }
  const place = (load<u32>(key) ^ (load<u32>(key) >> 16)) & (PLACES - 1);
  const seen = SEEN + (<usize>place << 7);
  const bytes = keyBytes(kind);
  const s = changetype<Seen>(seen);
  if (s.kind != kind || memory.compare(seen + KEY, key, bytes) != 0) {
    s.kind = kind;
    s.uses = 0;
    memory.copy(seen + KEY, key, bytes);
  }
  if (++s.uses < WARM_USES) return;
  s.kind = 0;
  lendKey(kind, key, WARM_USES, Tier.WARM);
}

/** The same for a key in a slot. */
export function noteSlot(slot: u32, kind: u32, key: usize): void {
  const uses = countLent(slot);
  if (uses == HOT_USES) lendKey(kind, key, uses, Tier.HOT);
}
