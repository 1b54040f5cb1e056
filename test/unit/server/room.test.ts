/** Nobody who has no right to a decision can keep the others from theirs: over real connections. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadCore } from "../../../src/core/index.ts";
import { makeServer } from "../../../src/server/index.ts";
import { makePlaneWorld, type PlaneWorld } from "../../support/plane-world.ts";

const REQUESTS_MAX = 8;
const BYTES_MAX = 33_554_432;
/** More than the plane's patience with one client. */
const LONG_MS = 400;

let made: PlaneWorld;
let server: FastifyInstance;
let port: number;
const sockets: Socket[] = [];
/** What the judge waits for. */
let beforeVerdict = async (): Promise<void> => undefined;
beforeEach(async () => {
  const core = await loadCore();
  const decide = async (bytes: Uint8Array) => {
    await beforeVerdict();
    return core.decide(bytes);
  };
  made = await makePlaneWorld({ judge: { decide } });
  const room = { requestsMax: REQUESTS_MAX, bytesMax: BYTES_MAX, ratePerSecond: 100_000 };
  const onFailure = (error: unknown): void => {
    throw error;
  };
  server = await makeServer({ service: made.service, tls: null, version: "0", onFailure, ...room });
  await server.listen({ host: "127.0.0.1", port: 0 });
  const address = server.server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  port = address.port;
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server.close();
  await made.dispose();
});

/** A connection on which these bytes were sent. */
async function sent(...parts: (string | Uint8Array)[]): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  sockets.push(socket);
  socket.on("error", () => undefined);
  await once(socket, "connect");
  for (const part of parts) socket.write(part);
  return socket;
}

const head = (bytes: number): string =>
  "POST /v1/decisions HTTP/1.1\r\nhost: plane\r\ncontent-type: application/cbor\r\n" +
  `content-length: ${bytes}\r\n\r\n`;
const NONCE = "POST /v1/nonces HTTP/1.1\r\nhost: plane\r\n\r\n";

/** What the plane says to a whole and honest request. */
async function served(): Promise<number> {
  const body = new Uint8Array(await made.evidence());
  const headers = { "content-type": "application/cbor" };
  const url = `http://127.0.0.1:${port}/v1/decisions`;
  return (await fetch(url, { method: "POST", headers, body })).status;
}

/** Sends a whole request for a decision, more behind it, and is gone while the core decides. */
async function abandoned(behind = ""): Promise<void> {
  const evidence = await made.evidence();
  let begun = (): void => undefined;
  let go = (): void => undefined;
  const deciding = new Promise<void>((done) => {
    begun = done;
  });
  const gone = new Promise<void>((done) => {
    go = done;
  });
  beforeVerdict = () => {
    begun();
    return gone;
  };
  const accepted = once(server.server, "connection");
  const socket = await sent(head(evidence.length), evidence, behind);
  const [connection] = (await accepted) as [Socket];
  await deciding;
  socket.destroy();
  await once(connection, "close");
  beforeVerdict = async () => undefined;
  go();
}

test("a client that does not wait for its decision leaves no hole in the room", async () => {
  for (let i = 0; i < REQUESTS_MAX; i++) await abandoned();
  expect(await served()).toBe(200);
});

test("nor one that goes away from answers which stood in line", async () => {
  for (let i = 0; i < REQUESTS_MAX; i++) await abandoned(NONCE.repeat(3));
  expect(await served()).toBe(200);
});

test("what is only announced takes no room", async () => {
  for (let i = 0; i < REQUESTS_MAX - 1; i++) await sent(head(16_777_216), "a");
  expect(await served()).toBe(200);
});

test("who sends slowly makes room for those who do not", async () => {
  const slow: Socket[] = [];
  for (let i = 0; i < REQUESTS_MAX; i++) slow.push(await sent(head(9), "abc"));
  await sleep(LONG_MS);
  expect(await served()).toBe(200);
  // The one that kept the plane waiting longest, and no other.
  await expect.poll(() => slow.map(({ closed }) => closed)).toEqual(slow.map((_, i) => i === 0));
});

test("so does who reads slowly, by request or by byte", async () => {
  // Far more than a connection takes that nobody reads.
  const digest = "ab".repeat(32);
  const policy = new Uint8Array(4_194_304);
  made.published = { ...made.published, policies: new Map([[digest, policy]]) };
  const slow: Socket[] = [];
  for (let i = 0; i < REQUESTS_MAX - 1; i++) {
    slow.push(await sent(`GET /v1/policies/${digest} HTTP/1.1\r\nhost: plane\r\n\r\n`));
    slow.at(-1)?.pause();
  }
  await sleep(LONG_MS);
  expect(await served()).toBe(200);
  for (let i = 0; i < 3; i++) {
    slow.push(await sent(`GET /v1/policies/${digest} HTTP/1.1\r\nhost: plane\r\n\r\n`));
    slow.at(-1)?.pause();
    await sleep(LONG_MS);
    expect(await served()).toBe(200);
  }
});

test("who sends or reads slowly does not keep the server from closing", async () => {
  const other = await makeServer({
    service: made.service,
    tls: null,
    version: "0",
    drainMs: LONG_MS,
    onFailure: () => undefined,
  });
  await other.listen({ host: "127.0.0.1", port: 0 });
  const address = other.server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const slow = connect(address.port, "127.0.0.1");
  const gone = once(slow, "close");
  await once(slow, "connect");
  const arrived = once(other.server, "request");
  slow.write(head(9));
  await arrived;
  await other.close();
  await gone;
});

test("more bytes than there is room for are never held", async () => {
  const large = new Uint8Array(16_000_000);
  const all: Socket[] = [];
  for (let i = 0; i < 3; i++) all.push(await sent(head(16_777_216), large));
  await expect.poll(() => all.map(({ closed }) => closed)).toEqual([true, false, false]);
  await sleep(LONG_MS);
  expect(await served()).toBe(200);
});
