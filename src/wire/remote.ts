/** What plane and client tell each other in CBOR (docs/plane.md), beside the signed objects. */
import { LIMITS } from "../limits.ts";
import { decode, encode } from "./cbor.ts";
import { bytes, list, nullable, type Of, type Shape, tuple, uint } from "./schema.ts";
import { ident } from "./shapes.ts";

const part = bytes({ min: 1, max: LIMITS.policyBytes });

const nonce = bytes([32]);
/** The signed result, and the plane's own code where it denies. */
const opinion = tuple({
  result: nullable(bytes({ min: 1, max: 2 * LIMITS.payloadBytes })),
  code: nullable(ident),
});
/** Charters from the first on, the newest snapshot, and the status list that it names. */
const governance = tuple({
  charters: list(part, { min: 1, max: 1_024 }),
  snapshot: part,
  statusList: part,
});
const enrollment = tuple({
  id: bytes([16]),
  /** As docs/enrollment.md has it. */
  challenge: bytes({ min: 1, max: LIMITS.payloadBytes }),
  /** How long an answer is waited for. */
  seconds: uint(1, 3_600),
});

/** Those of the most charters, and more: who answers may be anyone. */
const ITEMS_MAX = 2_048;

const SHAPES = { nonce, opinion, governance, enrollment } as const;
export type RemoteKind = keyof typeof SHAPES;
export type Remote<K extends RemoteKind> = Of<(typeof SHAPES)[K]>;

const shapeOf = <K extends RemoteKind>(kind: K) => SHAPES[kind] as unknown as Shape<Remote<K>>;

/** Throws WireError `wire.shape` where the message is out of bounds. */
export function encodeRemote<K extends RemoteKind>(kind: K, message: Remote<K>): Uint8Array {
  return encode(shapeOf(kind).encode(message, kind));
}

/** Reads a message of the kind that is expected. Throws WireError. */
export function parseRemote<K extends RemoteKind>(kind: K, message: Uint8Array): Remote<K> {
  return shapeOf(kind).decode(decode(message, ITEMS_MAX), kind);
}
