/** Routes for operators: JSON in, JSON out, each with a token. */
import type { FastifyInstance } from "fastify";
import type { GovernanceChange, Observed, PlaneService } from "../plane/index.ts";
import {
  DECISION_BODY,
  DECISIONS,
  FREEZE_BODY,
  json,
  NO_QUERY,
  NODES,
  NODES_QUERY,
  RENEW_BODY,
  REVOKE_BODY,
  STATE,
} from "./schema.ts";

const BODY_BYTES = 4_096;

export function addOperatorRoutes(server: FastifyInstance, service: PlaneService): void {
  const base = { querystring: NO_QUERY, tags: ["operators"] };
  server.get("/v1/state", {
    config: { access: "view" },
    schema: { ...base, summary: "Snapshot and freeze", response: json("now", STATE) },
    handler: () => service.state(),
  });
  server.get<{ Querystring: { from?: string } }>("/v1/nodes", {
    config: { access: "view" },
    schema: {
      ...base,
      querystring: NODES_QUERY,
      summary: "Enrolled nodes, a page at a time",
      response: json("a page", NODES),
    },
    handler: (request) => service.nodes(Number(request.query.from ?? 0)),
  });
  server.get("/v1/decisions", {
    config: { access: "view" },
    schema: { ...base, summary: "The last decisions", response: json("the last", DECISIONS) },
    handler: async () => ({
      decisions: service.observations.last().map(shown),
      minutes: service.observations.minutes(),
    }),
  });
  const change = <B>(
    path: string,
    summary: string,
    body: object,
    of: (body: B) => GovernanceChange,
  ): void => {
    server.post(path, {
      config: { access: "operate", body: true },
      bodyLimit: BODY_BYTES,
      schema: { ...base, summary, body, response: json("published", STATE) },
      handler: (request) => service.change(of(request.body as B)),
    });
  };
  change("/v1/snapshots", "Renew the snapshot", RENEW_BODY, () => ({ kind: "renew" }));
  change<{ freeze: "none" | "new" | "all" }>(
    "/v1/freeze",
    "Stop new jobs, or all; or lift it",
    FREEZE_BODY,
    ({ freeze }) => ({ kind: "freeze", freeze }),
  );
  change<{ decision: "local" | "plane" }>(
    "/v1/decision-mode",
    "Whether every job needs the plane",
    DECISION_BODY,
    ({ decision }) => ({ kind: "decision", decision }),
  );
  change<{ kind: "grants" | "nodes"; index: number }>(
    "/v1/revocations",
    "Revoke a grant or a node",
    REVOKE_BODY,
    ({ kind, index }) => ({ kind: "revoke", of: kind, index }),
  );
}

/** A decision as it is shown. */
export function shown({ time, code, ueid, leaf }: Observed) {
  return { time, code, ueid, leaf };
}
