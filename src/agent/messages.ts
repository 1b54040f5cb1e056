/**
 * What is said to an agent over its socket, and what it answers: one message each way on a
 * connection, a 4-byte big-endian length and deterministic CBOR.
 *
 *     question = [1, request digest, [+ [hash, [+ PCR]]], counter / null]     quote
 *              / [2, counter, value]                                          raise a counter
 *     answer   = [1, attest, signature, index, size, [* path], [* value], value / null]
 *              / [2, value]
 *              / [0, why not, TPM_RC's name / null]
 *     counter  = [NV index, Name]          value = 8 bytes, big-endian
 *
 * Only the owner of the gate's home reaches the socket. Quotes are evidence, which the core judges
 * whoever brings them; that a counter was certified is the agent's word.
 */
import type { Socket } from "node:net";
import { PortcullisError } from "../errors.ts";
import { decode, encode } from "../wire/cbor.ts";
import type { CborValue } from "../wire/cbor-value.ts";
import type { AuditPath } from "../wire/merkle.ts";

export const MESSAGE_BYTES_MAX = 65_536;

/** Where a counter lies, and its Name once it was written. */
export interface CounterPlace {
  readonly index: number;
  readonly name: Uint8Array;
}

/** PCRs of one bank, by TPM_ALG_ID. */
export interface BankSelection {
  readonly hash: number;
  readonly pcrs: readonly number[];
}

export type Question =
  | {
      readonly kind: "quote";
      readonly request: Uint8Array;
      readonly selection: readonly BankSelection[];
      readonly counter: CounterPlace | null;
    }
  | { readonly kind: "raise"; readonly counter: CounterPlace; readonly value: bigint };

/** A quote, the place of the request in it, and the counter as it was certified. */
export interface Quoted extends AuditPath {
  readonly attest: Uint8Array;
  readonly signature: Uint8Array;
  readonly values: readonly Uint8Array[];
  readonly counter: bigint | null;
}

/** The agent could not, or answered what is no answer. */
export class AgentError extends PortcullisError {
  /** The TPM's own reason, such as `TPM_RC_INTEGRITY`; null where it gave none. */
  readonly rcName: string | null;

  constructor(code: "agent.refused" | "agent.answer", message: string, rcName: string | null) {
    super(code, message);
    this.rcName = rcName;
  }
}

export function encodeQuestion(question: Question): Uint8Array {
  if (question.kind === "raise") {
    return encode([2, placeOf(question.counter), eight(question.value)]);
  }
  const { request, selection, counter } = question;
  const banks = selection.map(({ hash, pcrs }) => [hash, pcrs]);
  return encode([1, request, banks, counter && placeOf(counter)]);
}

/** Null for what is no question. */
export function decodeQuestion(bytes: Uint8Array): Question | null {
  const [kind, ...rest] = listOf(bytes);
  if (kind === 2 && rest.length === 2) {
    const [counter, value] = [placeIn(rest[0]), valueIn(rest[1])];
    return counter === null || value === null ? null : { kind: "raise", counter, value };
  }
  const [request, banks, place] = rest;
  if (kind !== 1 || rest.length !== 3 || !(request instanceof Uint8Array)) return null;
  const selection = selectionIn(banks);
  const counter = placeIn(place);
  if (request.length !== 32 || selection === null || (counter === null) !== (place === null)) {
    return null;
  }
  return { kind: "quote", request, selection, counter };
}

export function encodeQuoted(quoted: Quoted): Uint8Array {
  const { attest, signature, index, size, path, values, counter } = quoted;
  const value = counter === null ? null : eight(counter);
  return encode([1, attest, signature, index, size, path, values, value]);
}

export const encodeRaised = (value: bigint): Uint8Array => encode([2, eight(value)]);

export const encodeRefusal = (why: string, rcName: string | null): Uint8Array =>
  encode([0, why, rcName]);

/** @throws AgentError */
export function decodeQuoted(bytes: Uint8Array): Quoted {
  const [attest, signature, index, size, path, values, value] = answerIn(bytes, 1, 7);
  const counter = valueIn(value);
  const [siblings, pcrs] = [byteStringsIn(path), byteStringsIn(values)];
  if (
    !(attest instanceof Uint8Array && signature instanceof Uint8Array) ||
    typeof index !== "number" ||
    typeof size !== "number" ||
    siblings === null ||
    pcrs === null ||
    (counter === null) !== (value === null)
  ) {
    throw noAnswer();
  }
  return { attest, signature, index, size, path: siblings, values: pcrs, counter };
}

/** @throws AgentError */
export function decodeRaised(bytes: Uint8Array): bigint {
  const value = valueIn(answerIn(bytes, 2, 1)[0]);
  if (value === null) throw noAnswer();
  return value;
}

export const noAnswer = (): AgentError =>
  new AgentError("agent.answer", "The agent gave no answer: start it again.", null);

/** What follows the kind of an answer. */
function answerIn(bytes: Uint8Array, wanted: number, length: number): readonly CborValue[] {
  const [kind, ...rest] = listOf(bytes);
  if (kind === wanted && rest.length === length) return rest;
  const [why, rcName] = rest;
  if (kind !== 0 || typeof why !== "string") throw noAnswer();
  throw new AgentError("agent.refused", why, typeof rcName === "string" ? rcName : null);
}

function listOf(bytes: Uint8Array): readonly CborValue[] {
  try {
    const value = decode(bytes);
    return Array.isArray(value) ? value : [];
  } catch (error) {
    if (error instanceof PortcullisError) return [];
    throw error;
  }
}

const placeOf = ({ index, name }: CounterPlace): CborValue => [index, name];

function placeIn(value: CborValue | undefined): CounterPlace | null {
  if (!Array.isArray(value) || value.length !== 2) return null;
  const [index, name] = value;
  return typeof index === "number" && name instanceof Uint8Array ? { index, name } : null;
}

function eight(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  return bytes;
}

function valueIn(value: CborValue | undefined): bigint | null {
  if (!(value instanceof Uint8Array) || value.length !== 8) return null;
  return new DataView(value.buffer, value.byteOffset).getBigUint64(0);
}

function byteStringsIn(value: CborValue | undefined): readonly Uint8Array[] | null {
  if (!Array.isArray(value)) return null;
  const strings = value.filter((item) => item instanceof Uint8Array);
  return strings.length === value.length ? strings : null;
}

function selectionIn(value: CborValue | undefined): readonly BankSelection[] | null {
  if (!Array.isArray(value) || value.length === 0) return null;
  const banks = value.map((bank) => {
    const [hash, pcrs] = Array.isArray(bank) ? bank : [];
    if (typeof hash !== "number" || !Array.isArray(pcrs)) return null;
    const numbers = pcrs.filter((pcr) => typeof pcr === "number" && pcr >= 0 && pcr < 24);
    return numbers.length === pcrs.length ? { hash, pcrs: numbers } : null;
  });
  const known = banks.filter((bank) => bank !== null);
  return known.length === banks.length ? known : null;
}

/** Sends one message. */
export function send(socket: Socket, body: Uint8Array): void {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  socket.write(Buffer.concat([head, body]));
}

/**
 * The one message of a connection; null where it ends, or says more, or too much. Whoever has not
 * said it whole within this time is cut off, however slowly it goes on.
 */
export function receive(socket: Socket, withinMs: number): Promise<Uint8Array | null> {
  return new Promise((done) => {
    let bytes = Buffer.alloc(0);
    const timer = setTimeout(() => socket.destroy(), withinMs);
    const end = (message: Uint8Array | null): void => {
      clearTimeout(timer);
      // Whatever else is sent is read, and kept nowhere.
      socket.off("data", take).resume();
      done(message);
    };
    const take = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes.length < 4) return;
      const size = bytes.readUInt32BE();
      if (size > MESSAGE_BYTES_MAX || bytes.length > 4 + size) end(null);
      else if (bytes.length === 4 + size) end(new Uint8Array(bytes.subarray(4)));
    };
    socket.on("data", take);
    socket.once("close", () => end(null));
  });
}
