/** The shapes of JSON in and out, from which requests are checked and the documentation is made. */

const text = (pattern: string, description: string) =>
  ({ type: "string", pattern, description }) as const;
const object = <P extends Record<string, unknown>>(properties: P) => ({
  type: "object" as const,
  additionalProperties: false,
  required: Object.keys(properties),
  properties,
});
const integer = (description: string) =>
  ({ type: "integer", minimum: 0, maximum: 2 ** 53 - 1, description }) as const;
const nullable = <S extends object>(schema: S) => ({ anyOf: [schema, { type: "null" }] }) as const;
const time = integer("seconds since 1970");
const code = { type: "string", maxLength: 128 } as const;
const hexText = { type: "string", pattern: "^[0-9a-f]+$" } as const;

/** Nothing may stand in the query or among a route's parameters but what it names. */
export const NO_QUERY = object({});

export const DIGEST_PARAMS = object({ digest: text("^[0-9a-f]{64}$", "SHA-256, in hex") });
export const ID_PARAMS = object({
  id: text("^[0-9a-f]{32}$", "as the challenge named it, in hex"),
});

export const FREEZE_BODY = object({ freeze: { type: "string", enum: ["none", "new", "all"] } });
export const DECISION_BODY = object({ decision: { type: "string", enum: ["local", "plane"] } });
export const REVOKE_BODY = object({
  kind: { type: "string", enum: ["grants", "nodes"] },
  index: integer("status index"),
});
export const RENEW_BODY = object({});

const choice = (...values: string[]) => ({ type: "string", enum: values }) as const;

export const STATE = object({
  domain: code,
  charter: integer("number of the charter in force"),
  snapshot: object({ version: integer("of the snapshot"), issued: time, expires: time }),
  freeze: choice("none", "new", "all"),
  decision: choice("local", "plane"),
  now: time,
});

const DECISION = object({
  time,
  code: nullable(code),
  ueid: nullable(hexText),
  leaf: integer("index in the log"),
});
export const DECISIONS = object({
  decisions: { type: "array", items: DECISION },
  minutes: {
    type: "array",
    items: object({
      minute: integer("minutes since 1970"),
      counts: { type: "object", additionalProperties: integer("decisions") },
    }),
  },
});

export const NODES_QUERY = {
  ...object({ from: text("^(0|[1-9][0-9]{0,14})$", "the `next` of the page before") }),
  required: [],
};
export const NODES = object({
  next: nullable(integer("where the next page begins; null after the last")),
  nodes: {
    type: "array",
    items: object({
      ueid: hexText,
      akName: hexText,
      labels: { type: "array", items: code },
      expires: time,
      statusIndex: integer("in the status list"),
      revoked: { type: "boolean" },
      session: { type: "array", items: integer("resetCount, restartCount") },
      last: nullable(object({ time, code: nullable(code) })),
    }),
  },
});

export const HEALTH = object({ healthy: { type: "boolean" } });
export const READINESS = object({ ready: { type: "boolean" } });

export const PROBLEM = {
  ...object({
    type: code,
    status: integer("HTTP status"),
    title: code,
    code,
    detail: { type: "string" },
  }),
  description: "RFC 9457",
};

/** Any refusal. */
export const REFUSALS = {
  "4xx": { description: "refused", content: { "application/problem+json": { schema: PROBLEM } } },
  "5xx": { description: "failed", content: { "application/problem+json": { schema: PROBLEM } } },
} as const;

export const CBOR = "application/cbor";
/** Bytes, of which the routes behind make sense. */
export const cborBody = (description: string) => ({
  content: { [CBOR]: { schema: { description } } },
});
export const cbor = (description: string) => ({
  200: { description, content: { [CBOR]: { schema: { type: "string", format: "binary" } } } },
  ...REFUSALS,
});
/** Text of that media type. */
export const plain = (type: string, description: string) => ({
  200: { description, content: { [type]: { schema: { type: "string" } } } },
  ...REFUSALS,
});
export const json = <S extends object>(description: string, schema: S) => ({
  200: { description, content: { "application/json": { schema } } },
  ...REFUSALS,
});
