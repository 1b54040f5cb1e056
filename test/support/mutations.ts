import { type CborMap, type CborValue, isMap } from "../../src/wire/cbor-value.ts";

const INSTEAD: readonly CborValue[] = [
  ...[null, true, 0, 1, 2, -1, 2 ** 53 - 1, "", "x", "with space", "x".repeat(129), "é"],
  ...[0, 16, 32, 4097].map((length) => new Uint8Array(length)),
  ...[[], [0], [1, []], new Map()],
];

/**
 * Every value that differs from this one in one place: each node replaced by values of every type,
 * each array item dropped, repeated or moved, each map member dropped or renamed.
 */
export function* mutations(value: CborValue): Generator<CborValue> {
  yield* INSTEAD;
  if (Array.isArray(value)) yield* arrayMutations(value as readonly CborValue[]);
  else if (isMap(value)) yield* mapMutations(value);
}

function* arrayMutations(items: readonly CborValue[]): Generator<CborValue> {
  for (const [i, item] of items.entries()) {
    yield items.toSpliced(i, 1);
    yield items.toSpliced(i, 0, item);
    if (i > 0) yield items.toSpliced(i, 1).toSpliced(i - 1, 0, item);
    for (const changed of mutations(item)) yield items.with(i, changed);
  }
}

function* mapMutations(map: CborMap): Generator<CborValue> {
  for (const [key, item] of map) {
    yield new Map([...map].filter(([other]) => other !== key));
    yield new Map([...map].map(([k, v]) => [k === key ? -99 : k, v]));
    for (const changed of mutations(item)) yield new Map([...map, [key, changed]]);
  }
}
