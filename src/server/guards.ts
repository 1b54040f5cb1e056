/** What every request passes before its route: form, room, and who asks. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import { LIMITS } from "../limits.ts";
import { mayAct, type PlaneService, type Role, type TokenRecord } from "../plane/index.ts";
import { RequestError } from "./problems.ts";
import { Rates } from "./rates.ts";

/** `open`: anyone. `evidence`: whoever's evidence proves it. Else the role of a token. */
export type Access = "open" | "evidence" | Role;

declare module "fastify" {
  interface FastifyContextConfig {
    access?: Access;
    /** Whether the route takes a body; without one, any is refused. */
    body?: boolean;
  }
  interface FastifyRequest {
    token: TokenRecord | null;
    /** Bytes of room that it takes; null once it has left, or where there was none. */
    held: number | null;
  }
}

/** Headers of which a second one would be dropped, or read by someone else. */
const ONCE = ["authorization", "content-type", "content-length", "host"];

function refuseDuplicates(rawHeaders: readonly string[]): void {
  let seen = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const place = ONCE.indexOf(rawHeaders[i]?.toLowerCase() ?? "");
    if (place < 0) continue;
    if ((seen >> place) & 1) {
      throw new RequestError("request.duplicate", `The header ${ONCE[place]} stands twice.`);
    }
    seen |= 1 << place;
  }
}

function refuseBody({ headers }: FastifyRequest): void {
  const sends = headers["transfer-encoding"] !== undefined || Number(headers["content-length"]) > 0;
  if (sends) throw new RequestError("request.body");
}

async function authorize(request: FastifyRequest, service: PlaneService, role: Role) {
  const [, text] = /^Bearer (\S+)$/.exec(request.headers.authorization ?? "") ?? [];
  if (text === undefined) throw new RequestError("auth.missing", "Send `Authorization: Bearer`.");
  const token = await service.token(text);
  if (token === null || !mayAct(token.role, role)) throw new RequestError("auth.refused");
  request.token = token;
}

export interface Room {
  /** Requests a second from one caller. */
  readonly ratePerSecond: number;
  /** Requests under way. */
  readonly requestsMax: number;
  /** Bytes of bodies under way, in all. */
  readonly bytesMax: number;
}

/**
 * Adds the guards to every route of this server, and of what is registered in it. They call back:
 * a hook that gives a promise costs each request several turns.
 */
export function addGuards(server: FastifyInstance, service: PlaneService, room: Room): void {
  const rates = new Rates(room.ratePerSecond);
  let requests = 0;
  let bytes = 0;
  const enter = (request: FastifyRequest, body: boolean): void => {
    if (!rates.admits(request.ip)) {
      throw new RequestError("request.rate", "Ask again in a few seconds.");
    }
    const stated = request.headers["content-length"];
    const size = body ? Number(stated ?? LIMITS.caseBytes) : 0;
    if (requests >= room.requestsMax || bytes + size > room.bytesMax) {
      throw new RequestError("server.busy");
    }
    requests += 1;
    bytes += size;
    request.held = size;
  };
  const leave = (request: FastifyRequest): void => {
    if (request.held === null) return;
    requests -= 1;
    bytes -= request.held;
    request.held = null;
  };
  server.decorateRequest("token", null);
  server.decorateRequest("held", null);
  server.addHook("onRequest", (request, _reply, done) => {
    const { access, body = false } = request.routeOptions.config;
    enter(request, body);
    refuseDuplicates(request.raw.rawHeaders);
    if (request.is404) return done();
    if (!body) refuseBody(request);
    // A route that forgot to say who may use it is nobody's.
    if (access === undefined) throw new RequestError("auth.refused");
    if (access === "open" || access === "evidence") return done();
    authorize(request, service, access).then(() => done(), done);
  });
  server.addHook("onResponse", (request, _reply, done) => {
    leave(request);
    done();
  });
  server.addHook("onRequestAbort", (request, done) => {
    leave(request);
    done();
  });
}
