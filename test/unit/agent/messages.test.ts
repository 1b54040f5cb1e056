/** What goes over the agent's socket: what was said arrives, and nothing else is understood. */
import { randomUUID } from "node:crypto";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  AgentError,
  decodeQuestion,
  decodeQuoted,
  decodeRaised,
  encodeQuestion,
  encodeQuoted,
  encodeRaised,
  encodeRefusal,
  type Question,
  receive,
} from "../../../src/agent/messages.ts";
import { encode } from "../../../src/wire/cbor.ts";

const bytes = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte);
const counter = { index: 0x01805043, name: bytes(34, 3) };
const quote: Question = {
  kind: "quote",
  request: bytes(32, 1),
  selection: [
    { hash: 4, pcrs: [0, 7] },
    { hash: 11, pcrs: [10, 23] },
  ],
  counter,
};
const QUESTIONS: readonly Question[] = [
  quote,
  { ...quote, counter: null },
  { kind: "raise", counter, value: 2n ** 64n - 1n },
];
const quoted = {
  attest: bytes(100, 4),
  signature: bytes(70, 5),
  index: 2,
  size: 3,
  path: [bytes(32, 6)],
  values: [bytes(32, 7), bytes(20, 8)],
  counter: 9n,
};

function truncations(whole: Uint8Array): Uint8Array[] {
  return Array.from(whole, (_, length) => whole.subarray(0, length));
}

describe("questions", () => {
  test.each(QUESTIONS)("arrive as they were asked: %#", (question) => {
    expect(decodeQuestion(encodeQuestion(question))).toEqual(question);
  });

  test.each(QUESTIONS)("are none where they are cut off, or go on: %#", (question) => {
    const whole = encodeQuestion(question);
    for (const part of truncations(whole)) expect(decodeQuestion(part)).toBeNull();
    expect(decodeQuestion(Uint8Array.of(...whole, 0))).toBeNull();
  });

  test.each([
    ["of another kind", [3, bytes(32, 1), [[11, [0]]], null]],
    ["with a short request", [1, bytes(31, 1), [[11, [0]]], null]],
    ["over no bank", [1, bytes(32, 1), [], null]],
    ["over a bank that is none", [1, bytes(32, 1), [["sha256", [0]]], null]],
    ["over PCR 24", [1, bytes(32, 1), [[11, [24]]], null]],
    ["with a counter without Name", [1, bytes(32, 1), [[11, [0]]], [1]]],
    ["that raise nothing", [2, null, bytes(8, 0)]],
    ["that raise to a short value", [2, [1, bytes(34, 3)], bytes(7, 0)]],
    ["with more than belongs there", [1, bytes(32, 1), [[11, [0]]], null, null]],
    ["that are a map", new Map([[1, 2]])],
  ])("%s are none", (_, value) => {
    expect(decodeQuestion(encode(value))).toBeNull();
  });
});

describe("answers", () => {
  test("arrive as they were given", () => {
    expect(decodeQuoted(encodeQuoted(quoted))).toEqual(quoted);
    const bare = { ...quoted, counter: null };
    expect(decodeQuoted(encodeQuoted(bare))).toEqual(bare);
    expect(decodeRaised(encodeRaised(2n ** 63n))).toBe(2n ** 63n);
  });

  test("are none where they are cut off, or of another kind", () => {
    for (const part of truncations(encodeQuoted(quoted))) {
      expect(() => decodeQuoted(part)).toThrow(AgentError);
    }
    for (const part of truncations(encodeRaised(1n))) {
      expect(() => decodeRaised(part)).toThrow(AgentError);
    }
    expect(() => decodeQuoted(encodeRaised(1n))).toThrow(/no answer/);
    expect(() => decodeRaised(encodeQuoted(quoted))).toThrow(/no answer/);
    expect(() => decodeQuoted(encode([1, 2, 3, 4, 5, 6, 7, 8]))).toThrow(/no answer/);
  });

  test("a refusal says why, and the TPM's reason", () => {
    const refusal = encodeRefusal("TPM2_Load: TPM_RC_INTEGRITY", "TPM_RC_INTEGRITY");
    for (const read of [decodeQuoted, decodeRaised]) {
      expect(() => read(refusal)).toThrow(
        expect.objectContaining({ code: "agent.refused", rcName: "TPM_RC_INTEGRITY" }),
      );
    }
  });
});

test("whoever says a byte at a time is cut off in time", async () => {
  const path = join(tmpdir(), `slow ${randomUUID()}`);
  const server = createServer((client) => {
    client.on("error", () => undefined);
    client.write(Uint8Array.of(0, 0, 1, 0));
    const timer = setInterval(() => client.write("x"), 20);
    client.once("close", () => clearInterval(timer));
  });
  await new Promise<void>((done) => server.listen(path, done));
  const socket = createConnection(path);
  expect(await receive(socket, 200)).toBeNull();
  await new Promise((done) => server.close(done));
});
