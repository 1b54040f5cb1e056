/**
 * One HTTP exchange with a plane: bounded in size and time, over TLS unless the plane is on this
 * very machine. The plane is not trusted: what it sends is bytes for someone who verifies.
 */
import { request as requestHttp } from "node:http";
import { Agent, request as requestHttps } from "node:https";
import { ClientError } from "./error.ts";

export interface Exchange {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: Uint8Array;
  readonly token?: string;
  readonly bytesMax: number;
  readonly timeoutMs: number;
}

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: Uint8Array;
}

export interface TransportOptions {
  /** `https://host:port`, with a path where one leads to the plane; `http://` on this machine. */
  readonly url: string;
  /** PEM of the authorities that the plane's certificate must lead to; else the system's. */
  readonly ca?: string;
}

const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

export class Transport {
  readonly #url: URL;
  readonly #agent: Agent | null;

  /** @throws ClientError `client.address` */
  constructor({ url, ca }: TransportOptions) {
    this.#url = addressOf(url);
    const secure = this.#url.protocol === "https:";
    // Said aloud, or NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment would undo it.
    const tls = { minVersion: "TLSv1.3", rejectUnauthorized: true } as const;
    const options = { keepAlive: true, ...tls, ...(ca !== undefined && { ca }) };
    this.#agent = secure ? new Agent(options) : null;
  }

  /** @throws ClientError `client.unreachable`, `client.timeout`, `client.answer`. */
  exchange(exchange: Exchange): Promise<Answer> {
    return new Promise((done, fail) => {
      const { method, path, body, token, timeoutMs } = exchange;
      const options = {
        method,
        headers: {
          accept: "application/cbor, application/problem+json",
          ...(body && { "content-type": "application/cbor", "content-length": body.length }),
          ...(token && { authorization: `Bearer ${token}` }),
        },
        signal: AbortSignal.timeout(timeoutMs),
      };
      const url = new URL(path, this.#url);
      const request = this.#agent
        ? requestHttps(url, { ...options, agent: this.#agent })
        : requestHttp(url, options);
      const refuse = (cause: unknown): void => fail(failureOf(cause, this.#url, timeoutMs));
      request.on("error", refuse);
      request.on("response", (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on("data", (chunk: Buffer) => {
          size += chunk.length;
          if (size > exchange.bytesMax) request.destroy(new Error("it is too long"));
          else chunks.push(chunk);
        });
        response.on("error", refuse);
        response.on("end", () =>
          done({
            status: response.statusCode ?? 0,
            type: response.headers["content-type"] ?? "",
            body: new Uint8Array(Buffer.concat(chunks)),
          }),
        );
      });
      request.end(body);
    });
  }

  /** Ends idle connections. */
  close(): void {
    this.#agent?.destroy();
  }
}

function addressOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw new ClientError("client.address", `"${text}" is no address: write https://host:port.`);
  }
  if (url.protocol === "http:" && !LOOPBACK.includes(url.hostname)) {
    throw new ClientError(
      "client.address",
      `${text}: plain HTTP is for a plane on this machine; beyond it write https://.`,
    );
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw new ClientError(
      "client.address",
      `${text}: only scheme, host, port and path belong here.`,
    );
  }
  // What follows is found below the path, not beside it.
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
}

function failureOf(cause: unknown, url: URL, timeoutMs: number): ClientError {
  const name = cause instanceof Error ? cause.name : "";
  if (name === "TimeoutError" || name === "AbortError") {
    const message = `The plane ${url.host} did not answer within ${timeoutMs} ms.`;
    return new ClientError("client.timeout", message, { cause });
  }
  const why = cause instanceof Error ? cause.message || cause.name : String(cause);
  const message = `The plane ${url.host} cannot be reached: ${why}.`;
  return new ClientError("client.unreachable", message, { cause });
}
