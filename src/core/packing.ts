/** What a pool and its workers tell each other. */

/**
 * Many byte strings as one, whose memory changes hands: an array of them would be copied one by one,
 * each with all of the memory that it is a view of.
 */
export interface Packed {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly lengths: readonly number[];
}

/** To a worker: cases to decide. From it: their results, or that it is ready. */
export interface BatchMessage {
  readonly cases: Packed;
}
export interface ResultMessage {
  /** As docs/abi.md lays them out; an empty one is a trap. Null once the core is loaded. */
  readonly results: Packed | null;
}

export function pack(parts: readonly Uint8Array[]): Packed {
  const lengths = parts.map(({ length }) => length);
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return { bytes, lengths };
}

export function unpack({ bytes, lengths }: Packed): Uint8Array<ArrayBuffer>[] {
  let end = 0;
  return lengths.map((length) => {
    end += length;
    return bytes.subarray(end - length, end);
  });
}
