/**
 * tpm2-tss' TCTI (device, tabrmd, swtpm, ...) through its loader library, the one place with native
 * code. Calls run on koffi's threads, off the event loop. Only the TCTI is used, never ESAPI:
 * buffers have fixed sizes that the library is told, and nothing is parsed in C.
 */
import { MAX_MESSAGE_BYTES } from "./structures/constants.ts";
import { TpmTransportError } from "./structures/errors.ts";
import { reason, type Transport } from "./transport.ts";

const LIBRARY = "libtss2-tctildr.so.0";
/**
 * How long one receive may hold a thread before it looks whether we were closed. The TCTIs of the
 * device and of tabrmd keep to it; swtpm's takes any time limit for "for ever", so a hung swtpm
 * then keeps this process from exiting (the transport swtpm: does not).
 */
const RECEIVE_MS = 200;
/** TSS2_TCTI_RC_TRY_AGAIN (tss2_common.h): nothing has come yet. */
const TRY_AGAIN = 0x000a0009;
/**
 * TSS2_TCTI_CONTEXT_COMMON_V1 (tss2_tcti.h): magic, version and padding, then function pointers.
 */
const TRANSMIT_AT = 16;
const RECEIVE_AT = 24;

type NativeCall = (...args: readonly unknown[]) => Promise<number>;
type Koffi = typeof import("koffi").default;

interface Library {
  readonly initialize: NativeCall;
  readonly finalize: NativeCall;
  readonly transmitOf: (context: unknown) => NativeCall;
  readonly receiveOf: (context: unknown) => NativeCall;
}

async function loadKoffi(): Promise<Koffi> {
  try {
    return (await import("koffi")).default;
  } catch (cause) {
    throw new TpmTransportError(
      "The package koffi is not installed, so there is no tpm2-tss: use device: or swtpm: instead.",
      { cause },
    );
  }
}

/** koffi's `async` runs the call on one of its threads and then calls back. */
function callAsync(native: { async: (...args: unknown[]) => unknown }): NativeCall {
  return (...args) =>
    new Promise((resolve, reject) => {
      native.async(...args, (error: unknown, result: number) =>
        error ? reject(error) : resolve(result),
      );
    });
}

/** Loaded once: koffi knows each type by its name. A failure is tried again. */
let loading: Promise<Library> | null = null;

function library(): Promise<Library> {
  loading ??= loadLibrary().catch((cause: unknown) => {
    loading = null;
    throw cause;
  });
  return loading;
}

async function loadLibrary(): Promise<Library> {
  const koffi = await loadKoffi();
  try {
    // The library logs to stderr what we report as errors; an operator who sets the variable still
    // sees it.
    process.env.TSS2_LOG ??= "all+none";
    const tctildr = koffi.load(LIBRARY);
    const initialize = tctildr.func(
      "uint32_t Tss2_TctiLdr_Initialize(const char *conf, _Out_ void **context)",
    );
    const finalize = tctildr.func("void Tss2_TctiLdr_Finalize(_Inout_ void **context)");
    const transmit = koffi.proto(
      "uint32_t tcti_transmit(void *context, size_t size, const uint8_t *command)",
    );
    const receive = koffi.proto(
      "uint32_t tcti_receive(void *context, _Inout_ size_t *size, _Out_ uint8_t *response, " +
        "int32_t timeout)",
    );
    const method = (context: unknown, at: number, prototype: typeof transmit): NativeCall => {
      const pointer: unknown = koffi.decode(context, at, "void *");
      return callAsync(koffi.decode(pointer, prototype));
    };
    return {
      initialize: callAsync(initialize),
      finalize: callAsync(finalize),
      transmitOf: (context) => method(context, TRANSMIT_AT, transmit),
      receiveOf: (context) => method(context, RECEIVE_AT, receive),
    };
  } catch (cause) {
    throw new TpmTransportError(
      `${LIBRARY} cannot be loaded; install libtss2-tctildr0 or tpm2-tss: ${reason(cause)}.`,
      { cause },
    );
  }
}

function hexRc(rc: number): string {
  return `0x${(rc >>> 0).toString(16)}`;
}

class TctiTransport implements Transport {
  readonly managed: boolean;
  readonly #context: unknown;
  readonly #conf: string;
  readonly #finalize: NativeCall;
  readonly #send: NativeCall;
  readonly #receive: NativeCall;
  #busy: Promise<unknown> = Promise.resolve();
  #running = 0;
  #closed = false;

  constructor(native: Library, context: unknown, conf: string) {
    this.#context = context;
    this.#conf = conf;
    this.#finalize = native.finalize;
    this.#send = native.transmitOf(context);
    this.#receive = native.receiveOf(context);
    this.managed = !/^(swtpm|mssim|device:\/dev\/tpm\d+$)/.test(conf);
  }

  transmit(command: Uint8Array): Promise<Uint8Array> {
    this.#running++;
    const run = this.#exchange(command).finally(() => this.#running--);
    this.#busy = run.then(
      () => undefined,
      () => undefined,
    );
    return run;
  }

  async #exchange(command: Uint8Array): Promise<Uint8Array> {
    if (this.#closed) throw new TpmTransportError(`TCTI ${this.#conf}: it is closed.`);
    const sent = await this.#send(this.#context, command.length, command);
    if (sent !== 0) throw this.#fail("transmit", sent);
    const response = new Uint8Array(MAX_MESSAGE_BYTES);
    const size = [MAX_MESSAGE_BYTES];
    let received = TRY_AGAIN;
    while (received === TRY_AGAIN && !this.#closed) {
      size[0] = MAX_MESSAGE_BYTES;
      received = await this.#receive(this.#context, size, response, RECEIVE_MS);
    }
    if (received !== 0) throw this.#fail("receive", received);
    return response.slice(0, Number(size[0]));
  }

  #fail(step: string, rc: number): TpmTransportError {
    return new TpmTransportError(`TCTI ${this.#conf}: ${step} failed with ${hexRc(rc)}.`);
  }

  /**
   * Finalizing under a call that still runs would free its memory, so a close in the middle of a
   * call leaves that to the call's own end.
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const end = this.#busy.then(() => this.#finalize([this.#context]));
    if (this.#running === 0) await end;
  }
}

/** Opens any TCTI by the string that Tss2_TctiLdr_Initialize takes. @throws TpmTransportError */
export async function openTcti(conf: string): Promise<Transport> {
  const native = await library();
  const context: unknown[] = [null];
  const rc = await native.initialize(conf === "" ? null : conf, context);
  if (rc !== 0) {
    throw new TpmTransportError(`TCTI ${conf || "(default)"} cannot be opened: ${hexRc(rc)}.`);
  }
  return new TctiTransport(native, context[0], conf);
}
