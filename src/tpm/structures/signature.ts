/**
 * TPMT_SIGNATURE (Part 2 §11.3.4) and its verification with node:crypto, for set-up; decisions
 * verify in the core.
 */
import { constants, verify } from "node:crypto";
import { concat, leftPad, parseAll } from "./bytes.ts";
import { hashById, TPM_ALG } from "./constants.ts";
import { TpmFormatError } from "./errors.ts";
import { curveOf, type TPMT_PUBLIC, toKeyObject } from "./public.ts";

export type TPMT_SIGNATURE =
  | { readonly scheme: "rsassa" | "rsapss"; readonly hash: number; readonly sig: Uint8Array }
  | {
      readonly scheme: "ecdsa";
      readonly hash: number;
      readonly r: Uint8Array;
      readonly s: Uint8Array;
    };

/** Parses a TPMT_SIGNATURE, RSASSA, RSAPSS or ECDSA. @throws TpmFormatError */
export function parseSignature(bytes: Uint8Array): TPMT_SIGNATURE {
  return parseAll(bytes, "TPMT_SIGNATURE", (reader) => {
    const [algorithm, hash] = [reader.u16(), reader.u16()];
    if (algorithm === TPM_ALG.RSASSA) return { scheme: "rsassa", hash, sig: reader.sized(512) };
    if (algorithm === TPM_ALG.RSAPSS) return { scheme: "rsapss", hash, sig: reader.sized(512) };
    if (algorithm === TPM_ALG.ECDSA) {
      return { scheme: "ecdsa", hash, r: reader.sized(66), s: reader.sized(66) };
    }
    throw reader.fail(`signature scheme 0x${algorithm.toString(16)} is not supported`);
  });
}

const SCHEMES = { rsassa: TPM_ALG.RSASSA, rsapss: TPM_ALG.RSAPSS, ecdsa: TPM_ALG.ECDSA } as const;

/**
 * Whether `signature` is that of `key` over `message`. Scheme and hash must be the key's own: the
 * signature does not choose them (algorithm confusion).
 * @throws TpmFormatError where the signature does not parse or the key is unusable.
 */
export function verifyTpmSignature(
  key: TPMT_PUBLIC,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const parsed = parseSignature(signature);
  if (key.scheme?.scheme !== SCHEMES[parsed.scheme] || key.scheme.hash !== parsed.hash)
    return false;
  const hash = hashById(parsed.hash);
  if (!hash)
    throw new TpmFormatError(`Signature hash 0x${parsed.hash.toString(16)} is not supported.`);
  const keyObject = toKeyObject(key);
  if (parsed.scheme === "ecdsa") {
    if (key.type !== TPM_ALG.ECC) return false;
    const width = curveOf(key.curveID).bytes;
    if (parsed.r.length > width || parsed.s.length > width) return false;
    const raw = concat(leftPad(parsed.r, width), leftPad(parsed.s, width));
    return verify(hash.name, message, { key: keyObject, dsaEncoding: "ieee-p1363" }, raw);
  }
  if (key.type !== TPM_ALG.RSA) return false;
  const padding =
    parsed.scheme === "rsassa" ? constants.RSA_PKCS1_PADDING : constants.RSA_PKCS1_PSS_PADDING;
  const saltLength = constants.RSA_PSS_SALTLEN_AUTO;
  return verify(hash.name, message, { key: keyObject, padding, saltLength }, parsed.sig);
}
