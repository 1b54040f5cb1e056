import { expect, test } from "vitest";
import { requireSigned } from "../../../src/domain/quorum.ts";
import { assemble, parseCose, sign } from "../../../src/wire/cose.ts";
import { generateKey, signerOf } from "../../../src/wire/keys.ts";

const [a, b, c] = (["Ed25519", "P-256", "P-384"] as const).map((curve) =>
  signerOf(generateKey(curve)),
);
if (!a || !b || !c) throw new Error("three keys");
const keys = [a.key, b.key, c.key];
const PAYLOAD = Uint8Array.of(1, 2, 3);
const message = parseCose(await sign("x", PAYLOAD, [a, b]));
const two = { name: "two of three", threshold: 2, keys };
const refused = expect.objectContaining({ code: "domain.malformed" });

test("distinct keys whose signatures verify are counted", async () => {
  const others = parseCose(await sign("x", PAYLOAD, [a, c]));
  expect(() => requireSigned(others, two)).not.toThrow();
  expect(() => requireSigned(others, { ...two, threshold: 3 })).toThrow(refused);
  expect(() => requireSigned(others, { ...two, keys: [a.key, b.key] })).toThrow(refused);
});

test("a stranger's signature counts for nothing", async () => {
  const stranger = signerOf(generateKey("P-256"));
  const signed = parseCose(await sign("x", PAYLOAD, [a, stranger]));
  expect(() => requireSigned(signed, two)).toThrow(/Only 1 of the 2 signatures/);
});

test.each([0, 1])("signature %i with any of its bytes changed is none", (place) => {
  const { length } = message.signatures[place]?.signature ?? [];
  for (let at = 0; at < length; at++) {
    const signatures = message.signatures.map((one, i) => {
      if (i !== place) return one;
      return { ...one, signature: one.signature.with(at, (one.signature[at] ?? 0) ^ 1) };
    });
    const changed = parseCose(assemble({ ...message, signatures }));
    expect(() => requireSigned(changed, two)).toThrow(refused);
  }
});

test("signatures over another payload, or under another type, are none", async () => {
  const other = await sign("y", PAYLOAD, [a, b]);
  const { body } = parseCose(other);
  expect(() => requireSigned({ ...message, body }, two)).toThrow(refused);
  expect(() => requireSigned({ ...message, payload: Uint8Array.of(1) }, two)).toThrow(refused);
});
