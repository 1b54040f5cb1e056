/** What a node makes of each way in which its plane may answer, or not. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTcp } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { PlaneClient } from "../../../src/client/index.ts";
import { encode } from "../../../src/wire/cbor.ts";
import { encodeRemote } from "../../../src/wire/remote.ts";

type Answer = (request: IncomingMessage, response: ServerResponse, body: Buffer) => void;
let answer: Answer;
const seen: { method: string; url: string; token: string; body: Buffer }[] = [];
const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const body = Buffer.concat(chunks);
    const { method = "", url = "", headers } = request;
    seen.push({ method, url, token: headers.authorization ?? "", body });
    answer(request, response, body);
  });
});
let url: string;
const portOf = (listening: { address(): unknown }) =>
  (listening.address() as { port: number }).port;
beforeAll(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${portOf(server)}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  seen.length = 0;
});

const client = (timeoutMs = 2_000) => new PlaneClient({ url, timeoutMs });
const cbor =
  (bytes: Uint8Array, status = 200): Answer =>
  (_request, response) => {
    response.writeHead(status, { "content-type": "application/cbor" }).end(bytes);
  };
const problem =
  (status: number, code: string): Answer =>
  (_request, response) => {
    response.writeHead(status, { "content-type": "application/problem+json" });
    response.end(JSON.stringify({ status, code, detail: "why" }));
  };
const failing = (code: string, more: object = {}) =>
  expect.objectContaining({ name: "ClientError", code, ...more });
const EVIDENCE = Uint8Array.of(1, 2, 3);
const OPINION = encodeRemote("opinion", { result: null, code: "replay.use" });

describe("an address", () => {
  test.each([
    "",
    "plane.example.org",
    "ftp://plane.example.org",
    "http://plane.example.org",
    "http://192.0.2.1:8404",
    "http://127.0.0.1.example.org",
    "https://user@plane.example.org",
    "https://:secret@plane.example.org",
    "https://plane.example.org/?a=1",
    "https://plane.example.org/#a",
  ])("%j is refused", (address) => {
    expect(() => new PlaneClient({ url: address })).toThrow(failing("client.address"));
  });
});

test.each(["", "/", "/plane", "/plane/"])("below the path %j the plane is asked", async (path) => {
  answer = cbor(encode(new Uint8Array(32)));
  await new PlaneClient({ url: `${url}${path}` }).nonce();
  expect(seen[0]?.url).toBe(`${path.replace(/\/$/, "")}/v1/nonces`);
});

describe("what is sent", () => {
  test("is what each route takes", async () => {
    const one = client();
    answer = cbor(encode(new Uint8Array(32)));
    await one.nonce();
    answer = cbor(OPINION);
    expect(await one.judge(EVIDENCE)).toEqual({ result: null, code: "replay.use" });
    answer = cbor(EVIDENCE);
    await one.answer(
      new Uint8Array(16).fill(0xab),
      { secret: new Uint8Array(32), attest: EVIDENCE, signature: EVIDENCE },
      "a-token",
    );
    await one.policy(new Uint8Array(32).fill(1));
    expect(seen.map(({ method, url: path, token }) => [method, path, token])).toEqual([
      ["POST", "/v1/nonces", ""],
      ["POST", "/v1/decisions", ""],
      ["POST", `/v1/enrollments/${"ab".repeat(16)}`, "Bearer a-token"],
      ["GET", `/v1/policies/${"01".repeat(32)}`, ""],
    ]);
    expect(seen[1]?.body).toEqual(Buffer.from(EVIDENCE));
  });
});

describe("an answer that is none", () => {
  const text: Answer = (_request, response) => void response.end("hello");
  test.each<[string, Answer]>([
    ["no CBOR", cbor(Uint8Array.of(0xff))],
    ["of another shape", cbor(encode([1]))],
    ["cut short", cbor(OPINION.subarray(0, -1))],
    ["with more behind it", cbor(Buffer.concat([OPINION, encode(null)]))],
    ["of another type", text],
    ["CBOR, but not 200", cbor(OPINION, 201)],
    ["a redirection", (_r, response) => void response.writeHead(302, { location: url }).end()],
    [
      "a problem that does not parse",
      (_r, response) => {
        response.writeHead(500, { "content-type": "application/problem+json" }).end("{");
      },
    ],
  ])("%s", async (_what, said) => {
    answer = said;
    await expect(client().judge(EVIDENCE)).rejects.toThrow(failing("client.answer"));
    expect(seen).toHaveLength(1);
  });

  test("a nonce that is no CBOR", async () => {
    answer = cbor(Uint8Array.of(0xff));
    await expect(client().nonce()).rejects.toThrow(failing("client.answer"));
  });

  test.each([31, 33])("a nonce of %i bytes", async (size) => {
    answer = cbor(encode(new Uint8Array(size)));
    await expect(client().nonce()).rejects.toThrow(failing("client.answer"));
  });

  test("longer than any is cut off", async () => {
    answer = cbor(new Uint8Array(70_000));
    await expect(client().judge(EVIDENCE)).rejects.toThrow(failing("client.unreachable"));
  });
});

describe("a refusal", () => {
  test("is told with the plane's own code", async () => {
    answer = problem(400, "plane.evidence");
    await expect(client().judge(EVIDENCE)).rejects.toThrow(
      failing("client.refused", {
        problem: "plane.evidence",
        message: expect.stringMatching("why"),
      }),
    );
  });

  test("that may pass is asked again, but for a decision, whose nonce is spent", async () => {
    let left = 2;
    answer = (...exchange) => {
      const next = left-- > 0 ? problem(503, "server.busy") : cbor(encode(new Uint8Array(32)));
      next(...exchange);
    };
    await client().nonce();
    expect(seen).toHaveLength(3);
    answer = problem(503, "server.busy");
    await expect(client().judge(EVIDENCE)).rejects.toThrow(failing("client.refused"));
    expect(seen).toHaveLength(4);
    await expect(client().nonce()).rejects.toThrow(failing("client.refused"));
    expect(seen).toHaveLength(7);
  });

  test("that will not pass is not asked again", async () => {
    answer = problem(429, "request.rate");
    await expect(client().nonce()).rejects.toThrow(failing("client.refused"));
    expect(seen).toHaveLength(1);
  });
});

describe("no answer", () => {
  test("within the time", async () => {
    answer = () => undefined;
    await expect(client(100).judge(EVIDENCE)).rejects.toThrow(failing("client.timeout"));
  });

  test("that ends within the time", async () => {
    answer = (_request, response) => {
      response.writeHead(200, { "content-type": "application/cbor" }).write(OPINION.subarray(0, 1));
    };
    await expect(client(100).judge(EVIDENCE)).rejects.toThrow(failing("client.timeout"));
  });

  test("but an end of the connection, or nobody there", async () => {
    answer = (request) => request.socket.destroy();
    await expect(client().judge(EVIDENCE)).rejects.toThrow(failing("client.unreachable"));
    const gone = createTcp().listen(0, "127.0.0.1");
    await once(gone, "listening");
    const nobody = `http://127.0.0.1:${portOf(gone)}`;
    await new Promise((done) => gone.close(done));
    const lonely = new PlaneClient({ url: nobody });
    await expect(lonely.judge(EVIDENCE)).rejects.toThrow(failing("client.unreachable"));
  });
});
