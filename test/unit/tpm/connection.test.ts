import { describe, expect, test } from "vitest";
import { pcrRead } from "../../../src/tpm/integrity.ts";
import { getRandom, startup } from "../../../src/tpm/startup.ts";
import { TpmError, TpmFormatError, TpmTransportError } from "../../../src/tpm/structures/errors.ts";
import { Tpm } from "../../../src/tpm/tpm.ts";
import type { Transport } from "../../../src/tpm/transport.ts";

type Answer = Uint8Array | Error | "never";

/** A transport that gives the scripted answers, in order, and records what it was sent. */
class Script implements Transport {
  readonly managed = true;
  readonly sent: string[] = [];
  readonly #answers: Answer[];
  closed = 0;
  running = 0;
  overlapped = false;

  constructor(...answers: Answer[]) {
    this.#answers = answers;
  }

  async transmit(command: Uint8Array): Promise<Uint8Array> {
    this.overlapped ||= this.running > 0;
    this.running++;
    this.sent.push(Buffer.from(command).toString("hex"));
    const answer = this.#answers.shift();
    if (answer === "never") return new Promise(() => undefined);
    await new Promise((resolve) => setImmediate(resolve));
    this.running--;
    if (answer === undefined) throw new Error("the script is over");
    if (answer instanceof Error) throw answer;
    return answer;
  }

  async close(): Promise<void> {
    this.closed++;
  }
}

const bytes = (text: string): Uint8Array =>
  new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"));
const rc = (code: number): Uint8Array =>
  bytes(`8001 0000000a ${code.toString(16).padStart(8, "0")}`);
const RANDOM = bytes("8001 00000010 00000000 0004 01020304");
const fast = { retryDelayMs: 0 };

describe("resubmission", () => {
  test.each([0x922, 0x908, 0x90a])("after 0x%s the same bytes are sent again", async (code) => {
    const script = new Script(rc(code), rc(code), RANDOM);
    expect(await getRandom(new Tpm(script, fast), 4)).toEqual(bytes("01020304"));
    expect(script.sent).toHaveLength(3);
    expect(new Set(script.sent).size).toBe(1);
  });

  test("ends after a bound, with the TPM's own reason", async () => {
    const script = new Script(...Array.from({ length: 30 }, () => rc(0x922)));
    await expect(getRandom(new Tpm(script, fast), 4)).rejects.toThrow(/TPM_RC_RETRY.*20 times/);
    expect(script.sent).toHaveLength(20);
  });

  test.each([0x921, 0x902, 0x101, 0x1c4])("0x%s is final", async (code) => {
    const script = new Script(rc(code), RANDOM);
    await expect(getRandom(new Tpm(script, fast), 4)).rejects.toThrow(TpmError);
    expect(script.sent).toHaveLength(1);
  });
});

describe("malformed responses", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["empty", ""],
    ["shorter than a header", "8001 00000009 000000"],
    ["a size below its bytes", "8001 0000000f 00000000 0004 01020304"],
    ["a size beyond its bytes", "8001 00000011 00000000 0004 01020304"],
    ["another tag", "8002 00000010 00000000 0004 01020304"],
    ["a TPM 1.2 tag", "00c4 00000010 00000000 0004 01020304"],
    ["a parameter that overruns", "8001 00000010 00000000 0005 01020304"],
    ["trailing bytes", "8001 00000011 00000000 0004 01020304 05"],
    ["more than was asked for", "8001 00000011 00000000 0005 0102030405"],
    ["no randomness at all", "8001 0000000c 00000000 0000"],
    ["parameters behind an error", "8001 0000000c 00000101 0000"],
  ];
  test.each(cases)("%s is refused", async (_, text) => {
    await expect(getRandom(new Tpm(new Script(bytes(text)), fast), 4)).rejects.toThrow(
      TpmFormatError,
    );
  });

  test("a response cut at any length is refused", async () => {
    for (let length = 0; length < RANDOM.length; length++) {
      const tpm = new Tpm(new Script(RANDOM.slice(0, length)), fast);
      await expect(getRandom(tpm, 4), `${length} bytes`).rejects.toThrow(TpmFormatError);
    }
  });

  test("PCR_Read with fewer values than PCRs is refused", async () => {
    const selection = "00000001 000b 03 010000";
    const none = bytes(`8001 0000001c 00000000 00000001 ${selection} 00000000`);
    const tpm = new Tpm(new Script(none), fast);
    await expect(pcrRead(tpm, [{ hash: 0xb, pcrs: [0] }])).rejects.toThrow(/0 values for 1 PCRs/);
  });

  test("PCR_Read with a value of another bank's width is refused", async () => {
    const value = `0014 ${"00".repeat(20)}`;
    const short = bytes(
      `8001 00000032 00000000 00000001 00000001 000b 03 010000 00000001 ${value}`,
    );
    const tpm = new Tpm(new Script(short), fast);
    await expect(pcrRead(tpm, [{ hash: 0xb, pcrs: [0] }])).rejects.toThrow(/PCR 0 has 20 bytes/);
  });
});

describe("a transport that fails", () => {
  test("ends the connection: no later answer can be taken for an earlier one's", async () => {
    const script = new Script(new Error("unplugged"), RANDOM);
    const tpm = new Tpm(script, fast);
    await expect(getRandom(tpm, 4)).rejects.toThrow(TpmTransportError);
    await expect(getRandom(tpm, 4)).rejects.toThrow(TpmTransportError);
    expect(script.sent).toHaveLength(1);
    expect(script.closed).toBe(1);
  });

  test("that never answers is given up", async () => {
    const script = new Script("never", RANDOM);
    const tpm = new Tpm(script, { timeoutMs: 20 });
    await expect(getRandom(tpm, 4)).rejects.toThrow(/did not answer TPM2_GetRandom within 20 ms/);
    await expect(getRandom(tpm, 4)).rejects.toThrow(TpmTransportError);
    expect(script.closed).toBe(1);
  });

  test("nothing is flushed on a connection that is gone", async () => {
    const script = new Script();
    const tpm = new Tpm(script, fast);
    await tpm.close();
    await tpm.flush(0x80000000);
    expect(script.sent).toEqual([]);
  });
});

describe("order", () => {
  test("commands asked for together go one at a time; a failure stops no other", async () => {
    const script = new Script(RANDOM, rc(0x101), RANDOM);
    const tpm = new Tpm(script, fast);
    const all = await Promise.allSettled([getRandom(tpm, 4), getRandom(tpm, 4), getRandom(tpm, 4)]);
    expect(all.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(script.overlapped).toBe(false);
  });

  test("a TPM that is already started is no error", async () => {
    await startup(new Tpm(new Script(rc(0x100)), fast));
    await expect(startup(new Tpm(new Script(rc(0x101)), fast))).rejects.toThrow(/TPM_RC_FAILURE/);
  });
});
