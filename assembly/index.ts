import { trapLine as line, span } from "./abi";
import { Reader, READER_BYTES } from "./codec/cbor";
const R = changetype<Reader>(memory.data(READER_BYTES, 8));
/** Line of the last failed assertion, 0 if none. */
export function trapLine(): u32 {
  return line;
}
export function t(p: usize, n: u32): u32 { R.open(span(p,n)); R.uint(); return R.close(); }
