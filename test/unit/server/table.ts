/** Every route of the plane; routes.test.ts compares it with the server's own list. */

export type Role = "view" | "operate" | "enroll";
export type Body = "none" | "cbor" | "json";

export type Route = readonly [
  method: "GET" | "POST",
  path: string,
  access: "open" | Role,
  body: Body,
];

/** Each route's authorization, and the kind of body that it takes. */
export const ROUTES: readonly Route[] = [
  ["POST", "/v1/nonces", "open", "none"],
  ["POST", "/v1/decisions", "open", "cbor"],
  ["GET", "/v1/governance", "open", "none"],
  ["GET", `/v1/policies/${"00".repeat(32)}`, "open", "none"],
  ["POST", "/v1/enrollments", "enroll", "cbor"],
  ["POST", `/v1/enrollments/${"00".repeat(16)}`, "enroll", "cbor"],
  ["GET", "/v1/state", "view", "none"],
  ["GET", "/v1/nodes", "view", "none"],
  ["GET", "/v1/decisions", "view", "none"],
  ["GET", "/v1/events", "view", "none"],
  ["GET", "/metrics", "view", "none"],
  ["POST", "/v1/snapshots", "operate", "json"],
  ["POST", "/v1/freeze", "operate", "json"],
  ["POST", "/v1/decision-mode", "operate", "json"],
  ["POST", "/v1/revocations", "operate", "json"],
  ["GET", "/healthz", "open", "none"],
  ["GET", "/readyz", "open", "none"],

  ["GET", "/", "open", "none"],
  ["GET", "/page.js", "open", "none"],
  ["GET", "/page.css", "open", "none"],
  ["GET", "/docs", "open", "none"],
  ["GET", "/openapi.json", "open", "none"],
];
