/**
 * boot_aggregate: the hash over the PCRs of the boot, which IMA measures as its first entry
 * (ima_calc_boot_aggregate, ima_crypto.c). It ties the list to the boot that the quote speaks of.
 */
import { isAscii, ptrOf } from "../abi";
import { HASH_CONTEXT_BYTES, HashId, begin, digestBytes, finish, update } from "../hash/hash";
import { fileDigest, fileHash, fileName, isBuffer } from "./ima-file";
import { quotedValue } from "./quoted";

const CONTEXT = memory.data(HASH_CONTEXT_BYTES, 16);
const DIGEST = memory.data(64, 8);

/** The entry read last calls itself boot_aggregate: a name that no file has, being no path. */
export function isNamedAggregate(): bool {
  return !isBuffer && isAscii(fileName, "boot_aggregate");
}

/**
 * Whether the entry read last is the boot_aggregate of the quoted PCRs, in the bank of its own
 * hash: over PCR 0 to 7; since Linux 5.8, but for SHA-1, over PCR 0 to 9. PCRs that the quote does
 * not cover aggregate to nothing.
 */
export function isAggregate(): bool {
  if (!isNamedAggregate() || fileHash == 0) return false;
  if (fileHash == HashId.SHA1) return isOver(8);
  return isOver(10) || isOver(8);
}

function isOver(pcrs: u32): bool {
  const width = digestBytes(fileHash);
  begin(fileHash, CONTEXT);
  for (let pcr: u32 = 0; pcr < pcrs; pcr++) {
    const value = quotedValue(fileHash, pcr);
    if (value == 0) return false;
    update(CONTEXT, value, width);
  }
  finish(CONTEXT, DIGEST);
  return memory.compare(DIGEST, ptrOf(fileDigest), width) == 0;
}
