/** TPMS_ATTEST, TPMT_SIGNATURE and the clock, field by field. */
import { describe, expect, test } from "vitest";
import {
  AK_TYPES,
  type AkType,
  concat,
  softwareAk,
  tpm2b,
  u8,
  u16,
  u32,
  u64,
} from "../../support/ak.ts";
import { CLOCK, PCRS } from "../../support/domain.ts";
import { TpmCore } from "../../support/tpm-core.ts";
import { attestFields, joined, QUALIFYING_DATA } from "../../support/tpm-structures.ts";

const types = Object.keys(AK_TYPES) as AkType[];
const request = { extraData: QUALIFYING_DATA, pcrs: PCRS, clock: CLOCK };
const core = await TpmCore.load("checked");
const { attest } = softwareAk().quote(request);
const fields = attestFields(attest);
const LEFT_OUT = new Uint8Array();

const MALFORMED = "environment.quote-malformed";
const MAGIC = "environment.quote-magic";
const TYPE = "environment.quote-type";
const SCHEME = "environment.quote-scheme";
const SIGNATURE = "environment.quote-signature";

describe("TPMS_ATTEST", () => {
  test("parses; no cut does, and nothing may trail", () => {
    expect(core.parseAttest(attest)).toBeNull();
    expect(core.parseAttest(LEFT_OUT)).toBe("environment.quote-missing");
    for (let length = 1; length < attest.length; length++) {
      core.reset();
      expect(core.parseAttest(attest.subarray(0, length))).toBe(MALFORMED);
    }
    expect(core.parseAttest(concat(attest, u8(0)))).toBe(MALFORMED);
    expect(core.parseAttest(new Uint8Array(1025).fill(0xff))).toBe(MALFORMED);
  });

  test("a cut after the magic or the type still tells what was wrong before it", () => {
    expect(core.parseAttest(u32(0xff544346))).toBe(MAGIC);
    expect(core.parseAttest(u32(0x00544347))).toBe(MAGIC);
    expect(core.parseAttest(concat(u32(0xff544347), u16(0x8014)))).toBe(TYPE);
  });

  test("every other attestation type is refused before its body is read", () => {
    for (let type = 0x8000; type < 0x8100; type++) {
      const changed = joined(fields, { type: u16(type) });
      expect(core.parseAttest(changed)).toBe(type === 0x8018 ? null : TYPE);
    }
  });

  const lengths = [0xffff, 0x7fff, 0x8000, 67, 1024];
  test.each(["qualifiedSigner", "extraData", "pcrDigest"])("%s within its bound", (name) => {
    for (const length of lengths) {
      // A length without the bytes, with them, and with them to the end of the statement.
      for (const content of [LEFT_OUT, new Uint8Array(Math.min(length, 900))]) {
        const changed = joined(fields, { [name]: concat(u16(length), content) });
        expect(core.parseAttest(changed)).toBe(MALFORMED);
      }
    }
    expect(core.parseAttest(joined(fields, { [name]: tpm2b(LEFT_OUT) }))).toBeNull();
    expect(core.parseAttest(joined(fields, { [name]: tpm2b(new Uint8Array(64)) }))).toBeNull();
  });

  test("safe is YES or NO", () => {
    for (let safe = 0; safe < 256; safe++) {
      expect(core.parseAttest(joined(fields, { safe: u8(safe) }))).toBe(
        safe < 2 ? null : MALFORMED,
      );
    }
  });

  test("counts and sizes of selections beyond what is there", () => {
    for (const count of [0, 2, 16, 17, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]) {
      expect(core.parseAttest(joined(fields, { count: u32(count) }))).toBe(MALFORMED);
    }
    for (let size = 0; size < 256; size++) {
      const { attest: changed } = { attest: joined(fields, { "sizeofSelect 0": u8(size) }) };
      expect(core.parseAttest(changed)).toBe(size === 3 ? null : MALFORMED);
    }
  });

  test("what fails leaves nothing of the statement before it", () => {
    expect(core.parseAttest(attest)).toBeNull();
    expect(core.judgeFirmware(CLOCK.firmwareVersion)).toBeNull();
    expect(core.parseAttest(attest.subarray(1))).toBe(MAGIC);
    expect(core.judgeFirmware(1n)).toBe("environment.firmware-rollback");
    expect(core.judgeClock(0n, 0n, 0n)).toBe("environment.clock-unsafe");
    expect(core.parseSelection()).toBe("environment.quote-selection");
  });
});

describe("TPMT_SIGNATURE", () => {
  test.each(types)("%s: verifies; no cut does, nothing may trail", (type) => {
    const ak = softwareAk(type);
    const { attest: statement, signature } = ak.quote(request);
    expect(core.parsePublic(ak.publicArea)).toBeNull();
    expect(core.verifyQuote(statement, signature)).toBeNull();
    for (let length = 0; length < signature.length; length++) {
      core.reset();
      expect(core.parsePublic(ak.publicArea)).toBeNull();
      expect(core.verifyQuote(statement, signature.subarray(0, length))).toBe(MALFORMED);
    }
    expect(core.verifyQuote(statement, concat(signature, u8(0)))).toBe(MALFORMED);
    expect(core.verifyQuote(statement, concat(signature, new Uint8Array(1024)))).toBe(MALFORMED);
    const longer = concat(statement, u8(0));
    for (const other of [LEFT_OUT, statement.subarray(1), longer]) {
      expect(core.verifyQuote(other, signature)).toBe(SIGNATURE);
    }
  });

  test("every scheme and hash but the key's own", () => {
    for (const type of types) {
      const ak = softwareAk(type);
      const { attest: statement, signature } = ak.quote(request);
      core.reset();
      expect(core.parsePublic(ak.publicArea)).toBeNull();
      for (const at of [0, 2]) {
        for (let id = 0; id < 0x30; id++) {
          const changed = concat(signature.subarray(0, at), u16(id), signature.subarray(at + 2));
          const own = id === signature[at + 1];
          expect(core.verifyQuote(statement, changed)).toBe(own ? null : SCHEME);
        }
      }
    }
  });

  test("a key and a signature of different kinds (go-attestation d2a19a5)", () => {
    for (const [key, other] of types.flatMap((a) => types.map((b) => [a, b] as const))) {
      if (key === other) continue;
      const { attest: statement, signature } = softwareAk(other).quote(request);
      core.reset();
      expect(core.parsePublic(softwareAk(key).publicArea)).toBeNull();
      expect(core.verifyQuote(statement, signature)).not.toBeNull();
    }
  });

  test("r and s left-padded or not, never wider than the curve", () => {
    const ak = softwareAk();
    let nonce = 0;
    let quoted = ak.quote(request);
    // A signature whose r begins with a zero byte: about one in 256.
    while (quoted.signature[6] !== 0) {
      quoted = ak.quote({ ...request, extraData: u32(nonce++) });
    }
    const r = quoted.signature.subarray(6, 38);
    const s = quoted.signature.subarray(40);
    const verify = (first: Uint8Array, second: Uint8Array) => {
      const signature = concat(u16(0x0018), u16(0x000b), tpm2b(first), tpm2b(second));
      return core.verifyQuote(quoted.attest, signature);
    };
    core.reset();
    expect(core.parsePublic(ak.publicArea)).toBeNull();
    expect(verify(r, s)).toBeNull();
    expect(verify(r.subarray(1), s)).toBeNull();
    expect(verify(concat(u8(0), r), s)).toBe(MALFORMED);
    expect(verify(concat(r, u8(0)), s)).toBe(MALFORMED);
    const zero = new Uint8Array(32);
    for (const [first, second] of [
      [LEFT_OUT, s],
      [r, LEFT_OUT],
      [zero, s],
      [r, zero],
      [s, r],
    ] as const) {
      expect(verify(first, second)).toBe(SIGNATURE);
    }
  });

  test("nothing verifies without a key", () => {
    const { attest: statement, signature } = softwareAk().quote(request);
    expect(core.parsePublic(LEFT_OUT)).toBe("environment.quote-key");
    expect(core.verifyQuote(statement, signature)).toBe(SCHEME);
  });

  test("of lengths up to 2^16-1 inside", () => {
    const ak = softwareAk("rsassa-2048");
    const { attest: statement } = ak.quote(request);
    expect(core.parsePublic(ak.publicArea)).toBeNull();
    for (const length of [0xffff, 0x8000, 513, 512, 257]) {
      const signature = concat(u16(0x0014), u16(0x000b), u16(length), new Uint8Array(256));
      expect(core.verifyQuote(statement, signature)).toBe(MALFORMED);
    }
    const empty = concat(u16(0x0014), u16(0x000b), u16(0));
    expect(core.verifyQuote(statement, empty)).toBe(SIGNATURE);
  });
});

describe("the clock", () => {
  const at = (resetCount: number, restartCount: number, clock: bigint, safe = true): void => {
    const changed = joined(fields, {
      resetCount: u32(resetCount),
      restartCount: u32(restartCount),
      clock: u64(clock),
      safe: u8(safe ? 1 : 0),
    });
    core.reset();
    expect(core.parseAttest(changed)).toBeNull();
  };
  const [RESET, ROLLBACK, CLEARED, UNSAFE] = ["reset", "rollback", "cleared", "unsafe"].map(
    (reason) => `environment.clock-${reason}`,
  );

  test("at each bound, and one beyond", () => {
    at(5, 2, 100n);
    const cases: readonly (readonly [bigint, bigint, bigint, string | null | undefined])[] = [
      [5n, 2n, 100n, null],
      [5n, 2n, 101n, ROLLBACK],
      [5n, 1n, 101n, ROLLBACK],
      [5n, 3n, 0n, RESET],
      [6n, 0n, 0n, RESET],
      [6n, 0n, 101n, RESET],
      [4n, 9n, 2n ** 64n - 1n, null],
      [0n, 0n, 0n, null],
      [2n ** 32n, 0n, 0n, RESET],
      [2n ** 53n - 1n, 0n, 0n, RESET],
      [2n ** 32n + 5n, 2n, 100n, RESET],
    ];
    for (const [resetCount, restartCount, clock, code] of cases) {
      expect(core.judgeClock(resetCount, restartCount, clock)).toBe(code);
    }
  });

  test("unsigned to the last bit", () => {
    at(0xffff_ffff, 0xffff_ffff, 2n ** 64n - 1n);
    expect(core.judgeClock(0xffff_ffffn, 0xffff_ffffn, 2n ** 64n - 1n)).toBeNull();
    at(0x7fff_ffff, 0, 2n ** 63n - 1n);
    expect(core.judgeClock(0x8000_0000n, 0n, 0n)).toBe(RESET);
    expect(core.judgeClock(0x7fff_ffffn, 0n, 2n ** 63n)).toBe(ROLLBACK);
    expect(core.judgeFirmware(2n ** 64n - 1n)).toBe("environment.firmware-rollback");
  });

  test("TPM2_Clear zeroes all three: nothing else is taken for it", () => {
    at(0, 0, 50n);
    expect(core.judgeClock(1n, 0n, 51n)).toBe(CLEARED);
    expect(core.judgeClock(0n, 1n, 51n)).toBe(CLEARED);
    expect(core.judgeClock(1n, 0n, 50n)).toBe(RESET);
    expect(core.judgeClock(0n, 0n, 51n)).toBe(ROLLBACK);
    at(0, 1, 50n);
    expect(core.judgeClock(1n, 0n, 51n)).toBe(RESET);
    at(1, 0, 50n);
    expect(core.judgeClock(2n, 0n, 51n)).toBe(RESET);
  });

  test("unsafe comes first", () => {
    at(0, 0, 50n, false);
    expect(core.judgeClock(0n, 0n, 0n)).toBe(UNSAFE);
    expect(core.judgeClock(1n, 0n, 51n)).toBe(UNSAFE);
  });

  test("firmware at its floor, and one below", () => {
    expect(core.parseAttest(attest)).toBeNull();
    expect(core.judgeFirmware(CLOCK.firmwareVersion)).toBeNull();
    expect(core.judgeFirmware(CLOCK.firmwareVersion + 1n)).toBe("environment.firmware-rollback");
  });
});
