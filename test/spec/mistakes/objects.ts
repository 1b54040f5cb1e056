/**
 * The parts of an accepted case, each of which can be replaced as bytes without signing anything
 * anew.
 */
import type { Code } from "../../../src/core/index.ts";
import { decode, decodeTagged, encode, encodeTagged } from "../../../src/wire/cbor.ts";
import type { CborKey, CborValue } from "../../../src/wire/cbor-value.ts";
import { COSE_SIGN, COSE_SIGN1 } from "../../../src/wire/cose.ts";
import { chain } from "../../support/chains.ts";
import { world } from "./denial.ts";

/** Every object: under a plane, and with a link, so that a case holds all kinds. */
export const built = await world.build(chain(world, [{}], { plane: true }));
const whole = decode(built.bytes) as readonly CborValue[];
const evidence = decode(built.evidenceBytes) as ReadonlyMap<CborKey, CborValue>;

function caseWith(key: number, value: CborValue): Uint8Array {
  const changed = new Map([...evidence, [key, value]]);
  return encode([1, whole[1] ?? null, changed, built.result]);
}

export interface Part {
  readonly bytes: Uint8Array;
  /** The case with the part replaced. */
  put(bytes: Uint8Array): Uint8Array;
  /** What a part that does not parse is denied as. */
  readonly malformed: readonly Code[];
}

const artifact: readonly Code[] = [
  "artifact.malformed",
  "artifact.oversized",
  "artifact.unknown-claim",
];
const item = (key: number, malformed: readonly Code[]): Part => {
  const bytes = evidence.get(key) as Uint8Array;
  return { bytes, malformed, put: (changed) => caseWith(key, changed) };
};
/** One of several under the key. */
const member = (key: number, place: number, malformed: readonly Code[]): Part => {
  const list = evidence.get(key) as readonly Uint8Array[];
  const bytes = list[place] ?? new Uint8Array();
  return { bytes, malformed, put: (changed) => caseWith(key, list.with(place, changed)) };
};

/** Objects that are signed, as the COSE messages they are. */
export const SIGNED_PARTS = {
  charter: member(1, 0, ["governance.malformed"]),
  snapshot: item(2, ["governance.malformed"]),
  grant: member(4, 0, artifact),
  link: member(4, 1, artifact),
  policy: member(8, 0, ["policy.malformed"]),
  node: item(6, ["identity.malformed"]),
  proof: item(5, ["identity.proof"]),
  result: {
    bytes: built.result ?? new Uint8Array(),
    malformed: ["plane.malformed"],
    put: (bytes) => encode([...whole.slice(0, 3), bytes]),
  },
} as const satisfies { readonly [kind: string]: Part };
export type PartKind = keyof typeof SIGNED_PARTS;
export const PART_KINDS = Object.keys(SIGNED_PARTS) as PartKind[];
/** Those of a case without a link: decide-lineage.test.ts makes links otherwise than they should be. */
export type RootKind = Exclude<PartKind, "link">;
export const ROOT_KINDS = PART_KINDS.filter((kind): kind is RootKind => kind !== "link");

/** A COSE message of four members, taken apart. */
export type Message = readonly [
  body: Uint8Array,
  unprotected: CborValue,
  payload: Uint8Array,
  signed: CborValue,
];

export function messageOf(bytes: Uint8Array): { tag: number; message: Message } {
  const { tag, value } = decodeTagged(bytes, [COSE_SIGN, COSE_SIGN1]);
  return { tag, message: value as unknown as Message };
}

/** The case in which a message's members were changed. */
export function withMessage(
  part: Part,
  change: (message: Message) => readonly CborValue[],
): Uint8Array {
  const { tag, message } = messageOf(part.bytes);
  return part.put(encodeTagged(tag, change(message)));
}

const payloadPart = (part: Part): Part => ({
  bytes: messageOf(part.bytes).message[2],
  malformed: part.malformed,
  put: (bytes) =>
    withMessage(part, ([body, unprotected, , last]) => [body, unprotected, bytes, last]),
});
const headerPart = (part: Part): Part => ({
  bytes: messageOf(part.bytes).message[0],
  malformed: part.malformed,
  put: (bytes) => withMessage(part, ([, ...rest]) => [bytes, ...rest]),
});

/** All that is CBOR in a case, by name. */
export const PARTS: ReadonlyMap<string, Part> = new Map<string, Part>([
  ...PART_KINDS.flatMap((kind): [string, Part][] => [
    [`${kind}, message`, SIGNED_PARTS[kind]],
    [`${kind}, protected header`, headerPart(SIGNED_PARTS[kind])],
    [`${kind}, payload`, payloadPart(SIGNED_PARTS[kind])],
  ]),
  ["job", item(7, ["policy.job"])],
  ["status list", item(3, ["revocation.malformed"])],
  ["case", { bytes: built.bytes, malformed: ["internal.case"], put: (bytes: Uint8Array) => bytes }],
]);
