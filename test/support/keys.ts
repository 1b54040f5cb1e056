import { createHash, createPrivateKey, type KeyObject } from "node:crypto";
import { ed25519 } from "@noble/curves/ed25519.js";
import { p256, p384 } from "@noble/curves/nist.js";
import type { Curve, Signer } from "../../src/wire/keys.ts";
import type { CoseKey } from "../../src/wire/objects.ts";

/** Bytes that follow from a name, so that fixtures are the same in every run. */
export function seeded(name: string, length = 32): Uint8Array {
  return new Uint8Array(createHash("shake256", { outputLength: length }).update(name).digest());
}

/**
 * A signer whose key and signatures (ECDSA by RFC 6979) follow from its name; never for anything
 * but tests.
 */
export interface TestSigner extends Signer {
  readonly secret: Uint8Array;
  sign(message: Uint8Array): Uint8Array;
}

const ecdsa = { "P-256": p256, "P-384": p384 } as const;

export function testSigner(name: string, curve: Curve = "Ed25519"): TestSigner {
  if (curve === "Ed25519") {
    const secret = seeded(name);
    const key: CoseKey = { kty: "OKP", crv: curve, x: ed25519.getPublicKey(secret) };
    return { key, secret, sign: (message) => ed25519.sign(message, secret) };
  }
  const { utils, getPublicKey, sign } = ecdsa[curve];
  const secret = utils.randomSecretKey(seeded(name, curve === "P-256" ? 48 : 72));
  const point = getPublicKey(secret, false).subarray(1);
  const half = point.length / 2;
  return {
    key: { kty: "EC2", crv: curve, x: point.slice(0, half), y: point.slice(half) },
    secret,
    sign: (message) => sign(message, secret, { lowS: false }),
  };
}

/** The node:crypto private key of a test signer. */
export function nodeKey(signer: TestSigner): KeyObject {
  const { key, secret } = signer;
  const url = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64url");
  const common = { crv: key.crv, x: url(key.x), d: url(secret) };
  const jwk =
    key.kty === "OKP" ? { kty: "OKP", ...common } : { kty: "EC", ...common, y: url(key.y) };
  return createPrivateKey({ key: jwk, format: "jwk" });
}
