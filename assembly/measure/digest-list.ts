/**
 * The digests of events: which algorithms the Spec ID event announces, and which of them each event
 * carries. Events need not carry all (Windows leaves SHA-1 out of its own), so that each event's
 * own algorithm ids are read.
 */
import { Span, ptrOf } from "../abi";
import { TPM_READER_BYTES, TpmReader } from "../codec/reader";
import { digestBytes } from "../hash/hash";
import { alg, hashOf } from "../tpm/algorithm";

/** HASH_COUNT of the reference implementation: a TPM has no more banks. */
export const ALGORITHMS_MAX: u32 = 16;
const DIGEST_MAX: u32 = 64;

/**
 * TCG_EfiSpecIDEvent, PC Client PFP §10.4.5.1: signature, platformClass, version, errata,
 * uintnSize.
 */
const SIGNATURE_BYTES: u32 = 16;
const VERSION_BYTES: u32 = 8;

/** TPM_ALG_ID and bytes of a digest of each algorithm announced. */
const IDS = memory.data(16 * 4, 4);
const SIZES = memory.data(16 * 4, 4);
/** Algorithms announced. */
export let algorithms: u32 = 0;

/** Address of the digest of the event read last, by number of the hash; 0 where it carries none. */
const DIGESTS = memory.data(5 * 4, 4);

const READER = changetype<TpmReader>(memory.data(TPM_READER_BYTES, 8));

export function algorithmAt(i: u32): u32 {
  return load<u32>(IDS + (i << 2));
}

function sizeAt(i: u32): u32 {
  return load<u32>(SIZES + (i << 2));
}

/** Place of an announced algorithm; `algorithms` where it is none. */
function placeOf(id: u32): u32 {
  for (let i: u32 = 0; i < algorithms; i++) if (algorithmAt(i) == id) return i;
  return algorithms;
}

/** The one algorithm of a log in SHA-1 format. */
export function announceSha1(): void {
  algorithms = 1;
  store<u32>(IDS, alg.SHA1);
  store<u32>(SIZES, 20);
}

/**
 * Reads the algorithms of a Spec ID event, none twice, those that this core has in their own size.
 * What follows them is vendor information: it is not read, so that nothing in it can pass for a
 * digest (GHSA-9r4w-jg96-92mv).
 */
export function announceFrom(specId: Span): bool {
  algorithms = 0;
  const r = READER.open(specId);
  r.take(SIGNATURE_BYTES + VERSION_BYTES);
  const count = r.little32();
  r.require(count >= 1 && count <= ALGORITHMS_MAX);
  for (let i: u32 = 0; i < count && !r.faulty; i++) {
    const id = r.little16();
    const size = r.little16();
    const own = digestBytes(hashOf(id));
    r.require(own == 0 ? size >= 1 && size <= DIGEST_MAX : size == own);
    r.require(placeOf(id) == algorithms);
    store<u32>(IDS + (i << 2), id);
    store<u32>(SIZES + (i << 2), size);
    algorithms++;
  }
  return !r.faulty;
}

/** The one digest of a TCG_PCR_EVENT. */
export function readSha1Digest(r: TpmReader): void {
  memory.fill(DIGESTS, 0, 5 * 4);
  store<u32>(DIGESTS + (hashOf(alg.SHA1) << 2), <u32>ptrOf(r.take(20)));
}

/** TPML_DIGEST_VALUES: at most one digest of each algorithm announced, and none of another. */
export function readDigests(r: TpmReader): void {
  memory.fill(DIGESTS, 0, 5 * 4);
  const count = r.little32();
  let seen: u32 = 0;
  for (let i: u32 = 0; i < count && !r.faulty; i++) {
    const place = placeOf(r.little16());
    r.require(place < algorithms && (seen & (1 << place)) == 0);
    if (r.faulty) return;
    seen |= 1 << place;
    const digest = r.take(sizeAt(place));
    const hash = hashOf(algorithmAt(place));
    if (hash != 0) store<u32>(DIGESTS + (hash << 2), <u32>ptrOf(digest));
  }
}

/** Address of the digest of the event read last, 0 where it carries none of this hash. */
export function digestOf(hash: u32): usize {
  return load<u32>(DIGESTS + (hash << 2));
}
