/** The agent that stays, on a software TPM: quotes that are shared, and what it survives. */
import { link, mkdtemp, rm, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { askQuote, askRaise, connect } from "../../src/agent/client.ts";
import { AgentServer, NodeEnrollment, openAgent, writeAkFile } from "../../src/agent/index.ts";
import { encodeQuestion, MESSAGE_BYTES_MAX, receive } from "../../src/agent/messages.ts";
import { parseAttest } from "../../src/tpm/structures/attest.ts";
import { rootOf } from "../../src/wire/merkle.ts";
import { testSigner } from "../support/keys.ts";
import { softwareTpm } from "./tpm-support.ts";

const SELECTION = [{ hash: 0x000b, pcrs: [0, 7] }];
const tpms = softwareTpm();
let folder: string;
let akFile: string;
let socket: string;
let server: AgentServer;
const failures: unknown[] = [];

const listen = (): Promise<AgentServer> =>
  AgentServer.listen({
    socket,
    open: () => openAgent({ tpm: tpms.machine.uri, akFile }),
    onFailure: (error) => failures.push(error),
  });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "agent server "));
  socket = join(folder, "agent.sock");
  akFile = join(folder, "ak");
  await using node = await NodeEnrollment.begin({
    tpm: tpms.machine.uri,
    logKey: testSigner("log").key,
  });
  await writeAkFile(akFile, node.blob);
});
afterAll(() => rm(folder, { recursive: true }));
beforeEach(async () => {
  server = await listen();
});
afterEach(() => server.close());

const questionOf = (byte: number, selection = SELECTION) =>
  ({
    kind: "quote",
    request: new Uint8Array(32).fill(byte),
    selection,
    counter: null,
  }) as const;

async function quoteFor(byte: number, selection = SELECTION) {
  const question = questionOf(byte, selection);
  const { request } = question;
  const quoted = await askQuote(socket, question);
  if (quoted === null) throw new Error("no agent runs");
  const { attested, extraData } = parseAttest(quoted.attest);
  expect(rootOf(request, quoted)).toEqual(extraData);
  return { ...quoted, attested };
}

test("requests that come together share a quote, each at its own place", async () => {
  const all = await Promise.all(Array.from({ length: 9 }, (_, i) => quoteFor(i)));
  const quotes = new Set(all.map(({ attest }) => Buffer.from(attest).toString("hex")));
  expect(quotes.size).toBeLessThan(9);
  expect(Math.max(...all.map(({ size }) => size))).toBeGreaterThan(1);
  const places = all.map(({ attest, index }) => `${Buffer.from(attest).toString("hex")} ${index}`);
  expect(new Set(places).size).toBe(9);
});

test("requests over other PCRs have a quote of their own", async () => {
  const other = [{ hash: 0x000b, pcrs: [1, 2, 3] }];
  const all = await Promise.all([quoteFor(1), quoteFor(2, other), quoteFor(3), quoteFor(4, other)]);
  expect(all.map(({ values }) => values.length)).toEqual([2, 3, 2, 3]);
});

test("a TPM that lost its power is opened anew, and nobody is refused for it", async () => {
  const before = await quoteFor(1);
  await tpms.machine.powerOff();
  await tpms.machine.powerOn();
  expect((await quoteFor(2)).attest).not.toEqual(before.attest);
});

test("what the TPM refuses is told, with its reason; the next is served", async () => {
  const counter = { index: 0x01805050, name: new Uint8Array(34) };
  const refused = askRaise(socket, { kind: "raise", counter, value: 1n });
  await expect(refused).rejects.toMatchObject({ code: "agent.refused", rcName: "TPM_RC_HANDLE" });
  await quoteFor(3);
});

test("who says something else is not answered, and keeps nobody from being served", async () => {
  const question = encodeQuestion(questionOf(0));
  const length = (bytes: number): Buffer => {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(bytes);
    return head;
  };
  const said = [
    Buffer.concat([length(3), Buffer.from("abc")]),
    length(MESSAGE_BYTES_MAX + 1),
    Buffer.concat([length(question.length), question, Buffer.from("more")]),
  ];
  for (const bytes of said) {
    const client = await connect(socket);
    if (client === null) throw new Error("no agent runs");
    client.on("error", () => undefined);
    client.write(bytes);
    expect(await receive(client, 5_000)).toBeNull();
  }
  // One that says nothing holds nobody up.
  const silent = await connect(socket);
  await quoteFor(4);
  silent?.destroy();
});

test("there is one agent at a place, which only its user reaches", async () => {
  await expect(listen()).rejects.toMatchObject({ code: "agent.running" });
  expect((await stat(socket)).isSocket()).toBe(true);
  await quoteFor(5);
});

test("no agent: nothing is asked; the socket of one that died is taken over", async () => {
  await server.close();
  expect(await askQuote(socket, questionOf(0))).toBeNull();
  // A socket file without anybody behind it, as SIGKILL leaves it.
  const dead = createServer();
  await new Promise<void>((done) => dead.listen(`${socket}.dead`, done));
  await link(`${socket}.dead`, socket);
  await new Promise((done) => dead.close(done));
  expect(await askQuote(socket, questionOf(0))).toBeNull();
  server = await listen();
  await quoteFor(6);
  expect(failures).toEqual([]);
});

test("where no socket can be, no agent is asked, and none starts without a word", async () => {
  const path = join(folder, "long".repeat(30), "agent.sock");
  expect(await connect(path)).toBeNull();
  expect(await askQuote(path, questionOf(1))).toBeNull();
  const started = AgentServer.listen({
    socket: path,
    open: () => openAgent({ tpm: tpms.machine.uri, akFile }),
    onFailure: (error) => failures.push(error),
  });
  await expect(started).rejects.toThrow(/107 bytes at most/);
});
