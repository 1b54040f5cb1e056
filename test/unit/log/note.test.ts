import { generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { parseCheckpoint, signCheckpoint, verifyCheckpoint } from "../../../src/log/checkpoint.ts";
import { EMPTY_ROOT } from "../../../src/log/merkle.ts";
import {
  formatNoteVerifier,
  noteSigner,
  noteVerifier,
  parseNoteVerifier,
  signNote,
  verifyNote,
} from "../../../src/log/note.ts";
import { ORIGIN, SIGNER } from "../../support/journal.ts";

const VERIFIER = SIGNER.verifier;
const failing = (code: string) => expect.objectContaining({ name: "LogError", code });
const bytes = (text: string) => Buffer.from(text);
const verify = (note: string) => verifyNote(bytes(note), [VERIFIER]);

describe("notes", () => {
  const note = signNote("line one\nline two\n", SIGNER);

  test("are read back by their verifier", () => {
    expect(verify(note)).toEqual({ text: "line one\nline two\n", signers: [ORIGIN] });
    expect(parseNoteVerifier(formatNoteVerifier(VERIFIER)).keyHash).toBe(VERIFIER.keyHash);
  });

  test("every byte counts", () => {
    const original = bytes(note);
    for (let at = 0; at < original.length; at++) {
      const changed = Buffer.from(original);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(() => verifyNote(changed, [VERIFIER]), `byte ${at}`).toThrow();
    }
  });

  test.each([
    ["no signature", "text\n"],
    ["no newline at the end", note.slice(0, -1)],
    ["a line that is no signature", `${note}hello\n`],
    ["a dash that is no em dash", note.replace("—", "-")],
    ["a blank line after the signatures", `${note}\n`],
    ["a control character", note.replace("one", "o\tne")],
    ["a carriage return", note.replace("one\n", "one\r\n")],
    ["more than 100 signatures", note + `— other ${"A".repeat(92)}\n`.repeat(100)],
  ])("malformed: %s", (_, text) => {
    expect(() => verify(text)).toThrow(failing("log.malformed"));
  });

  test("no UTF-8, or too long", () => {
    const noise = Buffer.concat([Buffer.of(0xff), bytes(note)]);
    expect(() => verifyNote(noise, [VERIFIER])).toThrow(failing("log.malformed"));
    const long = signNote(`${"x".repeat(1_000_000)}\n`, SIGNER);
    expect(() => verify(long)).toThrow(failing("log.malformed"));
  });

  test("success needs a listed key (not: nothing was verified)", () => {
    expect(() => verifyNote(bytes(note), [])).toThrow(failing("log.signature"));
    const other = noteSigner(ORIGIN, generateKeyPairSync("ed25519").privateKey);
    expect(() => verifyNote(bytes(note), [other.verifier])).toThrow(failing("log.signature"));
  });

  test("an unknown signature is ignored, a failing one of a listed key is not", () => {
    const unknown = `— other ${Buffer.alloc(68, 1).toString("base64")}\n`;
    expect(verify(note + unknown).signers).toEqual([ORIGIN]);
    const forged = Buffer.concat([Buffer.from(VERIFIER.keyHash, "hex"), Buffer.alloc(64)]);
    const line = `— ${ORIGIN} ${forged.toString("base64")}\n`;
    expect(() => verify(note + line)).toThrow(failing("log.signature"));
  });

  test("names with spaces or plus signs, and other kinds of keys, are refused", () => {
    for (const name of ["", "a b", "a+b", "a\u00a0b"]) {
      expect(() => noteVerifier(name, new Uint8Array(32)), name).toThrow(failing("log.malformed"));
    }
    expect(() => noteVerifier("a", new Uint8Array(31))).toThrow(failing("log.malformed"));
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    expect(() => noteSigner("a", privateKey)).toThrow(failing("log.malformed"));
    expect(() => signNote("no newline", SIGNER)).toThrow(failing("log.malformed"));
  });
});

describe("checkpoints", () => {
  const checkpoint = { origin: ORIGIN, size: 7, root: EMPTY_ROOT };
  const root = Buffer.from(EMPTY_ROOT).toString("base64");

  test("are read back for their origin only", () => {
    const head = bytes(signCheckpoint(checkpoint, SIGNER));
    expect(verifyCheckpoint(head, ORIGIN, [VERIFIER])).toEqual(checkpoint);
    expect(() => verifyCheckpoint(head, "another/log", [VERIFIER])).toThrow(
      /not of "another\/log"/,
    );
  });

  test("extension lines are allowed", () => {
    expect(parseCheckpoint(`${ORIGIN}\n7\n${root}\nmore\n`)).toEqual(checkpoint);
  });

  test.each([
    ["no origin", `\n7\n${root}\n`],
    ["a leading zero", `o\n07\n${root}\n`],
    ["hexadecimal", `o\n0x7\n${root}\n`],
    ["a sign", `o\n+7\n${root}\n`],
    ["2^53", `o\n9007199254740992\n${root}\n`],
    ["no root", "o\n7\n"],
    ["a root of 33 bytes", `o\n7\n${Buffer.alloc(33).toString("base64")}\n`],
    ["unpadded base64", `o\n7\n${root.replace("=", "")}\n`],
    ["base64 with stray bits", `o\n7\n${root.replace(/.=$/, "V=")}\n`],
    ["an empty extension line", `o\n7\n${root}\n\n`],
    ["no final newline", `o\n7\n${root}`],
  ])("malformed: %s", (_, text) => {
    expect(() => parseCheckpoint(text)).toThrow(failing("log.malformed"));
  });

  test("an origin that would write another size is never signed", () => {
    const injected = { ...checkpoint, origin: `${ORIGIN}\n9` };
    expect(() => signCheckpoint(injected, SIGNER)).toThrow(failing("log.malformed"));
  });
});
