/** TPMT_SIGNATURE (Part 2 §11.3.4) over an attestation, by the key that `parsePublic` read. */
import { Span, lenOf, ptrOf, span } from "../abi";
import { TPM_READER_BYTES, TpmReader } from "../codec/reader";
import { Kind, ask, hasVerified, keepVerified } from "../cose/kept";
import { Code, limits } from "../generated";
import { digestBytes, hash } from "../hash/hash";
import { Curve } from "../curve/curve";
import { verifyEcdsa } from "../sig/ecdsa";
import { noteVerified } from "../sig/known-keys";
import { KeyKind } from "../sig/prepared-keys";
import { ANY_SALT, rsaRecord, verifyRsapss, verifyRsassa } from "../sig/rsa";
import { alg, curve, hashOf } from "./algorithm";
import { EXPONENT, EXPONENT_BYTES, POINT, curveId, modulus, padTo, publicArea, scheme, schemeHash, type } from "./public";

const READER = changetype<TpmReader>(memory.data(TPM_READER_BYTES, 8));
const DIGEST = memory.data(64, 8);
const RS = memory.data(96, 8);

/**
 * Parses the signature exactly and verifies it over these bytes, whatever they are: a caller may
 * also ask about an attestation that does not parse. Scheme and hash are the key's own: the
 * signature does not choose them (CVE-2023-48223 and its kin), and a key and a signature of
 * different kinds never meet (go-attestation d2a19a5).
 */
export function verifyQuote(attest: Span, signature: Span): Code {
  ask(Kind.QUOTE, publicArea, attest, signature);
  if (hasVerified(0)) return Code.NONE;
  const code = verifyAnew(attest, signature);
  if (code == Code.NONE) keepVerified(0);
  return code;
}

/** Opens READER behind the two algorithms, which must be the key's own. */
function openSignature(signature: Span): Code {
  if (lenOf(signature) > limits.tpmSignatureBytes) return Code.ENVIRONMENT_QUOTE_MALFORMED;
  const r = READER.open(signature);
  const algorithm = r.u16();
  const hashAlgorithm = r.u16();
  if (r.faulty) return Code.ENVIRONMENT_QUOTE_MALFORMED;
  const own = algorithm == scheme && hashAlgorithm == schemeHash && hashOf(schemeHash) != 0;
  return own ? Code.NONE : Code.ENVIRONMENT_QUOTE_SCHEME;
}

/**
 * For plan.ts: r||s of an ECDSA signature by the key that `parsePublic` read; 0 where there is none
 * to be computed.
 */
export function unverifiedEcdsa(attest: Span, signature: Span): Span {
  if (type != alg.ECC || openSignature(signature) != Code.NONE || !readRs(READER)) return 0;
  ask(Kind.QUOTE, publicArea, attest, signature);
  return hasVerified(0) ? 0 : span(RS, curveId == curve.NIST_P384 ? 96 : 64);
}

/** The kind of the key that `parsePublic` read, for sig/prepared-keys. */
export function ecdsaKind(): u32 {
  return curveId == curve.NIST_P384 ? KeyKind.P384 : KeyKind.P256;
}

function verifyAnew(attest: Span, signature: Span): Code {
  const code = openSignature(signature);
  if (code != Code.NONE) return code;
  const r = READER;
  const id = hashOf(schemeHash);
  hash(id, ptrOf(attest), lenOf(attest), DIGEST);
  return type == alg.ECC ? verifyEcc(r, digestBytes(id)) : verifyRsa(r, id);
}

/** Reads r and s side by side into RS, each as wide as the curve; false where they are malformed. */
function readRs(r: TpmReader): bool {
  const width: u32 = curveId == curve.NIST_P384 ? 48 : 32;
  const first = r.sized(width);
  const second = r.sized(width);
  if (!r.done) return false;
  padTo(RS, width, first);
  padTo(RS + width, width, second);
  return true;
}

function verifyEcc(r: TpmReader, digestLength: u32): Code {
  if (!readRs(r)) return Code.ENVIRONMENT_QUOTE_MALFORMED;
  const wide = curveId == curve.NIST_P384;
  const id = wide ? Curve.P384 : Curve.P256;
  if (!verifyEcdsa(id, POINT, DIGEST, digestLength, RS, wide ? 96 : 64)) {
    return Code.ENVIRONMENT_QUOTE_SIGNATURE;
  }
  noteVerified(ecdsaKind(), POINT);
  return Code.NONE;
}

function verifyRsa(r: TpmReader, id: u32): Code {
  const s = r.sized(512);
  if (!r.done) return Code.ENVIRONMENT_QUOTE_MALFORMED;
  return isRsaSignature(id, s) ? Code.NONE : Code.ENVIRONMENT_QUOTE_SIGNATURE;
}

function isRsaSignature(id: u32, s: Span): bool {
  const record = rsaRecord(ptrOf(modulus), lenOf(modulus), EXPONENT, EXPONENT_BYTES);
  if (record == 0) return false;
  if (scheme == alg.RSASSA) {
    return verifyRsassa(record, id, DIGEST, ptrOf(s), lenOf(s));
  }
  // Part 1 §B.7: a TPM's salt is as long as the hash, or as long as fits, by its version and mode.
  return verifyRsapss(record, id, DIGEST, ptrOf(s), lenOf(s), ANY_SALT);
}
