/** Every route: who may use it, and what each wrong input is told. */
import type { FastifyInstance } from "fastify";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { NODES_PER_PAGE, type NodePage } from "../../../src/plane/service.ts";
import { makeServer } from "../../../src/server/index.ts";
import { PROBLEMS } from "../../../src/server/problems.ts";
import { NOW } from "../../support/domain.ts";
import { makePlaneWorld, type PlaneWorld } from "../../support/plane-world.ts";
import { ROUTES, type Role } from "./table.ts";

const GOOD: { readonly [path: string]: string } = {
  "/v1/snapshots": "{}",
  "/v1/freeze": '{"freeze":"new"}',
  "/v1/decision-mode": '{"decision":"plane"}',
  "/v1/revocations": '{"kind":"grants","index":1}',
};

let made: PlaneWorld;
let server: FastifyInstance;
let url: string;
const failures: unknown[] = [];
beforeAll(async () => {
  made = await makePlaneWorld();
  server = await makeServer({
    service: made.service,
    tls: null,
    ratePerSecond: 100_000,
    requestMs: 600,
    version: "0.0.0",
    onFailure: (error) => failures.push(error),
  });
  url = await server.listen({ host: "127.0.0.1", port: 0 });
});
afterAll(async () => {
  await server.close();
  await made.dispose();
});

interface Asked {
  readonly method: "GET" | "POST";
  readonly url: string;
  readonly payload?: string | Buffer;
  readonly headers?: Record<string, string>;
}

async function ask(asked: Asked) {
  const response = await server.inject(asked);
  return { status: response.statusCode, response };
}

/** A refusal must be a problem with a code of the table, or of the parts behind. */
function expectProblem(response: Awaited<ReturnType<typeof ask>>["response"]): string {
  expect(response.headers["content-type"]).toMatch(/^application\/problem\+json\b/);
  const problem = response.json<{ code: string; status: number; detail: string }>();
  expect(problem.status).toBe(response.statusCode);
  const known = Object.hasOwn(PROBLEMS, problem.code);
  expect(known || /^(?:wire|enroll|plane|domain)\.[a-z-]+$/.test(problem.code)).toBe(true);
  return problem.code;
}

const TYPE = {
  none: {},
  cbor: { "content-type": "application/cbor" },
  json: { "content-type": "application/json" },
};
const bearer = (text: string) => ({ authorization: `Bearer ${text}` });
const roleOf = (access: "open" | Role): Record<string, string> =>
  access === "open" ? {} : bearer(made.token(access));

const named = (path: string): string => path.replace(/0{64}/, ":digest").replace(/0{32}/, ":id");

test("the table holds every route there is, and the description too", () => {
  const listed = ROUTES.map(([method, path]) => `${method} ${named(path)}`).sort();
  // A tree: each line has four or five characters a level, then a part of the path, and its methods.
  const above: string[] = [];
  const there = server
    .printRoutes({ commonPrefix: false })
    .split("\n")
    .flatMap((line) => {
      const [, branches = "", part = "", methods] =
        /^([\s│├└─]*)(\S+)(?: \(([A-Z, ]+)\))?$/.exec(line) ?? [];
      above.splice(Math.floor(branches.length / 4) - 1, above.length, part);
      const all = methods?.split(", ") ?? [];
      return all.map((method) => `${method} ${above.join("")}`);
    });
  expect(there.sort()).toEqual(listed);
  const { paths = {} } = server.swagger() as { paths?: Record<string, Record<string, unknown>> };
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map(
      (method) => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ":$1")}`,
    ),
  );
  expect(described.sort()).toEqual(listed);
});

interface Described {
  readonly security?: unknown;
  readonly description?: string;
  readonly requestBody?: { readonly content: object };
  readonly responses: { readonly 200: { readonly description: string } };
}

test("the description says of each route who may use it, what it takes, and what it gives", async () => {
  const { response } = await ask({ method: "GET", url: "/openapi.json" });
  const { paths } = response.json<{ paths: Record<string, Record<string, Described>> }>();
  for (const [method, path, access, body] of ROUTES) {
    const place = named(path).replace(/:(\w+)/g, "{$1}");
    const { security, description, requestBody, responses } =
      paths[place]?.[method.toLowerCase()] ?? {};
    const open = access === "open";
    expect([place, security]).toEqual([place, open ? undefined : [{ token: [] }]]);
    expect(description).toBe(open ? undefined : `Asks for a token ${access}.`);
    const types = Object.keys(requestBody?.content ?? {});
    expect([place, types]).toEqual([place, body === "none" ? [] : [`application/${body}`]]);
    expect(responses?.[200].description).not.toMatch(/^Default/);
  }
});

describe.each(ROUTES)("%s %s (%s, body: %s)", (method, url, access, body) => {
  const payload = GOOD[url];
  const good = body === "json" && payload ? { payload, headers: TYPE.json } : {};

  if (access !== "open") {
    test("asks for a token of its role", async () => {
      const none = await ask({ method, url, ...good });
      expect([none.status, expectProblem(none.response)]).toEqual([401, "auth.missing"]);
      const roles: Role[] = ["view", "operate", "enroll"];
      const wrong = roles.filter((r) => r !== access && !(access === "view" && r === "operate"));
      const unknown = `pt_${"0".repeat(16)}_${"A".repeat(43)}`;
      const real = made.token(access);
      const cut = `${real.slice(0, -1)}${real.endsWith("A") ? "B" : "A"}`;
      for (const text of [...wrong.map((role) => made.token(role)), unknown, cut, "x"]) {
        const headers = { ...TYPE[body], ...bearer(text) };
        const refused = await ask({ method, url, ...good, headers });
        expect([refused.status, expectProblem(refused.response)]).toEqual([403, "auth.refused"]);
      }
      const basic = { authorization: "Basic cHQ6cHQ=" };
      expect((await ask({ method, url, headers: basic })).status).toBe(401);
    });
  }

  test("refuses what it does not take, with a code", async () => {
    const role = roleOf(access);
    const headers = { ...TYPE[body], ...role };
    const wrong: Asked[] = [
      { method, url: `${url}?extra=1`, headers, ...(payload && { payload }) },
    ];
    if (body === "none") {
      wrong.push({ method, url, headers: { ...role, ...TYPE.json }, payload: "{}" });
    } else {
      wrong.push({ method, url, headers });
      wrong.push({ method, url, headers: { ...role, "content-type": "text/plain" }, payload: "x" });
      const other = body === "cbor" ? TYPE.json : TYPE.cbor;
      wrong.push({ method, url, headers: { ...role, ...other }, payload: "{}" });
      wrong.push({ method, url, headers, payload: Buffer.alloc(64, 0xff) });
      wrong.push({
        method,
        url,
        headers: { ...headers, "content-length": "99999999" },
        payload: "x",
      });
    }
    if (payload)
      wrong.push(...wrongJson(payload).map((text) => ({ method, url, headers, payload: text })));
    for (const asked of wrong) {
      const { status, response } = await ask(asked);
      const told = `${asked.url} ${String(asked.payload).slice(0, 60)}: ${response.body}`;
      expect(status, told).toBeGreaterThanOrEqual(400);
      expect(status, told).toBeLessThan(500);
      expectProblem(response);
    }
  });

  test("another method is refused", async () => {
    for (const other of ["PUT", "DELETE", "PATCH"] as const) {
      const { statusCode, headers } = await server.inject({ method: other, url });
      expect([404, 405]).toContain(statusCode);
      expect(headers["content-type"]).toMatch(/^application\/problem\+json\b/);
    }
  });
});

test.each([
  "",
  "0",
  "0".repeat(31),
  "0".repeat(33),
  "0".repeat(65),
  "A".repeat(64),
  "%2e%2e",
  "%zz",
])("an address that ends with %j names nothing", async (end) => {
  const headers = { ...TYPE.cbor, ...roleOf("enroll") };
  for (const asked of [
    { method: "GET", url: `/v1/policies/${end}` } as const,
    { method: "POST", url: `/v1/enrollments/${end}`, headers, payload: "x" } as const,
  ]) {
    const { status, response } = await ask(asked);
    expect([400, 404]).toContain(status);
    expectProblem(response);
  }
});

/** Missing, extra, coerced, duplicate, wrong, too large, too deep. */
function wrongJson(good: string): string[] {
  const members = good.slice(1, -1);
  const comma = members === "" ? "" : ",";
  return [
    "",
    "null",
    "[]",
    `[${good}]`,
    good.slice(0, -1),
    `${good}${good}`,
    `{${members}${comma}"extra":1}`,
    `{${members}${comma}"__proto__":{}}`,
    `{"x":1,"x":1${comma}${members}}`,
    `{${members}${comma}"pad":"${"x".repeat(5_000)}"}`,
    "[".repeat(2_000),
    ...(members === ""
      ? []
      : [
          "{}",
          `{${members},${members}}`,
          good.replace(
            /"(\w+)":/,
            (_, n) => `"\\u00${n.charCodeAt(0).toString(16)}${n.slice(1)}":null,"${n}":`,
          ),
        ]),
    ...(good.includes("index")
      ? [
          '{"kind":"grants","index":"1"}',
          '{"kind":"grants","index":-1}',
          '{"kind":"grants","index":1.5}',
          '{"kind":"roots","index":1}',
        ]
      : []),
  ];
}

test("a decision over HTTP is the plane's", async () => {
  const headers = { "content-type": "application/cbor" };
  const payload = Buffer.from(await made.evidence());
  const { status, response } = await ask({
    method: "POST",
    url: "/v1/decisions",
    headers,
    payload,
  });
  expect([status, response.headers["content-type"]]).toEqual([200, "application/cbor"]);
  expect(response.rawPayload.at(-1)).toBe(0xf6);
});

test("an operator's change reaches the rules as it was sent", async () => {
  const headers = { ...TYPE.json, ...bearer(made.token("operate")) };
  for (const [url, payload] of Object.entries(GOOD)) {
    expect((await ask({ method: "POST", url, headers, payload })).status).toBe(200);
  }
  expect(made.changes.slice(-4)).toEqual([
    { kind: "renew" },
    { kind: "freeze", freeze: "new" },
    { kind: "decision", decision: "plane" },
    { kind: "revoke", of: "grants", index: 1 },
  ]);
});

test("nodes come by the page, each of them once", async () => {
  const { world, nodes } = made;
  const total = 2 * NODES_PER_PAGE + 1;
  made.nodes = Array.from({ length: total }, (_, statusIndex) => ({
    claims: world.node({ statusIndex }),
    revoked: false,
  }));
  const headers = bearer(made.token("view"));
  const seen: number[] = [];
  const sizes: number[] = [];
  for (let next: number | null = 0; next !== null; ) {
    const { status, response } = await ask({
      method: "GET",
      url: `/v1/nodes?from=${next}`,
      headers,
    });
    expect(status).toBe(200);
    const page = response.json<NodePage>();
    seen.push(...page.nodes.map(({ statusIndex }) => statusIndex));
    sizes.push(page.nodes.length);
    next = page.next;
  }
  expect(seen).toEqual(made.nodes.map((_, index) => index));
  expect(sizes).toEqual([NODES_PER_PAGE, NODES_PER_PAGE, 1]);
  for (const from of ["", "-1", "01", "1e3", "1&from=2", "9".repeat(16)]) {
    const { status } = await ask({ method: "GET", url: `/v1/nodes?from=${from}`, headers });
    expect(status, from).toBe(400);
  }
  made.nodes = nodes;
});

test("decisions are counted, shown and streamed", async () => {
  const headers = bearer(made.token("view"));
  const stream = await fetch(`${url}/v1/events`, { headers });
  const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader();
  await made.plane.decide(await made.evidence());
  let text = "";
  while (!text.includes("data:")) text += (await reader?.read())?.value ?? "";
  expect(text).toMatch(/event: decision\ndata: \{"time":\d+,"code":/);
  await reader?.cancel();
  const { response } = await ask({ method: "GET", url: "/metrics", headers });
  expect(response.body).toMatch(/portcullis_decisions_total\{code="[a-z.-]+"\} \d+/);
  expect(response.body).toMatch(/portcullis_request_seconds_count\{route="\/v1\/decisions"/);
});

test("a stream ends when its token is revoked", async () => {
  const quick = await makeServer({
    service: made.service,
    tls: null,
    heartbeatMs: 20,
    version: "0.0.0",
    onFailure: (error) => failures.push(error),
  });
  const there = await quick.listen({ host: "127.0.0.1", port: 0 });
  const token = made.token("view");
  const stream = await fetch(`${there}/v1/events`, { headers: bearer(token) });
  const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("still here")) text += (await reader?.read())?.value ?? "";
  made.revoke(token);
  while ((await reader?.read())?.done === false);
  await quick.close();
});

test("what stands in the way of a decision is told by /readyz", async () => {
  const ready = async () => (await ask({ method: "GET", url: "/readyz" })).response;
  expect((await ready()).json()).toEqual({ ready: true });
  const good = made.published;
  for (const [change, detail] of [
    [{ expires: NOW }, /expired/],
    [{ issued: NOW + 1 }, /clock/],
  ] as const) {
    made.published = { ...good, ...change };
    const response = await ready();
    expect([response.statusCode, expectProblem(response)]).toEqual([503, "server.unready"]);
    expect(response.json<{ detail: string }>().detail).toMatch(detail);
  }
  made.published = good;
  failures.splice(0);
});

test("nothing failed inside meanwhile", () => expect(failures).toEqual([]));

describe("room", () => {
  test("too many requests from one address are told to come back", async () => {
    const limited = await makeServer({
      service: made.service,
      tls: null,
      ratePerSecond: 3,
      version: "0.0.0",
      onFailure: (error) => failures.push(error),
    });
    // The limit is a second's: asked often enough, some second holds more than its three.
    const refused = [];
    for (let i = 0; i < 100 && refused.length === 0; i++) {
      const answer = await limited.inject({ method: "POST", url: "/v1/nonces" });
      if (answer.statusCode === 429) refused.push(answer);
      else expect(answer.statusCode).toBe(200);
    }
    expect(refused).toHaveLength(1);
    for (const { headers } of refused) expect(headers["retry-after"]).toBeDefined();
    expect(refused[0]?.json().code).toBe("request.rate");
    await limited.close();
  });

  test("more requests at once than there is room for are told so, and room comes back", async () => {
    const small = await makeServer({
      service: made.service,
      tls: null,
      ratePerSecond: 100_000,
      requestsMax: 2,
      version: "0.0.0",
      onFailure: (error) => failures.push(error),
    });
    const nonce = () => small.inject({ method: "POST", url: "/v1/nonces" });
    for (let round = 0; round < 3; round++) {
      const codes = (await Promise.all([nonce(), nonce(), nonce(), nonce()])).map(
        (r) => r.statusCode,
      );
      expect(codes.filter((code) => code === 200).length).toBeGreaterThanOrEqual(2);
    }
    expect((await nonce()).statusCode).toBe(200);
    await small.close();
  });
});
