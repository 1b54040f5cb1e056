import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeRc, TpmError } from "../../../src/tpm/structures/errors.ts";

describe("TPM_RC", () => {
  // Part 2 §6.6.2: format-one codes carry their position, format-zero codes do not.
  test.each([
    [0x084, "TPM_RC_VALUE", null],
    [0x1c4, "TPM_RC_VALUE", { kind: "parameter", number: 1 }],
    [0x2d5, "TPM_RC_SIZE", { kind: "parameter", number: 2 }],
    [0xfd5, "TPM_RC_SIZE", { kind: "parameter", number: 15 }],
    [0x18b, "TPM_RC_HANDLE", { kind: "handle", number: 1 }],
    [0x28b, "TPM_RC_HANDLE", { kind: "handle", number: 2 }],
    [0x98e, "TPM_RC_AUTH_FAIL", { kind: "session", number: 1 }],
    [0x9a2, "TPM_RC_BAD_AUTH", { kind: "session", number: 1 }],
    [0x99d, "TPM_RC_POLICY_FAIL", { kind: "session", number: 1 }],
    [0x1df, "TPM_RC_INTEGRITY", { kind: "parameter", number: 1 }],
    [0x100, "TPM_RC_INITIALIZE", null],
    [0x101, "TPM_RC_FAILURE", null],
    [0x14a, "TPM_RC_NV_UNINITIALIZED", null],
    [0x01e, "TPM_RC_BAD_TAG", null],
    [0x902, "TPM_RC_OBJECT_MEMORY", null],
    [0x908, "TPM_RC_YIELDED", null],
    [0x90a, "TPM_RC_TESTING", null],
    [0x921, "TPM_RC_LOCKOUT", null],
    [0x922, "TPM_RC_RETRY", null],
    [0x500, "TPM_RC_VENDOR", null],
    [0xa000a, "TSS2_RC", null],
  ])("0x%s is %s", (rc, name, position) => {
    expect(decodeRc(rc)).toMatchObject({ name, position });
  });

  test("only format-zero codes with the severity bit are warnings", () => {
    expect(decodeRc(0x922).warning).toBe(true);
    expect(decodeRc(0x122).warning).toBe(false);
    expect(decodeRc(0x98e).warning).toBe(false);
  });

  test("any number decodes to one clear sentence", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 0xffffffff }), (rc) => {
        const { message } = new TpmError("TPM2_Quote", rc);
        expect(message).toMatch(/^TPM2_Quote failed with [A-Z0-9_]+ 0x[0-9a-f]+( \(.+\))?: .+\.$/);
      }),
    );
  });
});
