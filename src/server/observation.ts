/** Health, readiness, and decisions as they come. */
import type { FastifyInstance } from "fastify";
import type { PlaneService } from "../plane/index.ts";
import { authorize } from "./guards.ts";
import { shown } from "./operator-routes.ts";
import { RequestError } from "./problems.ts";
import { HEALTH, json, NO_QUERY, plain, READINESS } from "./schema.ts";

const STREAMS_MAX = 64;
/** A reader that lets so much wait is cut off. */
const UNREAD_BYTES_MAX = 1_048_576;

/** `heartbeatMs`: how often a stream shows that it lives, and its token that it does. */
export function addObservation(
  server: FastifyInstance,
  service: PlaneService,
  heartbeatMs: number,
): void {
  const base = { querystring: NO_QUERY, tags: ["operators"] };
  server.get("/healthz", {
    config: { access: "open" },
    schema: { ...base, summary: "Whether the process answers", response: json("it does", HEALTH) },
    handler: async () => ({ healthy: true }),
  });
  server.get("/readyz", {
    config: { access: "open" },
    schema: {
      ...base,
      summary: "Whether it could decide now",
      response: json("it could", READINESS),
    },
    handler: async () => {
      await service.ready();
      return { ready: true };
    },
  });
  const streams = new Set<() => void>();
  server.addHook("preClose", async () => {
    for (const end of streams) end();
  });
  server.get("/v1/events", {
    config: { access: "view" },
    schema: {
      ...base,
      summary: "Decisions as they come (server-sent events)",
      response: plain("text/event-stream", "events `decision`, each as GET /v1/decisions lists it"),
    },
    handler: async (request, reply) => {
      if (streams.size >= STREAMS_MAX) throw new RequestError("server.busy");
      reply.hijack();
      const { raw } = reply;
      raw.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
      raw.write(": decisions\n\n");
      const stop = service.observations.listen((observed) => {
        if (raw.writableLength > UNREAD_BYTES_MAX) raw.destroy();
        else raw.write(`event: decision\ndata: ${JSON.stringify(shown(observed))}\n\n`);
      });
      const heartbeat = setInterval(() => {
        // Revoked or expired since it began, a token ends it.
        authorize(request, service, "view").then(() => raw.write(": still here\n\n"), end);
      }, heartbeatMs);
      const end = (): void => {
        stop();
        clearInterval(heartbeat);
        streams.delete(end);
        raw.end();
      };
      streams.add(end);
      raw.on("close", end);
    },
  });
}
