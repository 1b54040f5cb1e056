/** What byte strings have in common, whatever they say. */

/** Bytewise order, a prefix first, as RFC 8949 §4.2.1 sorts the encodings of map keys. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const common = Math.min(a.length, b.length);
  for (let i = 0; i < common; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
