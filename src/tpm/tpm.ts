/**
 * One connection to a TPM: commands one at a time, resubmitted where the TPM asks for it, with
 * sessions, and with what they load freed again. The commands themselves are functions over it
 * (startup.ts, capability.ts, object.ts, ...).
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Authorization, authorize, checkResponse } from "./session.ts";
import { concat, Reader, u16, u32 } from "./structures/bytes.ts";
import { type CommandName, MAX_MESSAGE_BYTES, TPM_CC, TPM_ST } from "./structures/constants.ts";
import { TpmError, TpmFormatError, TpmTransportError } from "./structures/errors.ts";
import { HEADER_BYTES, type Transport } from "./transport.ts";

/** Something with a handle and the Name that authorizations are bound to. */
export interface Entity {
  readonly handle: number;
  readonly name: Uint8Array;
}

/** A hierarchy, PCR or session: its Name is its handle (Part 1 §16). */
export function permanent(handle: number): Entity {
  return { handle, name: u32(handle) };
}

/** One command of Part 3, ready to be sent. */
export interface Command<T> {
  readonly name: CommandName;
  readonly handles?: readonly Entity[];
  /** For the handles that need it, in their order, then further sessions: at most three. */
  readonly authorizations?: readonly Authorization[];
  readonly parameters?: Uint8Array;
  /** The response begins with a handle. */
  readonly givesHandle?: true;
  /** Reads the response's parameters, all of them. */
  readonly response: (reader: Reader, handle: number) => T;
}

export interface TpmOptions {
  /**
   * Longest wait for one answer before the connection is given up; making an RSA key can take a
   * minute.
   */
  readonly timeoutMs?: number;
  /** First pause before a resubmission; it doubles up to half a second. */
  readonly retryDelayMs?: number;
}

/**
 * TPM_RC_RETRY, TPM_RC_YIELDED, TPM_RC_TESTING: nothing was executed, the same bytes may be sent
 * again.
 */
const RESUBMIT: readonly number[] = [0x922, 0x908, 0x90a];
/** TPM2_FlushContext of a handle that a reset took away, before and after the next TPM2_Startup. */
const GONE: readonly string[] = ["TPM_RC_INITIALIZE", "TPM_RC_HANDLE"];
/** About eight seconds in all; a self-test of a slow TPM takes two. */
const ATTEMPTS_MAX = 20;
const RETRY_DELAY_MS_MAX = 500;

interface RawResponse {
  readonly handle: number;
  readonly parameters: Uint8Array;
  readonly sessions: Reader | null;
}

export class Tpm implements AsyncDisposable {
  readonly #transport: Transport;
  readonly #timeoutMs: number;
  readonly #retryDelayMs: number;
  #tail: Promise<unknown> = Promise.resolve();
  #broken: TpmTransportError | null = null;

  constructor(transport: Transport, { timeoutMs = 120_000, retryDelayMs = 10 }: TpmOptions = {}) {
    this.#transport = transport;
    this.#timeoutMs = timeoutMs;
    this.#retryDelayMs = retryDelayMs;
  }

  /** A resource manager isolates this connection from other users of the TPM. */
  get managed(): boolean {
    return this.#transport.managed;
  }

  /**
   * Runs one command after all that were asked for earlier.
   * @throws TpmError where the TPM refuses, TpmTransportError where it cannot be reached or its
   *   answer is not authentic, TpmFormatError where its answer does not follow Part 2.
   */
  execute<T>(command: Command<T>): Promise<T> {
    const run = this.#tail.then(() => this.#run(command));
    this.#tail = run.then(
      () => undefined,
      () => undefined,
    );
    return run;
  }

  /** TPM2_FlushContext. What is gone already, with the connection or by a reset, is no error. */
  async flush(handle: number): Promise<void> {
    if (this.#broken) return;
    const parameters = u32(handle);
    try {
      await this.execute({ name: "TPM2_FlushContext", parameters, response: () => undefined });
    } catch (cause) {
      if (!(cause instanceof TpmError) || !GONE.includes(cause.rcName)) throw cause;
    }
  }

  /** Ends the connection at once, also under a command that is waiting. Idempotent. */
  async close(): Promise<void> {
    this.#broken ??= new TpmTransportError("The connection to the TPM was closed by us.");
    await this.#transport.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #run<T>(command: Command<T>): Promise<T> {
    const { name, handles = [], authorizations = [] } = command;
    const code = TPM_CC[name];
    const parts = { code, names: handles.map((one) => one.name), authorizations };
    const { area, parameters } = authorize({
      ...parts,
      parameters: command.parameters ?? new Uint8Array(),
    });
    const sessions = authorizations.length > 0;
    const body = concat(
      ...handles.map((one) => u32(one.handle)),
      ...(sessions ? [u32(area.length), area] : []),
      parameters,
    );
    const tag = sessions ? TPM_ST.SESSIONS : TPM_ST.NO_SESSIONS;
    const bytes = concat(u16(tag), u32(HEADER_BYTES + body.length), u32(code), body);
    if (bytes.length > MAX_MESSAGE_BYTES) {
      throw new RangeError(`${name} would be ${bytes.length} bytes long; a TPM takes 4096.`);
    }
    const raw = parseResponse(command, await this.#submit(name, bytes), tag);
    const plain = raw.sessions
      ? this.#check(code, authorizations, raw.parameters, raw.sessions)
      : raw.parameters;
    const reader = new Reader(plain, `The response to ${name}`);
    const value = command.response(reader, raw.handle);
    reader.end();
    return value;
  }

  /** A response that is not authentic means that someone sits on the line: the connection ends. */
  #check(
    code: number,
    all: readonly Authorization[],
    parameters: Uint8Array,
    area: Reader,
  ): Uint8Array {
    try {
      return checkResponse(code, all, parameters, area);
    } catch (cause) {
      if (cause instanceof TpmTransportError) this.#broken = cause;
      throw cause;
    }
  }

  /** Sends until the TPM executes the command, refuses it, or has asked for patience too often. */
  async #submit(name: CommandName, bytes: Uint8Array): Promise<Uint8Array> {
    let delayMs = this.#retryDelayMs;
    for (let attempt = 1; ; attempt++) {
      const response = await this.#transmit(name, bytes);
      const rc =
        response.length >= HEADER_BYTES ? new Reader(response.subarray(6, 10), name).u32() : 0;
      if (!RESUBMIT.includes(rc)) return response;
      if (attempt === ATTEMPTS_MAX)
        throw new TpmError(name, rc, `; it did so ${ATTEMPTS_MAX} times`);
      await sleep(delayMs);
      delayMs = Math.min(delayMs * 2, RETRY_DELAY_MS_MAX);
    }
  }

  async #transmit(name: CommandName, bytes: Uint8Array): Promise<Uint8Array> {
    if (this.#broken) throw this.#broken;
    const clock = new AbortController();
    const late = sleep(this.#timeoutMs, null, { signal: clock.signal, ref: true });
    try {
      const response = await Promise.race([this.#transport.transmit(bytes), late]);
      if (response === null) {
        throw new TpmTransportError(
          `The TPM did not answer ${name} within ${this.#timeoutMs} ms: it hangs, or serves others.`,
        );
      }
      return response;
    } catch (cause) {
      // Whether the command was executed is unknown, so nothing later may be taken for its answer.
      this.#broken = asTransportError(cause);
      await this.#transport.close();
      throw this.#broken;
    } finally {
      clock.abort();
      late.catch(() => undefined);
    }
  }
}

function asTransportError(cause: unknown): TpmTransportError {
  if (cause instanceof TpmTransportError) return cause;
  return new TpmTransportError("The connection to the TPM failed.", { cause });
}

/**
 * Splits a response (Part 1 §18.9).
 * @throws TpmError for a response code, TpmFormatError for a malformed response.
 */
function parseResponse(command: Command<unknown>, bytes: Uint8Array, sentTag: number): RawResponse {
  const { name } = command;
  const reader = new Reader(bytes, `The response to ${name}`);
  const [tag, size, rc] = [reader.u16(), reader.u32(), reader.u32()];
  if (size !== bytes.length) {
    throw new TpmFormatError(
      `The response to ${name} states ${size} bytes and has ${bytes.length}.`,
    );
  }
  if (rc !== 0) {
    reader.end();
    throw new TpmError(name, rc);
  }
  if (tag !== sentTag) {
    const [got, sent] = [tag.toString(16), sentTag.toString(16)];
    throw new TpmFormatError(
      `The response to ${name} has tag 0x${got}, the command had 0x${sent}.`,
    );
  }
  const handle = command.givesHandle ? reader.u32() : 0;
  if (tag === TPM_ST.NO_SESSIONS) return { handle, parameters: reader.rest(), sessions: null };
  const parameters = reader.bytes(reader.u32());
  return { handle, parameters, sessions: new Reader(reader.rest(), `The sessions of ${name}`) };
}
