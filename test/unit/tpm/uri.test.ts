import { describe, expect, test } from "vitest";
import { openTpm } from "../../../src/tpm/open.ts";
import { TpmTransportError } from "../../../src/tpm/structures/errors.ts";
import { parseTpmUri } from "../../../src/tpm/uri.ts";

describe("a TPM's address", () => {
  test.each([
    ["device:/dev/tpmrm0", { kind: "device", path: "/dev/tpmrm0" }],
    ["swtpm:path=/a b/c,d", { kind: "swtpm", path: "/a b/c,d" }],
    ["swtpm:host=::1,port=2321", { kind: "swtpm-tcp", host: "::1", port: 2321 }],
    ["swtpm:port=1", { kind: "swtpm-tcp", host: "127.0.0.1", port: 1 }],
    ["tabrmd", { kind: "tcti", conf: "tabrmd" }],
    ["tcti:", { kind: "tcti", conf: "" }],
    ["tcti:swtpm:path=/x", { kind: "tcti", conf: "swtpm:path=/x" }],
  ])("%s", (uri, address) => {
    expect(parseTpmUri(uri)).toEqual(address);
  });

  test.each([
    "",
    "device:",
    "device:tpmrm0",
    "/dev/tpmrm0",
    "swtpm:",
    "swtpm:path=",
    "swtpm:host=a",
    "swtpm:port=0",
    "swtpm:port=65536",
    "swtpm:port=1x",
    `swtpm:path=/${"x".repeat(107)}`,
    "tabrmd:x",
    "http://x",
  ])("%s is refused", (uri) => {
    expect(() => parseTpmUri(uri)).toThrow(TpmTransportError);
  });

  test.each([
    ["device:/nowhere/tpm", /no such device/],
    ["swtpm:path=/nowhere/socket", /Cannot connect to swtpm at \/nowhere\/socket/],
    ["tcti:swtpm:path=/nowhere/socket", /cannot be opened: 0x/],
  ])("%s says what is wrong", async (uri, message) => {
    await expect(openTpm(uri)).rejects.toThrow(message);
  });
});
