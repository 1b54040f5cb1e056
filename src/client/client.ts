/**
 * A plane over HTTP. Asking for a nonce or for published state may be repeated; a decision never
 * is: its nonce is spent, and a use perhaps with it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { LIMITS } from "../limits.ts";
import {
  type EnrollmentAnswer,
  type EnrollmentChallenge,
  type EnrollmentRequest,
  encodeEnrollment,
  parseEnrollment,
} from "../wire/enrollment.ts";
import { parseRemote, type Remote, type RemoteKind } from "../wire/remote.ts";
import { ClientError } from "./error.ts";
import { type Answer, type Exchange, Transport, type TransportOptions } from "./transport.ts";

export interface PlaneClientOptions extends TransportOptions {
  /** Longest wait for a nonce, a decision, or published state. */
  readonly timeoutMs?: number;
  /** How often what is safe to repeat is tried. */
  readonly tries?: number;
}

const TIMEOUT_MS = 4_000;
const TRIES = 3;
const PAUSE_MS = 100;
const SMALL = 65_536;

export class PlaneClient {
  readonly #transport: Transport;
  readonly #timeoutMs: number;
  readonly #tries: number;

  /** @throws ClientError `client.address` */
  constructor({ timeoutMs = TIMEOUT_MS, tries = TRIES, ...options }: PlaneClientOptions) {
    this.#transport = new Transport(options);
    this.#timeoutMs = timeoutMs;
    this.#tries = tries;
  }

  /** @throws ClientError */
  async nonce(): Promise<Uint8Array> {
    return read("nonce", await this.#repeat({ method: "POST", path: "v1/nonces", bytesMax: 64 }));
  }

  /** @throws ClientError */
  async judge(evidence: Uint8Array): Promise<Remote<"opinion">> {
    const body = await this.#once({
      method: "POST",
      path: "v1/decisions",
      body: evidence,
      bytesMax: SMALL,
    });
    return read("opinion", body);
  }

  /** Charters from the first on, snapshot and status list; nothing of it is verified. */
  async governance(): Promise<Remote<"governance">> {
    const bytesMax = 2 * LIMITS.caseBytes;
    return read(
      "governance",
      await this.#repeat({ method: "GET", path: "v1/governance", bytesMax }),
    );
  }

  /** An active policy by its digest; not verified. */
  policy(digest: Uint8Array): Promise<Uint8Array> {
    const path = `v1/policies/${Buffer.from(digest).toString("hex")}`;
    return this.#repeat({ method: "GET", path, bytesMax: 2 * LIMITS.policyBytes });
  }

  /** The enroller's challenge, and the name under which it is to be answered. */
  async enroll(
    request: EnrollmentRequest,
    token: string,
  ): Promise<{ readonly id: Uint8Array; readonly challenge: EnrollmentChallenge }> {
    const body = encodeEnrollment("request", request);
    const path = "v1/enrollments";
    const opened = await this.#once({ method: "POST", path, body, token, bytesMax: SMALL });
    const { id, challenge } = read("enrollment", opened);
    return { id, challenge: parseEnrollment("challenge", challenge) };
  }

  /** The node credential; not verified. */
  answer(id: Uint8Array, answer: EnrollmentAnswer, token: string): Promise<Uint8Array> {
    const path = `v1/enrollments/${Buffer.from(id).toString("hex")}`;
    const body = encodeEnrollment("answer", answer);
    return this.#once({ method: "POST", path, body, token, bytesMax: SMALL });
  }

  close(): void {
    this.#transport.close();
  }

  async #repeat(exchange: Omit<Exchange, "timeoutMs">): Promise<Uint8Array> {
    for (let left = this.#tries - 1; ; left--) {
      try {
        return await this.#once(exchange);
      } catch (error) {
        if (left <= 0 || !mayPass(error)) throw error;
      }
      await sleep(PAUSE_MS * (1 + Math.random()));
    }
  }

  async #once(exchange: Omit<Exchange, "timeoutMs">): Promise<Uint8Array> {
    const answer = await this.#transport.exchange({ ...exchange, timeoutMs: this.#timeoutMs });
    if (answer.status === 200 && answer.type === "application/cbor") return answer.body;
    throw refusal(answer);
  }
}

/** What may be gone at the next try: a plane that restarts, or has much to do. */
function mayPass(error: unknown): boolean {
  if (!(error instanceof ClientError)) return false;
  if (error.code === "client.unreachable") return true;
  return error.code === "client.refused" && (error.problem?.startsWith("server.") ?? false);
}

function read<K extends RemoteKind>(kind: K, bytes: Uint8Array): Remote<K> {
  try {
    return parseRemote(kind, bytes);
  } catch (cause) {
    throw answerError(String(cause), cause);
  }
}

function answerError(why: string, cause?: unknown): ClientError {
  return new ClientError("client.answer", `The plane's answer cannot be used: ${why}.`, { cause });
}

/** An RFC 9457 problem, as far as it is one. */
function refusal({ status, type, body }: Answer): ClientError {
  if (!type.startsWith("application/problem+json")) {
    return answerError(`status ${status}, ${JSON.stringify(type.slice(0, 64))}`);
  }
  let problem: { code?: unknown; detail?: unknown } = {};
  try {
    problem = JSON.parse(Buffer.from(body).toString("utf8")) as typeof problem;
  } catch (cause) {
    return answerError(`status ${status}, and a problem that does not parse`, cause);
  }
  const code = typeof problem.code === "string" ? problem.code : "unknown";
  const detail = typeof problem.detail === "string" ? problem.detail : `status ${status}`;
  return new ClientError("client.refused", `The plane refuses: ${detail} (${code})`, {
    problem: code,
  });
}
