/** Prometheus metrics: the process, requests by route, decisions by code. */
import type { FastifyInstance } from "fastify";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { PlaneService } from "../plane/index.ts";
import { NO_QUERY, plain } from "./schema.ts";

export function addMetrics(server: FastifyInstance, service: PlaneService): void {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const seconds = new Histogram({
    name: "portcullis_request_seconds",
    help: "Time from a request's headers to the end of its answer.",
    labelNames: ["route", "status"] as const,
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
    registers,
  });
  new Gauge({
    name: "portcullis_snapshot_seconds_left",
    help: "Time until the snapshot expires.",
    registers,
    async collect() {
      const { snapshot, now } = await service.state();
      this.set(snapshot.expires - now);
    },
  });
  new Counter({
    name: "portcullis_decisions_total",
    help: "Decisions by code; agreements are `allowed`.",
    labelNames: ["code"] as const,
    registers,
    collect() {
      this.reset();
      for (const [code, count] of service.observations.totals()) this.inc({ code }, count);
    },
  });
  server.addHook("onResponse", (request, reply, done) => {
    const route = request.routeOptions.url ?? "none";
    seconds.observe({ route, status: reply.statusCode }, reply.elapsedTime / 1000);
    done();
  });
  server.get("/metrics", {
    config: { access: "view" },
    schema: {
      querystring: NO_QUERY,
      tags: ["operators"],
      summary: "Prometheus metrics",
      response: plain("text/plain", "the process, requests by route, decisions by code"),
    },
    handler: async (_request, reply) =>
      reply.type(registry.contentType).send(await registry.metrics()),
  });
}
