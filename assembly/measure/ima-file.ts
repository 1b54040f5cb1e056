/**
 * What one entry of an IMA list measured: the fields of its template data, ima_template.c and
 * ima_template_lib.c of the kernel. Every field but those of the oldest template has four bytes of
 * length before it, little-endian; a template has exactly the fields of its row, and nothing more.
 *
 * A name is believed as far as the kernel is: it is bound by the template digest, and it is what
 * the measured task saw. Who may mount chooses it (docs/policies.md).
 */
import { Span, isAscii, lenOf, ptrOf, span, startsWithAscii } from "../abi";
import { TPM_READER_BYTES, TpmReader } from "../codec/reader";
import { HashId, digestBytes } from "../hash/hash";
import { ImaEntry } from "./ima";

/** Digest of a file or buffer, as the kernel named its hash; hash 0: one that this core has not. */
export let fileHash: u32 = 0;
export let fileDigest: Span = 0;
/** Path of a file, name of a buffer; never empty, without the NUL behind it. */
export let fileName: Span = 0;
/** The extended attribute security.ima, empty where the file has none. */
export let fileSignature: Span = 0;
/** What was measured is a buffer (a key, a command line, critical data), not a file. */
export let isBuffer: bool = false;

const LEGACY_DIGEST_BYTES: u32 = 20;
const READER = changetype<TpmReader>(memory.data(TPM_READER_BYTES, 8));

/** Fields behind digest and name: a signature is always the first of them. */
function fieldsOf(template: Span): i32 {
  if (isAscii(template, "ima-ng") || isAscii(template, "ima-ngv2")) return 0;
  if (isAscii(template, "ima-sig") || isAscii(template, "ima-sigv2")) return 1;
  if (isAscii(template, "ima-buf")) return 1;
  if (isAscii(template, "ima-modsig")) return 3; // sig, d-modsig, modsig
  if (isAscii(template, "evm-sig")) return 7; // evmsig, three of xattrs, iuid, igid, imode
  return -1;
}

/** Reads what the entry measured; false where its template or its form is none of the kernel's. */
export function readFile(e: ImaEntry): bool {
  fileHash = 0;
  fileDigest = 0;
  fileName = 0;
  fileSignature = 0;
  isBuffer = isAscii(e.template, "ima-buf");
  if (isAscii(e.template, "ima")) return readLegacy(e);
  const fields = fieldsOf(e.template);
  if (fields < 0) return false;
  const r = READER.open(e.data);
  const digest = r.take(r.little32());
  const name = r.take(r.little32());
  const third = fields > 0 ? r.take(r.little32()) : 0;
  for (let i = 1; i < fields; i++) r.take(r.little32());
  if (!r.done) return false;
  const typed = isAscii(e.template, "ima-ngv2") || isAscii(e.template, "ima-sigv2");
  const signed = isAscii(e.template, "ima-modsig") || startsWithAscii(e.template, "ima-sig");
  if (signed) fileSignature = third;
  return readDigest(digest, typed) && readName(name);
}

/** SHA-1, and a name filled up with zeros. */
function readLegacy(e: ImaEntry): bool {
  fileHash = HashId.SHA1;
  fileDigest = span(ptrOf(e.data), LEGACY_DIGEST_BYTES);
  const bytes = lenOf(e.body) - LEGACY_DIGEST_BYTES - 4;
  fileName = span(ptrOf(e.body) + LEGACY_DIGEST_BYTES + 4, bytes);
  return bytes != 0 && !hasNul(fileName);
}

/** n-ng: the name and its NUL. */
function readName(field: Span): bool {
  const length = lenOf(field);
  if (length < 2 || load<u8>(ptrOf(field) + length - 1) != 0) return false;
  fileName = span(ptrOf(field), length - 1);
  return !hasNul(fileName);
}

function hasNul(name: Span): bool {
  for (let i: u32 = 0; i < lenOf(name); i++) if (load<u8>(ptrOf(name) + i) == 0) return true;
  return false;
}

/**
 * d-ng: the name of the hash, a colon, NUL, the digest; d-ngv2: "ima" or "verity" and a colon before
 * it. An fs-verity digest is not that of the file's bytes, so it counts as of a hash that nobody
 * has, like every hash that this core lacks.
 */
function readDigest(field: Span, typed: bool): bool {
  let at: u32 = 0;
  while (at < lenOf(field) && load<u8>(ptrOf(field) + at) != 0) at++;
  if (at == lenOf(field) || at == 0 || load<u8>(ptrOf(field) + at - 1) != 0x3a) return false;
  const name = span(ptrOf(field), at);
  fileDigest = span(ptrOf(field) + at + 1, lenOf(field) - at - 1);
  fileHash = hashNamed(name, typed);
  return fileHash == 0 || lenOf(fileDigest) == digestBytes(fileHash);
}

function hashNamed(name: Span, typed: bool): u32 {
  if (typed) {
    if (!startsWithAscii(name, "ima:")) return 0;
    name = span(ptrOf(name) + 4, lenOf(name) - 4);
  }
  if (isAscii(name, "sha256:")) return HashId.SHA256;
  if (isAscii(name, "sha1:")) return HashId.SHA1;
  if (isAscii(name, "sha384:")) return HashId.SHA384;
  return isAscii(name, "sha512:") ? HashId.SHA512 : 0;
}
