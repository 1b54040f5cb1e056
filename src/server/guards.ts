/** What every request passes before its route: form, room, and who asks. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { LIMITS } from "../limits.ts";
import { mayAct, type PlaneService, type Role, type TokenRecord } from "../plane/index.ts";
import { RequestError } from "./problems.ts";

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

function refuseDuplicates(rawHeaders: readonly string[]): void {
  const names = rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
  for (const name of ONCE) {
    if (names.indexOf(name) !== names.lastIndexOf(name)) {
      throw new RequestError("request.duplicate", `The header ${name} stands twice.`);
    }
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
  /** Requests under way. */
  readonly requestsMax: number;
  /** Bytes of bodies under way, in all. */
  readonly bytesMax: number;
}

/** Adds the guards to every route of this server, and of what is registered in it. */
export function addGuards(server: FastifyInstance, service: PlaneService, room: Room): void {
  let requests = 0;
  let bytes = 0;
  const held = new WeakMap<FastifyRequest, number>();
  const leave = (request: FastifyRequest): void => {
    const size = held.get(request);
    if (size === undefined) return;
    held.delete(request);
    requests -= 1;
    bytes -= size;
  };
  server.decorateRequest("token", null);
  server.addHook("onRequest", async (request: FastifyRequest, _reply: FastifyReply) => {
    const { access, body } = request.routeOptions.config;
    const stated = request.headers["content-length"];
    const size = body ? Number(stated ?? LIMITS.caseBytes) : 0;
    if (requests >= room.requestsMax || bytes + size > room.bytesMax) {
      throw new RequestError("server.busy");
    }
    requests += 1;
    bytes += size;
    held.set(request, size);
    refuseDuplicates(request.raw.rawHeaders);
    if (request.is404) return;
    if (!body) refuseBody(request);
    // A route that forgot to say who may use it is nobody's.
    if (access === undefined) throw new RequestError("auth.refused");
    if (access !== "open" && access !== "evidence") await authorize(request, service, access);
  });
  server.addHook("onResponse", async (request) => leave(request));
  server.addHook("onRequestAbort", async (request) => leave(request));
}
