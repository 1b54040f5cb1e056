/**
 * Room for what is under way: requests, and bytes of bodies, those that come and those that go. What
 * a client only announces takes none. Where it is full, the client that has kept the plane waiting
 * longest is cut off: who sends or reads slowly must not shut the others out.
 */
import type { Socket } from "node:net";
import type { FastifyRequest } from "fastify";
import { monotonicMs } from "../clock.ts";
import { RequestError } from "./problems.ts";

/** Nobody is cut off for a wait that any network may cause. */
const PATIENCE_MS = 250;

export interface RoomOptions {
  /** Requests under way. */
  readonly requestsMax: number;
  /** Bytes of bodies under way, in all. */
  readonly bytesMax: number;
}

export class Room {
  readonly #max: RoomOptions;
  /** Bytes that each request takes. */
  readonly #held = new Map<FastifyRequest, number>();
  #bytes = 0;
  /** Those whose client has to send or to read, since when, longest first. */
  readonly #waiting = new Map<FastifyRequest, number>();
  readonly #connections = new WeakMap<Socket, Set<FastifyRequest>>();

  constructor(max: RoomOptions) {
    this.#max = max;
  }

  /**
   * Its body, of so many bytes by its own word, is waited for now.
   *
   * @throws RequestError `server.busy`
   */
  enter(request: FastifyRequest, announced: number): void {
    const full = (): boolean =>
      this.#held.size >= this.#max.requestsMax || this.#bytes + announced > this.#max.bytesMax;
    const since = monotonicMs() - PATIENCE_MS;
    for (const [slow, waits] of this.#waiting) {
      if (!full() || waits > since) break;
      this.#cut(slow);
    }
    if (full()) throw new RequestError("server.busy");
    this.#held.set(request, 0);
    this.#of(request.raw.socket).add(request);
    this.wait(request);
  }

  /** Counts bytes that have come, or are to go. */
  charge(request: FastifyRequest, bytes: number): void {
    const held = this.#held.get(request);
    if (held === undefined) return;
    this.#held.set(request, held + bytes);
    this.#bytes += bytes;
    for (const [slow] of this.#waiting) {
      if (this.#bytes <= this.#max.bytesMax) return;
      this.#cut(slow);
    }
  }

  /** It is the client's turn. */
  wait(request: FastifyRequest): void {
    this.#waiting.delete(request);
    if (this.#held.has(request)) this.#waiting.set(request, monotonicMs());
  }

  /** It is the plane's turn. */
  proceed(request: FastifyRequest): void {
    this.#waiting.delete(request);
  }

  leave(request: FastifyRequest): void {
    this.#bytes -= this.#held.get(request) ?? 0;
    this.#held.delete(request);
    this.#waiting.delete(request);
    this.#connections.get(request.raw.socket)?.delete(request);
  }

  #cut(request: FastifyRequest): void {
    this.leave(request);
    request.raw.socket.destroy();
  }

  /**
   * A client that goes away before its answer ends its requests: of the answer nothing is heard any
   * more, least of all where it stood in line behind another one.
   */
  #of(socket: Socket): Set<FastifyRequest> {
    const known = this.#connections.get(socket);
    if (known !== undefined) return known;
    const requests = new Set<FastifyRequest>();
    this.#connections.set(socket, requests);
    socket.once("close", () => {
      for (const request of requests) this.leave(request);
    });
    return requests;
  }
}
