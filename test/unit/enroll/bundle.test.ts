/** Bundles of vendors' roots: nothing is trusted because it lies in the folder. */
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { parseVendorBundle } from "../../../src/enroll/bundle.ts";
import { ca } from "../../support/certificates.ts";

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

async function made() {
  const [root, other] = [(await ca("root")).certificate, (await ca("other")).certificate];
  const pem = `-----BEGIN CERTIFICATE-----\n${Buffer.from(other.bytes).toString("base64")}\n-----END CERTIFICATE-----`;
  const files = [["root.der", root.bytes] as const, ["other.pem", pem] as const];
  return { root, other, files };
}

describe("a bundle", () => {
  test("has the listed certificates as roots, and the others in between", async () => {
    const { root, other, files } = await made();
    const list = `# ours\n\nreviewed 2026-11-26\n${sha256(root.bytes).toUpperCase()}  Root, of ours\n`;
    const bundle = parseVendorBundle(list, files);
    expect(bundle.reviewed).toBe("2026-11-26");
    expect(bundle.roots.map(({ subject }) => subject)).toEqual([root.subject]);
    expect(bundle.intermediates.map(({ subject }) => subject)).toEqual([other.subject]);
  });

  test.each([
    ["without a date", (digest: string) => digest, /one line "reviewed/],
    ["with two", (digest: string) => `reviewed 2026-11-26\nreviewed 2026-11-27\n${digest}`, /one/],
    ["that lists nothing", () => "reviewed 2026-11-26\n# nothing yet", /names no root/],
    [
      "with half a digest",
      (digest: string) => `reviewed 2026-11-26\n${digest.slice(1)}`,
      /no SHA-256/,
    ],
    [
      "with a certificate that is not there",
      (digest: string) => `reviewed 2026-11-26\n${digest}\n${"0".repeat(64)}`,
      /no file holds the certificate 000/,
    ],
  ])("%s is refused", async (_, list, why) => {
    const { root, files } = await made();
    expect(() => parseVendorBundle(list(sha256(root.bytes)), files)).toThrow(why);
  });

  test("with a file that is no certificate is refused, by its name", async () => {
    const { root, files } = await made();
    const list = `reviewed 2026-11-26\n${sha256(root.bytes)}`;
    const more = [...files, ["notes.pem", "nothing"] as const];
    expect(() => parseVendorBundle(list, more)).toThrow(/notes\.pem is no X\.509 certificate/);
  });
});
