/**
 * RSASSA-PKCS1-v1_5 verification: RFC 8017 §8.2.2, by encoding the digest again and comparing every
 * byte.
 */
import { digestBytes, HashId } from "../hash/hash";
import { RSA_BYTES_MAX } from "./rsa-key";
import { openRsa } from "./rsa-public";

const OPENED: usize = memory.data(RSA_BYTES_MAX, 16);

// DER of DigestInfo up to the digest, RFC 8017 §9.2, note 1.
const SHA1_INFO: usize = memory.data<u8>([
  0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14,
]);
const SHA256_INFO: usize = memory.data<u8>([
  0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
  0x00, 0x04, 0x20,
]);
const SHA384_INFO: usize = memory.data<u8>([
  0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05,
  0x00, 0x04, 0x30,
]);
const SHA512_INFO: usize = memory.data<u8>([
  0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05,
  0x00, 0x04, 0x40,
]);

function infoOf(hashId: u32): usize {
  switch (hashId) {
    case HashId.SHA1:
      return SHA1_INFO;
    case HashId.SHA256:
      return SHA256_INFO;
    case HashId.SHA384:
      return SHA384_INFO;
    default:
      assert(hashId == <u32>HashId.SHA512);
      return SHA512_INFO;
  }
}

/**
 * Whether the signature, by the key of a record, holds over the message of that digest
 * (`digestBytes(hashId)` bytes at `digest`).
 */
export function verifyRsassa(
  record: usize,
  hashId: u32,
  digest: usize,
  signature: usize,
  signatureLength: u32,
): bool {
  const bits = openRsa(record, signature, signatureLength, OPENED);
  return bits != 0 && isEncoding(OPENED, (bits + 7) >> 3, hashId, digest);
}

/** Whether EM = 00 01 FF..FF 00 DigestInfo, with nothing more and nothing else (RFC 8017 §9.2). */
function isEncoding(em: usize, length: u32, hashId: u32, digest: usize): bool {
  const digestLength = digestBytes(hashId);
  const infoLength: u32 = hashId == <u32>HashId.SHA1 ? 15 : 19;
  const padding = length - 3 - infoLength - digestLength;
  assert(padding >= 8 && padding < length);
  if (load<u8>(em) != 0 || load<u8>(em, 1) != 1) return false;
  em += 2;
  for (let i: u32 = 0; i < padding; ++i) {
    if (load<u8>(em + <usize>i) != 0xff) return false;
  }
  em += <usize>padding;
  if (load<u8>(em) != 0) return false;
  if (memory.compare(em + 1, infoOf(hashId), <usize>infoLength) != 0) return false;
  return memory.compare(em + 1 + <usize>infoLength, digest, <usize>digestLength) == 0;
}
