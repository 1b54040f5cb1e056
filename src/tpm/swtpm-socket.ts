/**
 * The data socket of swtpm (`--server type=unixio` or `type=tcp`): bare commands and responses. One
 * client at a time.
 */
import { createConnection, type NetConnectOpts, type Socket } from "node:net";
import { TpmTransportError } from "./structures/errors.ts";
import { HEADER_BYTES, reason, statedBytes, type Transport } from "./transport.ts";

interface Waiting {
  readonly resolve: (response: Uint8Array) => void;
  readonly reject: (error: TpmTransportError) => void;
}

class SocketTransport implements Transport {
  readonly managed = false;
  readonly #socket: Socket;
  readonly #where: string;
  #received = Buffer.alloc(0);
  #waiting: Waiting | null = null;
  #broken: TpmTransportError | null = null;

  constructor(socket: Socket, where: string) {
    this.#socket = socket;
    this.#where = where;
    socket.on("data", (chunk) => this.#take(chunk));
    socket.on("error", (cause) => this.#break(reason(cause), cause));
    socket.on("close", () => this.#break("the connection was closed"));
  }

  #break(why: string, cause?: unknown): void {
    this.#broken ??= new TpmTransportError(`${this.#where}: ${why}.`, { cause });
    this.#socket.destroy();
    this.#waiting?.reject(this.#broken);
    this.#waiting = null;
  }

  #take(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    const size = this.#size();
    if (size === null || this.#received.length < size) return;
    const response = new Uint8Array(this.#received);
    const waiting = this.#waiting;
    if (!waiting) this.#break("bytes came that no command asked for");
    else if (response.length > size) this.#break("bytes follow the response");
    else {
      this.#received = Buffer.alloc(0);
      this.#waiting = null;
      waiting.resolve(response);
    }
  }

  /**
   * The size that the response states, once its header is there; an impossible one ends the
   * connection.
   */
  #size(): number | null {
    if (this.#received.length < HEADER_BYTES) return null;
    try {
      return statedBytes(this.#received);
    } catch (cause) {
      this.#break(reason(cause), cause);
      return null;
    }
  }

  transmit(command: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (this.#broken) return reject(this.#broken);
      this.#waiting = { resolve, reject };
      this.#socket.write(command);
    });
  }

  async close(): Promise<void> {
    this.#break("the connection was closed by us");
  }
}

/** Connects to swtpm's data socket. @throws TpmTransportError where nothing listens. */
export function openSwtpmSocket(
  address: { path: string } | { host: string; port: number },
): Promise<Transport> {
  const where =
    "path" in address ? `swtpm at ${address.path}` : `swtpm at ${address.host}:${address.port}`;
  const options: NetConnectOpts = address;
  return new Promise((resolve, reject) => {
    const socket = createConnection(options);
    const refuse = (cause: Error & { code?: string }): void => {
      // The queue of those who wait is full.
      const busy =
        cause.code === "EAGAIN" ? "it serves one client at a time, and others wait" : null;
      reject(
        new TpmTransportError(`Cannot connect to ${where}: ${busy ?? cause.message}.`, { cause }),
      );
    };
    socket.once("error", refuse);
    socket.once("connect", () => {
      socket.off("error", refuse);
      resolve(new SocketTransport(socket, where));
    });
  });
}
