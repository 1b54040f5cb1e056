/**
 * RSASSA-PSS verification: RFC 8017 §8.1.2 and §9.1.2, with MGF1 (§B.2.1) over the message's own
 * hash.
 */
import { begin, digestBytes, finish, HASH_CONTEXT_BYTES, update } from "../hash/hash";
import { RSA_BYTES_MAX } from "./rsa-key";
import { openRsa } from "./rsa-public";

/** In place of a salt length: take the one that the encoding has. */
export const ANY_SALT: i32 = -1;

const OPENED: usize = memory.data(RSA_BYTES_MAX, 16);
const CONTEXT: usize = memory.data(HASH_CONTEXT_BYTES, 16);
const BLOCK: usize = memory.data(64, 16);
const COUNTER: usize = memory.data(4, 16);
/** The eight zero bytes in front of the digest in M', §9.1.2 step 12. */
const ZEROS: usize = memory.data<u8>([0, 0, 0, 0, 0, 0, 0, 0]);

/**
 * Whether the signature, by the key of a record, holds over the message of that digest
 * (`digestBytes(hashId)` bytes at `digest`). `saltLength` is the exact length, or ANY_SALT.
 */
export function verifyRsapss(
  record: usize,
  hashId: u32,
  digest: usize,
  signature: usize,
  signatureLength: u32,
  saltLength: i32,
): bool {
  const bits = openRsa(record, signature, signatureLength, OPENED);
  if (bits == 0) return false;
  // EM has one bit less than n; where that saves a byte, the byte must be zero (§8.1.2 step 2c).
  let em = OPENED;
  const emBits = bits - 1;
  if ((emBits & 7) == 0) {
    if (load<u8>(em) != 0) return false;
    ++em;
  }
  return isEncoding(em, emBits, hashId, digest, saltLength);
}

/** §9.1.2 from step 3; overwrites EM. */
function isEncoding(em: usize, emBits: u32, hashId: u32, digest: usize, saltLength: i32): bool {
  const hashLength = digestBytes(hashId);
  assert(hashLength != 0);
  const length = (emBits + 7) >> 3;
  const dbLength = length - hashLength - 1;
  assert(dbLength < length);
  const h = em + <usize>dbLength;
  if (load<u8>(em + <usize>(length - 1)) != 0xbc) return false;
  const unused = (length << 3) - emBits;
  if (<u32>load<u8>(em) >> (8 - unused) != 0) return false;
  unmask(em, dbLength, h, hashId, hashLength);
  store<u8>(em, load<u8>(em) & <u8>(<u32>0xff >> unused));
  // DB = zeros, 01, salt
  let zeros: u32 = 0;
  while (zeros < dbLength && load<u8>(em + <usize>zeros) == 0) ++zeros;
  if (zeros == dbLength || load<u8>(em + <usize>zeros) != 1) return false;
  const salt = zeros + 1;
  if (saltLength != ANY_SALT && dbLength - salt != <u32>saltLength) return false;
  begin(hashId, CONTEXT);
  update(CONTEXT, ZEROS, 8);
  update(CONTEXT, digest, hashLength);
  update(CONTEXT, em + <usize>salt, dbLength - salt);
  finish(CONTEXT, BLOCK);
  return memory.compare(BLOCK, h, <usize>hashLength) == 0;
}

/** data ^= MGF1(seed, length), the seed being one digest long. */
function unmask(data: usize, length: u32, seed: usize, hashId: u32, hashLength: u32): void {
  for (let counter: u32 = 0, done: u32 = 0; done < length; ++counter) {
    store<u32>(COUNTER, bswap<u32>(counter));
    begin(hashId, CONTEXT);
    update(CONTEXT, seed, hashLength);
    update(CONTEXT, COUNTER, 4);
    finish(CONTEXT, BLOCK);
    for (let i: u32 = 0; i < hashLength && done < length; ++i, ++done) {
      const at = data + <usize>done;
      store<u8>(at, load<u8>(at) ^ load<u8>(BLOCK + <usize>i));
    }
  }
}
