/** Health, readiness, and decisions as they come. */
import type { FastifyInstance } from "fastify";
import type { PlaneService } from "../plane/index.ts";
import { shown } from "./operator-routes.ts";
import { RequestError } from "./problems.ts";
import { NO_QUERY } from "./schema.ts";

const STREAMS_MAX = 64;
const HEARTBEAT_MS = 15_000;
/** A reader that lets so much wait is cut off. */
const UNREAD_BYTES_MAX = 1_048_576;

export function addObservation(server: FastifyInstance, service: PlaneService): void {
  const base = { querystring: NO_QUERY, tags: ["operators"] };
  server.get("/healthz", {
    config: { access: "open" },
    schema: { ...base, summary: "Whether the process answers" },
    handler: async () => ({ healthy: true }),
  });
  server.get("/readyz", {
    config: { access: "open" },
    schema: { ...base, summary: "Whether it could decide now" },
    handler: async () => {
      const { snapshot, now } = await service.state();
      if (now >= snapshot.expires) throw new RequestError("server.unready", "A stale snapshot.");
      return { ready: true };
    },
  });
  const streams = new Set<() => void>();
  server.addHook("preClose", async () => {
    for (const end of streams) end();
  });
  server.get("/v1/events", {
    config: { access: "view" },
    schema: { ...base, summary: "Decisions as they come (server-sent events)" },
    handler: async (_request, reply) => {
      if (streams.size >= STREAMS_MAX) throw new RequestError("server.busy");
      reply.hijack();
      const { raw } = reply;
      raw.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
      raw.write(": decisions\n\n");
      const stop = service.observations.listen((observed) => {
        if (raw.writableLength > UNREAD_BYTES_MAX) raw.destroy();
        else raw.write(`event: decision\ndata: ${JSON.stringify(shown(observed))}\n\n`);
      });
      const heartbeat = setInterval(() => raw.write(": still here\n\n"), HEARTBEAT_MS);
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
