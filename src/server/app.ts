/**
 * The plane over HTTP: thin routes, strict edges, bounded in everything. Not here: any rule about
 * who may run what (src/plane), and any file.
 */
import type { Socket } from "node:net";
import swagger from "@fastify/swagger";
import fastify, { type FastifyInstance, type FastifyReply } from "fastify";
import type { PlaneService } from "../plane/index.ts";
import { addGuards } from "./guards.ts";
import { parseJson } from "./json.ts";
import { addMetrics } from "./metrics.ts";
import { addNodeRoutes } from "./node-routes.ts";
import { addObservation } from "./observation.ts";
import { addOperatorRoutes } from "./operator-routes.ts";
import { addPages } from "./pages.ts";
import { PROBLEM_TYPE, type ProblemCode, problemFor, problemOf } from "./problems.ts";

export interface ServerOptions {
  readonly service: PlaneService;
  /** PEM; null serves plain HTTP, for the loopback interface alone. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  /** Requests a second from one address. */
  readonly ratePerSecond?: number;
  /** Requests under way, and bytes of their bodies. */
  readonly requestsMax?: number;
  readonly bytesMax?: number;
  /** How long a request may take to arrive. */
  readonly requestMs?: number;
  /** How long what is under way may take to end, once the server closes. */
  readonly drainMs?: number;
  readonly heartbeatMs?: number;
  readonly version: string;
  /** Hears what failed inside; it is told to no client. */
  readonly onFailure: (error: unknown) => void;
}

const HEADER_BYTES = 8_192;
const BODIES_BYTES = 268_435_456;
const SMALL_BODY = 65_536;

const TLS = { minVersion: "TLSv1.3" } as const;

/** Nothing is coerced, filled in, or taken away from what was sent. */
const AJV = { coerceTypes: false, useDefaults: false, removeAdditional: false, allErrors: false };

/** Not listening yet. Closing it waits for what is under way. */
export async function makeServer(options: ServerOptions): Promise<FastifyInstance> {
  const { service, tls, requestMs = 10_000 } = options;
  const sockets = {
    maxHeaderSize: HEADER_BYTES,
    connectionsCheckingInterval: 1_000,
    requireHostHeader: false,
  };
  const server = fastify({
    ...(tls === null
      ? { http: sockets }
      : { https: { ...sockets, ...tls, ...TLS, handshakeTimeout: requestMs } }),
    bodyLimit: SMALL_BODY,
    requestTimeout: requestMs,
    connectionTimeout: 60_000,
    keepAliveTimeout: 30_000,
    forceCloseConnections: "idle",
    exposeHeadRoutes: false,
    return503OnClosing: true,
    ajv: { customOptions: AJV },
    routerOptions: { maxParamLength: 128 },
    clientErrorHandler: refuseConnection,
    frameworkErrors: (error, _request, reply) => refuse(error, reply),
  }) as unknown as FastifyInstance;
  server.server.headersTimeout = requestMs;
  // RFC 9110 §10.1.1: what is expected, but not known, may be left unsaid.
  server.server.on("checkExpectation", (...asked) => server.server.emit("request", ...asked));
  server.setErrorHandler((error, _request, reply) => {
    const { status, code } = problemFor(error);
    if (status >= 500 && code !== "server.busy") options.onFailure(error);
    return refuse(error, reply);
  });
  addParsers(server);
  endConnections(server, options.drainMs ?? 20_000);
  await server.register(swagger, { openapi: descriptionOf(options.version) });
  addGuards(server, service, {
    ratePerSecond: options.ratePerSecond ?? 1_000,
    requestsMax: options.requestsMax ?? 256,
    bytesMax: options.bytesMax ?? BODIES_BYTES,
  });
  await server.register(async (routes) => {
    addMetrics(routes, service);
    addNodeRoutes(routes, service);
    addOperatorRoutes(routes, service);
    addObservation(routes, service, options.heartbeatMs ?? 15_000);
    addPages(routes);
  });
  addNotFound(server);
  await server.ready();
  return server;
}

/** What an error comes to, also of an address that no route is looked up for. */
function refuse(error: unknown, reply: FastifyReply) {
  const problem = problemFor(error);
  if (problem.status === 503 || problem.status === 429) reply.header("retry-after", "1");
  if (problem.status === 401) reply.header("www-authenticate", "Bearer");
  return reply.status(problem.status).type(PROBLEM_TYPE).send(JSON.stringify(problem));
}

/**
 * Once the server closes, an answer ends its connection, which would else stay for its next request;
 * and who does not send or read to the end keeps nobody from closing.
 */
function endConnections(server: FastifyInstance, drainMs: number): void {
  let closing = false;
  server.addHook("preClose", (done) => {
    closing = true;
    setTimeout(() => server.server.closeAllConnections(), drainMs).unref();
    done();
  });
  server.addHook("onSend", (_request, reply, payload, done) => {
    if (closing) reply.header("connection", "close");
    done(null, payload);
  });
}

function addParsers(server: FastifyInstance): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser("application/cbor", { parseAs: "buffer" }, (_request, body, done) =>
    done(null, body),
  );
  server.addContentTypeParser(
    "application/json",
    { parseAs: "string" },
    async (_request: unknown, body: string | Buffer) => parseJson(body.toString()),
  );
}

const METHODS = ["GET", "POST"] as const;

function addNotFound(server: FastifyInstance): void {
  server.setNotFoundHandler((request, reply) => {
    const [url = ""] = request.url.split("?", 1);
    const other = METHODS.filter((method) => server.findRoute({ method, url }) !== null);
    const known = other.length > 0 && !other.some((method) => method === request.method);
    const problem = problemOf(known ? "request.method" : "request.not-found");
    if (known) reply.header("allow", other.join(", "));
    return reply.status(problem.status).type(PROBLEM_TYPE).send(JSON.stringify(problem));
  });
}

function descriptionOf(version: string) {
  return {
    openapi: "3.1.0",
    info: {
      title: "Portcullis control plane",
      version,
      description: "Nonces, decisions, published governance, enrollment. See docs/plane.md.",
    },
    components: {
      securitySchemes: { token: { type: "http" as const, scheme: "bearer" } },
    },
  };
}

const BY_PARSER: { readonly [code: string]: ProblemCode } = {
  ERR_HTTP_REQUEST_TIMEOUT: "request.slow",
  HPE_HEADER_OVERFLOW: "request.headers",
};

/** What is no HTTP request, or did not arrive in time, never reaches a route. */
function refuseConnection(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const problem = problemOf(BY_PARSER[error.code ?? ""] ?? "request.malformed");
  const body = JSON.stringify(problem);
  socket.end(
    `HTTP/1.1 ${problem.status} ${problem.title}\r\ncontent-type: ${PROBLEM_TYPE}\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
