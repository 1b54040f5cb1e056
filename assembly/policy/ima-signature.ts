/**
 * File signatures as evmctl makes them: struct signature_v2_hdr of the kernel's security/integrity,
 * behind the type byte of the extended attribute. Keys are the policy's; the key id in a signature
 * only says which of them to try.
 */
import { Span, lenOf, ptrOf, span } from "../abi";
import { Fault, READER_BYTES, Reader } from "../codec/cbor";
import { TPM_READER_BYTES, TpmReader } from "../codec/reader";
import { Curve, curveBytes } from "../curve/curve";
import { limits } from "../generated";
import { HashId } from "../hash/hash";
import { isOnCurve, verifyEcdsa } from "../sig/ecdsa";
import { rsaKeyOk, rsaRecord, verifyRsassa } from "../sig/rsa";

export const enum SignatureAnswer {
  /** There is no signature, or no key to verify any. */
  NONE,
  VALID,
  /** Malformed, by an unknown key, over another digest, or wrong. */
  WRONG,
}

/** EVM_IMA_XATTR_DIGSIG, and version 2. */
const DIGSIG: u32 = 3;
const VERSION: u32 = 2;
/** RFC 9053 §7.1, RFC 8230 §4. */
const KTY_EC2: u64 = 2;
const KTY_RSA: u64 = 3;
const RSA_BYTES_MAX: u32 = 512;
/** r or s with a zero before it. */
const INTEGER_MAX: u32 = 49;

const KEYS = changetype<Reader>(memory.data(READER_BYTES, 8));
const READER = changetype<TpmReader>(memory.data(TPM_READER_BYTES, 8));

// The key that `readOne` read last.
let id: Span = 0;
let curve: u32 = 0;
let first: Span = 0;
let second: Span = 0;
/** x then y. */
const POINT = memory.data(96, 16);
/** r then s. */
const RAW = memory.data(96, 16);

/** Reads a list of [id, key]; faults stay in the reader. */
export function readImaKeys(r: Reader): Span {
  const start = r.at;
  const count = r.array(1, limits.keys);
  for (let i: u32 = 0; i < count && r.fault == Fault.NONE; i++) {
    readOne(r);
    if (r.fault == Fault.NONE) r.require(isKey());
  }
  return r.since(start);
}

/** {1: 2, -1: curve, -2: x, -3: y} or {1: 3, -1: n, -2: e}. */
function readOne(r: Reader): void {
  r.array(2, 2);
  id = r.exactly(4);
  const members = r.map(3, 4);
  r.require(r.key(0) == 1);
  const kty = r.uint();
  r.require(r.int() == -1);
  if (kty == KTY_RSA && members == 3) {
    curve = 0;
    first = r.bytes(256, RSA_BYTES_MAX);
    r.require(r.int() == -2);
    second = r.bytes(1, RSA_BYTES_MAX);
    return;
  }
  r.require(kty == KTY_EC2 && members == 4);
  curve = <u32>r.uint(Curve.P384);
  r.require(curve != 0);
  const width = curve == <u32>Curve.P384 ? 48 : 32;
  r.require(r.int() == -2);
  first = r.exactly(width);
  r.require(r.int() == -3);
  second = r.exactly(width);
}

function isKey(): bool {
  if (curve == 0) return rsaKeyOk(ptrOf(first), lenOf(first), ptrOf(second), lenOf(second));
  placePoint();
  return isOnCurve(curve, POINT);
}

function placePoint(): void {
  memory.copy(POINT, ptrOf(first), lenOf(first));
  memory.copy(POINT + lenOf(first), ptrOf(second), lenOf(second));
}

/** enum hash_algo, include/uapi/linux/hash_info.h. SHA-1 is not among those that a signature may be over. */
function hashOfAlgo(algo: u32): u32 {
  if (algo == 4) return HashId.SHA256;
  if (algo == 5) return HashId.SHA384;
  return algo == 6 ? HashId.SHA512 : 0;
}

/**
 * 1. The attribute is a signature of version 2, its size exact. 2. Its hash is that of the entry's digest, and no SHA-1.
 * 3. A key of the list has its id, 4. and verifies it over that digest.
 */
export function verifyFile(keys: Span, hash: u32, digest: Span, attribute: Span): SignatureAnswer {
  if (keys == 0 || lenOf(attribute) == 0) return SignatureAnswer.NONE;
  const r = READER.open(attribute);
  r.require(r.u8() == DIGSIG && r.u8() == VERSION);
  const signedHash = hashOfAlgo(r.u8());
  const keyId = r.take(4);
  const signature = r.take(r.u16());
  if (!r.done || hash == 0 || signedHash != hash) return SignatureAnswer.WRONG;
  const list = KEYS.open(keys);
  const count = list.array(1, limits.keys);
  for (let i: u32 = 0; i < count; i++) {
    readOne(list);
    if (memory.compare(ptrOf(id), ptrOf(keyId), 4) != 0) continue;
    if (verifyOne(hash, digest, signature)) return SignatureAnswer.VALID;
  }
  return SignatureAnswer.WRONG;
}

function verifyOne(hash: u32, digest: Span, signature: Span): bool {
  const bytes = ptrOf(signature);
  if (curve == 0) {
    const record = rsaRecord(ptrOf(first), lenOf(first), ptrOf(second), lenOf(second));
    return record != 0 && verifyRsassa(record, hash, ptrOf(digest), bytes, lenOf(signature));
  }
  if (!readDer(signature)) return false;
  placePoint();
  const width = curveBytes(curve);
  return verifyEcdsa(curve, POINT, ptrOf(digest), lenOf(digest), RAW, width * 2);
}

/** Ecdsa-Sig-Value in DER (RFC 3279 §2.2.3): both numbers shortest, nothing behind them. */
function readDer(signature: Span): bool {
  const r = READER.open(signature);
  r.require(r.u8() == 0x30);
  r.require(r.u8() == <u32>(r.end - r.at) && lenOf(signature) < 128);
  const width = curveBytes(curve);
  memory.fill(RAW, 0, 96);
  readInteger(r, RAW, width);
  readInteger(r, RAW + width, width);
  return r.done;
}

function readInteger(r: TpmReader, out: usize, width: u32): void {
  r.require(r.u8() == 2);
  const length = r.u8();
  r.require(length != 0 && length <= INTEGER_MAX);
  let number = r.take(length);
  if (number == 0) return;
  const top = load<u8>(ptrOf(number));
  r.require(top < 0x80);
  if (top == 0 && length > 1) {
    r.require(load<u8>(ptrOf(number) + 1) >= 0x80);
    number = span(ptrOf(number) + 1, length - 1);
  }
  r.require(lenOf(number) <= width);
  if (r.faulty) return;
  memory.copy(out + (width - lenOf(number)), ptrOf(number), lenOf(number));
}
