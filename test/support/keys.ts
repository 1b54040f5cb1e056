import {
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign as signWith,
} from "node:crypto";
import type { Curve, Signer } from "../../src/wire/keys.ts";
import type { CoseKey } from "../../src/wire/objects.ts";
import { ecdsaPoint, ecdsaSecret, ecdsaSign } from "./ecdsa.ts";

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

export function testSigner(name: string, curve: Curve = "Ed25519"): TestSigner {
  if (curve === "Ed25519") {
    const secret = seeded(name);
    const own = ed25519Key(secret);
    const { x = "" } = createPublicKey(own).export({ format: "jwk" });
    const key: CoseKey = { kty: "OKP", crv: curve, x: bytesOf(Buffer.from(x, "base64url")) };
    return { key, secret, sign: (message) => bytesOf(signWith(null, message, own)) };
  }
  const secret = ecdsaSecret(curve, seeded(name, curve === "P-256" ? 48 : 72));
  return {
    key: { kty: "EC2", crv: curve, ...ecdsaPoint(curve, secret) },
    secret,
    sign: remembered((message) => ecdsaSign(curve, secret, message)),
  };
}

/** The same object is signed in case after case, and a P-384 signature takes a millisecond. */
function remembered(sign: TestSigner["sign"]): TestSigner["sign"] {
  const known = new Map<string, Uint8Array>();
  return (message) => {
    const digest = createHash("sha256").update(message).digest("base64");
    const signature = known.get(digest) ?? sign(message);
    known.set(digest, signature);
    return signature.slice();
  };
}

const bytesOf = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes);

/** PKCS#8 around the 32 bytes (RFC 8410 §7). */
const ED25519_PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");
const ed25519Key = (secret: Uint8Array): KeyObject =>
  createPrivateKey({
    key: Buffer.concat([ED25519_PKCS8, secret]),
    format: "der",
    type: "pkcs8",
  });

/** The node:crypto private key of a test signer. */
export function nodeKey(signer: TestSigner): KeyObject {
  const { key, secret } = signer;
  if (key.kty === "OKP") return ed25519Key(secret);
  const url = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64url");
  const jwk = { kty: "EC", crv: key.crv, x: url(key.x), y: url(key.y), d: url(secret) };
  return createPrivateKey({ key: jwk, format: "jwk" });
}
