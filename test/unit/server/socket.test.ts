/** What arrives on the socket, at every route: too large, twice, too slowly. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { FastifyInstance } from "fastify";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeServer } from "../../../src/server/index.ts";
import { makePlaneWorld, type PlaneWorld } from "../../support/plane-world.ts";
import { type Body, ROUTES, type Route } from "./table.ts";

let made: PlaneWorld;
let server: FastifyInstance;
let port: number;
beforeAll(async () => {
  made = await makePlaneWorld();
  server = await makeServer({
    service: made.service,
    tls: null,
    ratePerSecond: 100_000,
    requestMs: 600,
    version: "0.0.0",
    onFailure: (error) => {
      throw error;
    },
  });
  await server.listen({ host: "127.0.0.1", port: 0 });
  const address = server.server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  port = address.port;
});
afterAll(async () => {
  await server.close();
  await made.dispose();
});

describe("what arrives on the socket, at every route", () => {
  async function raw(lines: string): Promise<string> {
    const socket: Socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    let answer = "";
    socket.on("data", (chunk: Buffer) => {
      answer += chunk.toString();
      if (answer.includes('"detail"')) socket.end();
    });
    socket.write(lines);
    await once(socket, "close");
    return answer;
  }

  /** Request line, host, token of the route's role, and these headers. */
  function request([method, path, access]: Route, headers: readonly string[], body = ""): string {
    const token = access === "open" ? [] : [`authorization: Bearer ${made.token(access)}`];
    const lines = [`${method} ${path} HTTP/1.1`, "host: plane", ...token, ...headers];
    return `${lines.join("\r\n")}\r\n\r\n${body}`;
  }
  const typeOf = ([, , , body]: Route): string => `content-type: application/${body}`;

  test.each<[string, number, string, Body[], (route: Route) => string]>([
    [
      "headers too large",
      431,
      "request.headers",
      ["none", "cbor", "json"],
      (route) => request(route, [`x: ${"x".repeat(9_000)}`]),
    ],
    [
      "headers that do not end",
      408,
      "request.slow",
      ["none", "cbor", "json"],
      (route) => request(route, []).slice(0, -2),
    ],
    [
      "a second host",
      400,
      "request.duplicate",
      ["none", "cbor", "json"],
      (route) => request(route, ["Host: other"]),
    ],
    [
      "a second token",
      400,
      "request.duplicate",
      ["none", "cbor", "json"],
      (route) => request(route, ["authorization: Bearer a", "Authorization: Bearer b"]),
    ],
    [
      "a second content-length",
      400,
      "request.malformed",
      ["none", "cbor", "json"],
      (route) => request(route, ["content-length: 1", "content-length: 2"], "ab"),
    ],
    [
      "a second content-type",
      400,
      "request.duplicate",
      ["cbor", "json"],
      (route) =>
        request(route, [typeOf(route), "content-type: text/plain", "content-length: 1"], "a"),
    ],
    [
      "a body that does not come",
      408,
      "request.slow",
      ["cbor", "json"],
      (route) => request(route, [typeOf(route), "content-length: 9"], "abc"),
    ],
    [
      "a body that is too large",
      413,
      "request.too-large",
      ["cbor", "json"],
      (route) => request(route, [typeOf(route), "content-length: 99999999"], "a"),
    ],
    [
      "a body of no length, where none is taken",
      400,
      "request.body",
      ["none"],
      (route) => request(route, ["transfer-encoding: chunked"], "1\r\na\r\n0\r\n\r\n"),
    ],
  ])("%s", async (_what, status, code, bodies, lines) => {
    const asked = ROUTES.filter(([, , , body]) => bodies.includes(body));
    const answers = await Promise.all(asked.map((route) => raw(lines(route))));
    for (const [i, answer] of answers.entries()) {
      const told = `${asked[i]?.slice(0, 2).join(" ")}: ${answer}`;
      expect(answer.startsWith(`HTTP/1.1 ${status} `), told).toBe(true);
      expect(answer, told).toContain(`"code":"${code}"`);
    }
  });

  test.each([
    ["// HTTP/1.1\r\nhost: plane", 404, "request.not-found"],
    ["//[ HTTP/1.1\r\nhost: plane", 404, "request.not-found"],
    ["http://[/x HTTP/1.1\r\nhost: plane", 400, "request.malformed"],
    ["http://other/v1/state HTTP/1.1\r\nhost: plane", 401, "auth.missing"],
    ["/v1%2fstate HTTP/1.1\r\nhost: plane", 404, "request.not-found"],
    ["/%76%31/state HTTP/1.1\r\nhost: plane", 401, "auth.missing"],
    ["/v1/policies/:x( HTTP/1.1\r\nhost: plane", 400, "request.malformed"],
    ["/healthz?__proto__=1 HTTP/1.1\r\nhost: plane", 400, "request.malformed"],
    ["/healthz HTTP/1.1\r\nx: no host", 400, "request.malformed"],
    ["/v1/state HTTP/1.1\r\nhost: plane\r\nexpect: tea", 401, "auth.missing"],
    [
      "/v1/state HTTP/1.1\r\nhost: plane\r\nupgrade: h2c\r\nconnection: upgrade",
      401,
      "auth.missing",
    ],
  ])("GET %j", async (line, status, code) => {
    const answer = await raw(`GET ${line}\r\n\r\n`);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} .*"code":"${code}"`, "s"));
  });

  test("lengths of both kinds", async () => {
    const both = "content-length: 3\r\ntransfer-encoding: chunked";
    const answer = await raw(
      `POST /v1/decisions HTTP/1.1\r\nhost: p\r\n${both}\r\n\r\n3\r\nabc\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 400 .*"code":"request.malformed"/s);
  });

  test("that is no HTTP", async () => {
    const answer = await raw("hello\r\n\r\n");
    expect(answer).toMatch(/^HTTP\/1.1 400 .*"code":"request.malformed"/s);
  });
});

test("CVE-2023-38200: connections that never finish a request keep nobody waiting", async () => {
  const beginnings = ["", "POST /v1/decisions HTTP/1.1\r\nhost: plane\r\n"];
  const sockets = Array.from({ length: 40 }, () => connect(port, "127.0.0.1"));
  for (const [i, socket] of sockets.entries()) {
    socket.on("error", () => undefined);
    await once(socket, "connect");
    socket.write(beginnings[i % 2] ?? "");
  }
  const answers = await Promise.all(
    sockets.map(() => fetch(`http://127.0.0.1:${port}/healthz`).then(({ status }) => status)),
  );
  expect(new Set(answers)).toEqual(new Set([200]));
  // Nobody of them was cut off so that the others could be served.
  expect(sockets.filter(({ destroyed }) => !destroyed)).not.toHaveLength(0);
  for (const socket of sockets) socket.destroy();
});
