/** Routes for nodes: bytes in, bytes out. What they send proves itself, or nothing. */
import type { FastifyInstance } from "fastify";
import { LIMITS } from "../limits.ts";
import type { PlaneService } from "../plane/index.ts";
import { RequestError } from "./problems.ts";
import { CBOR, cbor, cborBody, DIGEST_PARAMS, ID_PARAMS, NO_QUERY } from "./schema.ts";

const SMALL = 65_536;

export function addNodeRoutes(server: FastifyInstance, service: PlaneService): void {
  const base = { querystring: NO_QUERY, tags: ["nodes"] };
  server.post("/v1/nonces", {
    config: { access: "open" },
    schema: { ...base, summary: "A nonce for one decision", response: cbor("32 bytes, CBOR") },
    handler: (_request, reply) => {
      reply.type(CBOR).send(service.nonce());
    },
  });
  server.post<{ Body: Buffer }>("/v1/decisions", {
    config: { access: "evidence", body: true },
    bodyLimit: LIMITS.caseBytes,
    schema: {
      ...base,
      summary: "Judge evidence; sign what came of it",
      body: cborBody("evidence, as docs/wire-format.md has it in a case"),
      response: cbor("[signed result / null, code / null]"),
    },
    handler: (request, reply) => {
      reply.type(CBOR);
      return service.decide(bytes(request));
    },
  });
  server.get("/v1/governance", {
    config: { access: "open" },
    schema: {
      ...base,
      summary: "Charters, snapshot and status list",
      response: cbor("[[+ charter], snapshot, status list]"),
    },
    handler: async (_request, reply) => reply.type(CBOR).send(await service.governance()),
  });
  server.get<{ Params: { digest: string } }>("/v1/policies/:digest", {
    config: { access: "open" },
    schema: {
      ...base,
      summary: "An active reference policy",
      params: DIGEST_PARAMS,
      response: cbor("the signed policy"),
    },
    handler: async (request, reply) => {
      const policy = await service.policy(request.params.digest);
      if (policy === null) throw new RequestError("request.not-found", "No active policy has it.");
      return reply.type(CBOR).send(policy);
    },
  });
  addEnrollment(server, service, base);
}

function addEnrollment(server: FastifyInstance, service: PlaneService, base: object): void {
  server.post<{ Body: Buffer }>("/v1/enrollments", {
    config: { access: "enroll", body: true },
    bodyLimit: 2 * SMALL,
    schema: {
      ...base,
      summary: "Begin an enrollment",
      body: cborBody("a request, as docs/enrollment.md has it"),
      response: cbor("[id, challenge, seconds to answer]"),
    },
    handler: async (request, reply) => {
      const { token } = request;
      if (token === null) throw new RequestError("auth.missing");
      return reply.type(CBOR).send(await service.beginEnrollment(bytes(request), token));
    },
  });
  server.post<{ Body: Buffer; Params: { id: string } }>("/v1/enrollments/:id", {
    config: { access: "enroll", body: true },
    bodyLimit: SMALL,
    schema: {
      ...base,
      summary: "Answer the challenge",
      body: cborBody("an answer, as docs/enrollment.md has it"),
      params: ID_PARAMS,
      response: cbor("the node credential"),
    },
    handler: async (request, reply) => {
      const credential = await service.endEnrollment(request.params.id, bytes(request));
      return reply.type(CBOR).send(credential);
    },
  });
}

/** The body, which these routes take as CBOR only. */
function bytes({ body }: { body: unknown }): Uint8Array {
  if (body instanceof Uint8Array && body.length > 0) return body;
  throw new RequestError("request.media-type", `This route takes a body of ${CBOR}.`);
}
