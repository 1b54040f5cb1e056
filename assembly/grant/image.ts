/**
 * Shapes that a scope and a job share: images, standard input, input files. Each is read as the
 * canonical bytes it stands in, so that equality of values is equality of bytes.
 */
import { Span } from "../abi";
import { Fault, Reader } from "../codec/cbor";
import { limits } from "../generated";

/** COSE hash algorithms, RFC 9054 §2.1. */
const SHA_256: i64 = -16;
const SHA_384: i64 = -43;
const SHA_512: i64 = -44;
const LAST_KIND: u64 = 2;

/** [kind, hash algorithm, digest]. */
export function readImage(r: Reader): Span {
  const start = r.at;
  r.array(3, 3);
  r.uint(LAST_KIND);
  const alg = r.int();
  r.require(alg == SHA_256 || alg == SHA_384 || alg == SHA_512);
  r.exactly(alg == SHA_256 ? 32 : alg == SHA_384 ? 48 : 64);
  return r.since(start);
}

/** null (none), 1 (inherited) or the digest of the exact content. */
export function readStdin(r: Reader): Span {
  const start = r.at;
  if (r.bytesNext()) r.digest();
  else if (!r.nullable()) r.require(r.uint() == 1);
  return r.since(start);
}

/** [[path, digest]], sorted by path. */
export function readInputs(r: Reader): Span {
  const start = r.at;
  const count = r.array(0, limits.inputs);
  let last: Span = 0;
  for (let i: u32 = 0; i < count && r.fault == Fault.NONE; i++) {
    r.array(2, 2);
    const path = r.bytes(0, limits.fieldBytes);
    r.ascending(last, path);
    last = path;
    r.digest();
  }
  return r.since(start);
}
