/**
 * Refusals as RFC 9457 problem details. Every one has a code, by which programs tell it; a message
 * of ours never holds what was sent.
 */
import { PortcullisError } from "../errors.ts";

/** Codes of the HTTP edge, their status, and a title. docs/plane.md lists them. */
export const PROBLEMS = {
  "request.malformed": [400, "The request is not what this route takes"],
  "request.duplicate": [400, "Something stands twice in the request"],
  "request.body": [400, "This route takes no body"],
  "auth.missing": [401, "This route asks for a token"],
  "auth.refused": [403, "The token is unknown, has expired, or may not do this"],
  "request.not-found": [404, "There is nothing at this address"],
  "request.method": [405, "This address does not take that method"],
  "request.slow": [408, "The request did not arrive in time"],
  "request.too-large": [413, "The request is too large"],
  "request.media-type": [415, "This route takes another media type"],
  "request.headers": [431, "The request's headers are too large"],
  "request.conflict": [409, "The state does not allow this"],
  "request.refused": [422, "The plane does not accept what was sent"],
  "request.rate": [429, "Too many requests from this address"],
  "server.internal": [500, "The plane failed"],
  "server.busy": [503, "The plane has too much to do"],
  "server.unready": [503, "The plane cannot decide now"],
} as const satisfies { readonly [code: string]: readonly [status: number, title: string] };
export type ProblemCode = keyof typeof PROBLEMS;

export interface Problem {
  readonly type: "about:blank";
  readonly status: number;
  readonly title: string;
  readonly code: string;
  readonly detail: string;
}

export const PROBLEM_TYPE = "application/problem+json";

/** `code` where a more exact one than the edge's own is known. */
export function problemOf(kind: ProblemCode, detail?: string, code: string = kind): Problem {
  const [status, title] = PROBLEMS[kind];
  return { type: "about:blank", status, title, code, detail: detail ?? `${title}.` };
}

/** A refusal that a route makes itself. */
export class RequestError extends PortcullisError {
  declare readonly code: ProblemCode;

  constructor(code: ProblemCode, message?: string) {
    super(code, message ?? `${PROBLEMS[code][1]}.`);
  }
}

const BY_PLANE: { readonly [code: string]: ProblemCode } = {
  "plane.evidence": "request.malformed",
  "plane.enrollment": "request.conflict",
  "plane.busy": "server.busy",
  "pool.busy": "server.busy",
  "pool.failed": "server.unready",
  "plane.unready": "server.unready",
  "plane.unwritten": "server.unready",
};
/** Those of fastify that speak of the request. */
const BY_FASTIFY: { readonly [code: string]: ProblemCode } = {
  FST_ERR_CTP_BODY_TOO_LARGE: "request.too-large",
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: "request.malformed",
  FST_ERR_CTP_EMPTY_JSON_BODY: "request.malformed",
  FST_ERR_VALIDATION: "request.malformed",
  FST_ERR_BAD_URL: "request.malformed",
};

/** What an error is told as. What nobody foresaw tells nothing. */
export function problemFor(error: unknown): Problem {
  if (error instanceof RequestError) return problemOf(error.code, error.message);
  if (error instanceof PortcullisError) return problemOfOurs(error);
  const { code, statusCode } = (error ?? {}) as { code?: string; statusCode?: number };
  if (code === "FST_ERR_CTP_INVALID_MEDIA_TYPE") {
    return problemOf("request.media-type", "Bodies are of the type that /openapi.json names.");
  }
  const known = BY_FASTIFY[code ?? ""];
  if (known !== undefined) return problemOf(known, detailOf(error));
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return problemOf("request.malformed");
  }
  return problemOf("server.internal");
}

function problemOfOurs(error: PortcullisError): Problem {
  const { code, message } = error;
  const plane = BY_PLANE[code];
  if (plane !== undefined)
    return problemOf(plane, message, plane.startsWith("server.") ? plane : code);
  if (code.startsWith("enroll.")) return problemOf("request.refused", message, code);
  if (code.startsWith("wire.")) return problemOf("request.malformed", message, code);
  // Of keys, it names the set and how many are at hand.
  if (code === "domain.input" || code === "domain.signers") {
    return problemOf("request.conflict", message, code);
  }
  if (code.startsWith("domain.") || code.startsWith("store.")) {
    return problemOf("server.unready", "The plane's own state cannot be used: it has told why.");
  }
  return problemOf("server.internal");
}

/** What the schema says, without the value. */
function detailOf(error: unknown): string {
  const { validation, validationContext } = error as {
    validation?: readonly { instancePath?: string; message?: string; params?: object }[];
    validationContext?: string;
  };
  const [first] = validation ?? [];
  if (first === undefined) return "The request is not what this route takes.";
  const { instancePath = "", message = "is wrong", params = {} } = first;
  const allowed =
    "allowedValues" in params ? `: ${(params.allowedValues as string[]).join(", ")}` : "";
  return `${validationContext ?? "request"}${instancePath} ${message}${allowed}`;
}
