/** What every request passes before its route: form, room, and who asks. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import { mayAct, type PlaneService, type Role, type TokenRecord } from "../plane/index.ts";
import { RequestError } from "./problems.ts";
import { Rates } from "./rates.ts";
import { Room, type RoomOptions } from "./room.ts";

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
  }
}

/** Headers of which a second one would be dropped, or read by someone else. */
const ONCE = ["authorization", "content-type", "content-length", "host"];

/** RFC 9112 §3.2: the parser itself would answer, and with nothing that programs can tell. */
function requireHost({ raw, headers }: FastifyRequest): void {
  if (headers.host !== undefined || raw.httpVersion === "1.0") return;
  throw new RequestError("request.malformed", "The header host is absent.");
}

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

/** @throws RequestError `auth.missing`, `auth.refused` */
export async function authorize(request: FastifyRequest, service: PlaneService, role: Role) {
  const [, text] = /^Bearer (\S+)$/.exec(request.headers.authorization ?? "") ?? [];
  if (text === undefined) throw new RequestError("auth.missing", "Send `Authorization: Bearer`.");
  const token = await service.token(text);
  if (token === null || !mayAct(token.role, role)) throw new RequestError("auth.refused");
  request.token = token;
}

export interface GuardOptions extends RoomOptions {
  /** Requests a second from one caller. */
  readonly ratePerSecond: number;
}

/**
 * Adds the guards to every route of this server, and of what is registered in it. They call back:
 * a hook that gives a promise costs each request several turns.
 */
export function addGuards(server: FastifyInstance, service: PlaneService, options: GuardOptions) {
  const rates = new Rates(options.ratePerSecond);
  const room = new Room(options);
  server.decorateRequest("token", null);
  server.addHook("onRoute", (route) => {
    const { access } = route.config ?? {};
    if (access === undefined || access === "open" || access === "evidence") return;
    const described = { security: [{ token: [] }], description: `Asks for a token ${access}.` };
    route.schema = { ...route.schema, ...described };
  });
  server.addHook("onRequest", (request, _reply, done) => {
    const { access, body = false } = request.routeOptions.config;
    if (!rates.admits(request.ip)) {
      throw new RequestError("request.rate", "Ask again in a few seconds.");
    }
    room.enter(request, body ? Number(request.headers["content-length"] ?? 0) : 0);
    requireHost(request);
    refuseDuplicates(request.raw.rawHeaders);
    if (request.is404) return done();
    if (!body) refuseBody(request);
    // A route that forgot to say who may use it is nobody's.
    if (access === undefined) throw new RequestError("auth.refused");
    if (access === "open" || access === "evidence") return done();
    authorize(request, service, access).then(() => done(), done);
  });
  server.addHook("preParsing", (request, _reply, payload, done) => {
    if (request.routeOptions.config.body) {
      payload.on("data", (chunk: Buffer) => room.charge(request, chunk.length));
    }
    done(null, payload);
  });
  server.addHook("preValidation", (request, _reply, done) => {
    room.proceed(request);
    done();
  });
  server.addHook("onSend", (request, _reply, payload, done) => {
    room.wait(request);
    if (typeof payload === "string" || payload instanceof Uint8Array) {
      room.charge(request, Buffer.byteLength(payload));
    }
    done(null, payload);
  });
  server.addHook("onResponse", (request, _reply, done) => {
    room.leave(request);
    done();
  });
}
