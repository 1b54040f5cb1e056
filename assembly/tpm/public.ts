/**
 * TPMT_PUBLIC (Part 2 §12.2.4) of a signing key, its Name and its qualified name (Part 1 §16,
 * §26.4).
 */
import { Span, lenOf, ptrOf, span } from "../abi";
import { TPM_READER_BYTES, TpmReader } from "../codec/reader";
import { Curve } from "../curve/curve";
import { hashKept } from "../cose/kept";
import { Code, limits } from "../generated";
import { digestBytes } from "../hash/hash";
import { isOnCurve } from "../sig/ecdsa";
import { rsaKeyOk } from "../sig/rsa";
import { alg, curve, hashOf } from "./algorithm";

/** TPMA_OBJECT, Part 2 §8.3. */
namespace attribute {
  export const FIXED_TPM: u32 = 1 << 1;
  export const FIXED_PARENT: u32 = 1 << 4;
  export const SENSITIVE_DATA_ORIGIN: u32 = 1 << 5;
  export const ENCRYPTED_DUPLICATION: u32 = 1 << 11;
  export const RESTRICTED: u32 = 1 << 16;
  export const DECRYPT: u32 = 1 << 17;
  export const SIGN: u32 = 1 << 18;
  export const X509_SIGN: u32 = 1 << 19;
  /**
   * 0, 3, 12 to 15, 20 to 31, and 8 and 9, which later revisions give to hierarchies of their own.
   */
  export const RESERVED: u32 = 0xfff0f309;
}
const MUST_BE_SET: u32 =
  attribute.FIXED_TPM |
  attribute.FIXED_PARENT |
  attribute.SENSITIVE_DATA_ORIGIN |
  attribute.RESTRICTED |
  attribute.SIGN;
const MUST_BE_CLEAR: u32 =
  attribute.ENCRYPTED_DUPLICATION | attribute.DECRYPT | attribute.X509_SIGN | attribute.RESERVED;

const TPM_RH_ENDORSEMENT: u32 = 0x4000000b;
/** What an exponent of 0 stands for: Part 2 §12.2.3.5. */
const DEFAULT_EXPONENT: u32 = 65537;

/**
 * The key that `parsePublic` read last; `type` and `schemeHash` are 0 where that failed, and
 * nothing verifies. Spans point into its public area.
 */
export let type: u32 = 0;
export let nameAlg: u32 = 0;
export let scheme: u32 = 0;
export let schemeHash: u32 = 0;
/** A TPM_ECC_CURVE; 0 for RSA. */
export let curveId: u32 = 0;
/** RSA modulus, as the TPM gave it. */
export let modulus: Span = 0;
/** ECC point: x then y, each as wide as the curve. */
export const POINT: usize = memory.data(96, 8);
/** RSA exponent, four bytes big-endian. */
export const EXPONENT: usize = memory.data(4, 4);
export const EXPONENT_BYTES: u32 = 4;
let attributes: u32 = 0;
/** The public area as it stands. */
export let publicArea: Span = 0;

const READER = changetype<TpmReader>(memory.data(TPM_READER_BYTES, 8));

/** Parses a public area exactly. */
export function parsePublic(bytes: Span): Code {
  publicArea = bytes;
  const r = READER.open(bytes);
  r.require(lenOf(bytes) <= limits.publicAreaBytes);
  type = r.u16();
  nameAlg = r.u16();
  attributes = r.u32();
  const nameBytes = digestBytes(hashOf(nameAlg));
  const policyBytes = lenOf(r.sized(nameBytes));
  r.require(nameBytes != 0 && (policyBytes == 0 || policyBytes == nameBytes));
  r.require(type == alg.RSA || type == alg.ECC);
  // A signing key has no symmetric algorithm: TPMT_SYM_DEF_OBJECT is TPM_ALG_NULL alone (Part 2
  // §12.2.3.4).
  r.require(r.u16() == alg.NULL);
  readScheme(r);
  if (type == alg.RSA) readRsa(r);
  else readEcc(r);
  if (r.done) return Code.NONE;
  type = 0;
  schemeHash = 0;
  return Code.ENVIRONMENT_QUOTE_KEY;
}

/** TPMT_RSA_SCHEME or TPMT_ECC_SCHEME: a hash follows unless it is null. */
function readScheme(r: TpmReader): void {
  scheme = r.u16();
  schemeHash = scheme == alg.NULL ? <u32>alg.NULL : r.u16();
}

function readRsa(r: TpmReader): void {
  curveId = 0;
  const bits = r.u16();
  const exponent = r.u32();
  store<u32>(EXPONENT, bswap<u32>(exponent == 0 ? DEFAULT_EXPONENT : exponent));
  modulus = r.sized(512);
  r.require(scheme == alg.RSASSA || scheme == alg.RSAPSS || scheme == alg.NULL);
  r.require(bits == 2048 || bits == 3072 || bits == 4096);
  r.require(lenOf(modulus) == bits >> 3);
  if (!r.faulty) r.require(load<u8>(ptrOf(modulus)) >= 0x80);
}

function readEcc(r: TpmReader): void {
  modulus = 0;
  curveId = r.u16();
  r.require(r.u16() == alg.NULL); // kdf
  r.require(curveId == curve.NIST_P256 || curveId == curve.NIST_P384);
  r.require(scheme == alg.ECDSA || scheme == alg.NULL);
  const width: u32 = curveId == curve.NIST_P384 ? 48 : 32;
  padTo(POINT, width, r.sized(width));
  padTo(POINT + width, width, r.sized(width));
}

/** Copies a big-endian number into a field of `width` bytes: TPMs may leave out leading zeros. */
export function padTo(dst: usize, width: u32, value: Span): void {
  const gap = width - lenOf(value);
  memory.fill(dst, 0, gap);
  memory.copy(dst + gap, ptrOf(value), lenOf(value));
}

/**
 * Whether what the parsed key signs are statements of its TPM:
 * 1. restricted, sign, fixedTPM, fixedParent and sensitiveDataOrigin are set: it was born in its
 *   TPM, cannot leave it, and signs nothing of its caller's that looks like the TPM's word;
 * 2. decrypt, encryptedDuplication, x509sign and the reserved bits are clear;
 * 3. scheme and hash are its own, so that there is nothing for a caller to choose;
 * 4. the point lies on its curve; modulus and exponent are of a form that can be verified.
 */
export function checkAttestationKey(): Code {
  const set = (attributes & MUST_BE_SET) == MUST_BE_SET;
  const clear = (attributes & MUST_BE_CLEAR) == 0;
  const schemed = scheme != alg.NULL && hashOf(schemeHash) != 0;
  const holds = type != 0 && set && clear && schemed && isUsable();
  return holds ? Code.NONE : Code.ENVIRONMENT_QUOTE_KEY;
}

function isUsable(): bool {
  if (type == alg.ECC) {
    return isOnCurve(curveId == curve.NIST_P384 ? Curve.P384 : Curve.P256, POINT);
  }
  return rsaKeyOk(ptrOf(modulus), lenOf(modulus), EXPONENT, EXPONENT_BYTES);
}

/** Writes nameAlg || H(public area), and gives its length; 0 where no key is parsed. */
export function publicName(dst: usize): u32 {
  if (type == 0) return 0;
  const id = hashOf(nameAlg);
  store<u16>(dst, bswap<u16>(<u16>nameAlg));
  hashKept(id, publicArea, dst + 2);
  return 2 + digestBytes(id);
}

const NAMES = memory.data(2 * 66, 8);
const HANDLE = memory.data(4, 4);
const PARENT = memory.data(66, 8);

/** nameAlg || H(parent || Name), the hash being the child's own (Part 1 §26.4). */
function qualify(parent: Span, name: Span, dst: usize): u32 {
  if (lenOf(name) < 2) return 0;
  const algorithm = <u32>bswap<u16>(load<u16>(ptrOf(name)));
  const id = hashOf(algorithm);
  if (id == 0 || lenOf(name) != 2 + digestBytes(id)) return 0;
  store<u16>(dst, load<u16>(ptrOf(name)));
  memory.copy(NAMES, ptrOf(parent), lenOf(parent));
  memory.copy(NAMES + lenOf(parent), ptrOf(name), lenOf(name));
  hashKept(id, span(NAMES, lenOf(parent) + lenOf(name)), dst + 2);
  return 2 + digestBytes(id);
}

/**
 * The qualified name of a key in the endorsement hierarchy: child of the EK of this Name, or, where
 * `ekName` is 0, a primary key. Gives its length; 0 where a Name is malformed.
 */
export function endorsementQualifiedName(ekName: Span, name: Span, dst: usize): u32 {
  store<u32>(HANDLE, bswap<u32>(TPM_RH_ENDORSEMENT));
  const handle = span(HANDLE, 4);
  if (ekName == 0) return qualify(handle, name, dst);
  const length = qualify(handle, ekName, PARENT);
  return length == 0 ? 0 : qualify(span(PARENT, length), name, dst);
}
