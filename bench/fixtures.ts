/** Keys and signatures to measure with, each in the form that every contender wants. */
import { constants, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import type { PublicKey, Scheme } from "../src/core/index.ts";

export interface Signed {
  readonly scheme: Scheme;
  readonly key: PublicKey;
  readonly message: Uint8Array<ArrayBuffer>;
  /** r||s for ECDSA. */
  readonly signature: Uint8Array<ArrayBuffer>;
  /** For node:crypto: DER for ECDSA, as asking it for r||s is slower there. */
  readonly native: {
    readonly hash: string | null;
    readonly key: KeyObject;
    readonly signature: Uint8Array;
    /** For RSA. */
    readonly padding?: number;
  };
}

/** Bytes of a message: about a TPMS_ATTEST. */
const MESSAGE_BYTES = 145;

const bytes = (text = ""): Uint8Array => new Uint8Array(Buffer.from(text, "base64url"));
const message = (): Uint8Array<ArrayBuffer> => new Uint8Array(randomBytes(MESSAGE_BYTES));

export function signEcdsa(curve: "P-256" | "P-384", keys: number, each = 1): Signed[] {
  const hash = curve === "P-256" ? "sha256" : "sha384";
  return Array.from({ length: keys }, () => {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: curve });
    const { x, y } = publicKey.export({ format: "jwk" });
    return Array.from({ length: each }, (): Signed => {
      const text = message();
      // One signature in both forms.
      const raw = sign(hash, text, { key: privateKey, dsaEncoding: "ieee-p1363" });
      return {
        scheme: { type: "ecdsa", curve, hash },
        key: { x: bytes(x), y: bytes(y) },
        message: text,
        signature: new Uint8Array(raw),
        native: { hash, key: publicKey, signature: toDer(raw) },
      };
    });
  }).flat();
}

export function signEd25519(keys: number): Signed[] {
  return Array.from({ length: keys }, () => {
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    const text = message();
    const signature = new Uint8Array(sign(null, text, privateKey));
    const { x } = publicKey.export({ format: "jwk" });
    return {
      scheme: { type: "ed25519" },
      key: { x: bytes(x) },
      message: text,
      signature,
      native: { hash: null, key: publicKey, signature },
    };
  });
}

/** RSASSA-PKCS1-v1_5, or RSASSA-PSS with a salt of 32 bytes; RFC 8017 §8. */
export function signRsa(
  modulusLength: number,
  keys: number,
  type: "rsassa" | "rsapss" = "rsassa",
): Signed[] {
  const { RSA_PKCS1_PADDING, RSA_PKCS1_PSS_PADDING } = constants;
  const padding = type === "rsassa" ? RSA_PKCS1_PADDING : RSA_PKCS1_PSS_PADDING;
  return Array.from({ length: keys }, () => {
    const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength });
    const text = message();
    const options = { key: privateKey, padding, saltLength: 32 };
    const signature = new Uint8Array(sign("sha256", text, options));
    const { n, e } = publicKey.export({ format: "jwk" });
    return {
      scheme: { type, hash: "sha256" },
      key: { n: bytes(n), e: bytes(e) },
      message: text,
      signature,
      native: { hash: "sha256", key: publicKey, signature, padding },
    };
  });
}

/** r||s as DER, RFC 3279 §2.2.3. */
export function toDer(raw: Uint8Array): Uint8Array {
  const parts = [raw.subarray(0, raw.length / 2), raw.subarray(raw.length / 2)].map((part) => {
    const start = part.findIndex((byte) => byte !== 0);
    const digits = [...part.subarray(start)];
    if ((digits[0] ?? 0) >= 0x80) digits.unshift(0);
    return [2, digits.length, ...digits];
  });
  const body = parts.flat();
  return Uint8Array.from([0x30, body.length, ...body]);
}
