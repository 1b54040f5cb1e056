/**
 * The strict decoder: deterministic CBOR (RFC 8949 §4.2.1) and nothing else. No floats, no
 * indefinite lengths, no tags inside a payload, integers below 2^53, shortest heads, sorted unique
 * keys, nothing after the value.
 *
 * A reader latches its first fault: from then on every read gives zero, so that callers read a
 * whole object and ask once. Depth needs no counter: the callers read by schema, and no schema of
 * ours nests deeper than docs/wire-format.md says; what the schema does not expect is a fault where
 * it stands.
 */
import { Span, compare, lenOf, ptrOf, span } from "../abi";

export const enum Fault {
  NONE,
  MALFORMED,
  /** A map key that this version does not know. */
  UNKNOWN,
  /** A length or a count above its bound. */
  OVERSIZED,
}

const enum Major {
  UNSIGNED,
  NEGATIVE,
  BYTES,
  TEXT,
  ARRAY,
  MAP,
  TAG,
  SIMPLE,
}

const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;
const NULL: u8 = 0xf6;
/** 2^53: integers stay exact in every host's number type. */
const INTEGER_END: u64 = 1 << 53;

export const READER_BYTES: i32 = 16;

/**
 * Reads one span front to back. Allocate with `changetype<Reader>(memory.data(READER_BYTES, 8))`.
 */
@unmanaged
export class Reader {
  at: usize;
  end: usize;
  fault: Fault;

  open(bytes: Span): this {
    this.at = ptrOf(bytes);
    this.end = ptrOf(bytes) + lenOf(bytes);
    this.fault = Fault.NONE;
    return this;
  }

  /** Latches the first fault. */
  fail(fault: Fault): void {
    if (this.fault == Fault.NONE) this.fault = fault;
    this.at = this.end;
  }

  /** Fails unless the condition holds. */
  require(holds: bool): void {
    if (!holds) this.fail(Fault.MALFORMED);
  }

  /** The fault, after checking that nothing trails. */
  close(): Fault {
    if (this.fault == Fault.NONE && this.at != this.end) this.fail(Fault.MALFORMED);
    return this.fault;
  }

  /** The bytes read since `start`, an earlier value of `at`. */
  since(start: usize): Span {
    return this.fault == Fault.NONE ? span(start, <u32>(this.at - start)) : 0;
  }

  /** First byte of the next item without reading it; at the end 0xff, a break, which begins none. */
  private peek(): u8 {
    return this.at < this.end ? load<u8>(this.at) : 0xff;
  }

  /** The argument of a head of this major type, in its shortest form only (RFC 8949 §3). */
  private head(major: Major): u64 {
    const first = this.peek();
    const info = first & 0x1f;
    if (first >> 5 != <u8>major || info > 27) {
      this.fail(Fault.MALFORMED);
      return 0;
    }
    this.at++;
    if (info < 24) return info;
    const width: u32 = 1 << (info - 24);
    if (this.end - this.at < width) {
      this.fail(Fault.MALFORMED);
      return 0;
    }
    let value: u64 = 0;
    for (let i: u32 = 0; i < width; i++) value = (value << 8) | load<u8>(this.at + i);
    this.at += width;
    const least: u64 = width == 1 ? 24 : (<u64>1) << (width << 2);
    if (value < least) {
      this.fail(Fault.MALFORMED);
      return 0;
    }
    return value;
  }

  /** An unsigned integer up to `most`. */
  uint(most: u64 = INTEGER_END - 1): u64 {
    const value = this.head(Major.UNSIGNED);
    if (value > most) this.fail(Fault.MALFORMED);
    return this.fault == Fault.NONE ? value : 0;
  }

  /** An integer of either sign, its magnitude below 2^53. */
  int(): i64 {
    const negative = this.peek() >> 5 == <u8>Major.NEGATIVE;
    const value = this.head(negative ? Major.NEGATIVE : Major.UNSIGNED);
    if (value >= INTEGER_END) this.fail(Fault.MALFORMED);
    if (this.fault != Fault.NONE) return 0;
    return negative ? -1 - <i64>value : <i64>value;
  }

  /**
   * The next key of a map with integer keys. `order` is 0 for the first key, then `keyOrder` of the
   * one before: equal or descending keys are a fault.
   */
  key(order: u64): i64 {
    const key = this.int();
    if (keyOrder(key) <= order) this.fail(Fault.MALFORMED);
    return this.fault == Fault.NONE ? key : 0;
  }

  bool(): bool {
    const first = this.peek();
    if (first != FALSE && first != TRUE) this.fail(Fault.MALFORMED);
    else this.at++;
    return this.fault == Fault.NONE && first == TRUE;
  }

  /** Reads null if it comes next. */
  nullable(): bool {
    if (this.fault != Fault.NONE || this.peek() != NULL) return false;
    this.at++;
    return true;
  }

  /** Whether an array comes next, instead of a string. */
  arrayNext(): bool {
    return this.peek() >> 5 == <u8>Major.ARRAY;
  }

  /** Whether a byte string comes next. */
  bytesNext(): bool {
    return this.peek() >> 5 == <u8>Major.BYTES;
  }

  private string(major: Major, least: u32, most: u32): Span {
    const length = this.head(major);
    if (this.fault == Fault.NONE && length > most) this.fail(Fault.OVERSIZED);
    if (length < least || length > <u64>(this.end - this.at)) this.fail(Fault.MALFORMED);
    if (this.fault != Fault.NONE) return 0;
    const bytes = span(this.at, <u32>length);
    this.at += <usize>length;
    return bytes;
  }

  /** A byte string of `least` to `most` bytes. */
  bytes(least: u32, most: u32): Span {
    return this.string(Major.BYTES, least, most);
  }

  /** A SHA-256 digest: exactly 32 bytes. */
  digest(): Span {
    return this.exactly(32);
  }

  exactly(length: u32): Span {
    const bytes = this.string(Major.BYTES, 0, u32.MAX_VALUE);
    if (lenOf(bytes) != length) this.fail(Fault.MALFORMED);
    return this.fault == Fault.NONE ? bytes : 0;
  }

  /** 8 bytes, big-endian. */
  u64(): u64 {
    const bytes = this.exactly(8);
    return bytes == 0 ? 0 : bswap(load<u64>(ptrOf(bytes)));
  }

  /** An identifier: printable ASCII without the space, 1 to 128 bytes. */
  ident(): Span {
    const text = this.string(Major.TEXT, 1, 128);
    for (let i: u32 = 0; i < lenOf(text); i++) {
      const c = load<u8>(ptrOf(text) + i);
      if (c < 0x21 || c > 0x7e) this.fail(Fault.MALFORMED);
    }
    return this.fault == Fault.NONE ? text : 0;
  }

  /** The count of an array of `least` to `most` items. */
  array(least: u32, most: u32): u32 {
    return this.count(Major.ARRAY, least, most);
  }

  /** The count of the pairs of a map of `least` to `most` pairs. */
  map(least: u32, most: u32): u32 {
    return this.count(Major.MAP, least, most);
  }

  /** A bound can be exceeded; where the count is fixed, another one is another form. */
  private count(major: Major, least: u32, most: u32): u32 {
    const count = this.head(major);
    if (count > most) this.fail(least == most ? Fault.MALFORMED : Fault.OVERSIZED);
    if (count < least) this.fail(Fault.MALFORMED);
    return this.fault == Fault.NONE ? <u32>count : 0;
  }

  tag(number: u64): void {
    if (this.head(Major.TAG) != number) this.fail(Fault.MALFORMED);
  }

  /**
   * Fails unless `next` follows `last` in a sorted list without repetition; `last` is 0 before the
   * first.
   */
  ascending(last: Span, next: Span): void {
    if (last != 0 && this.fault == Fault.NONE && compare(last, next) >= 0) this.fail(Fault.MALFORMED);
  }

  /**
   * The same for text keys of a map: RFC 8949 §4.2.1 sorts their encodings, so shorter ones first.
   */
  ascendingKey(last: Span, next: Span): void {
    if (last == 0 || this.fault != Fault.NONE || lenOf(last) < lenOf(next)) return;
    if (lenOf(last) > lenOf(next) || compare(last, next) >= 0) this.fail(Fault.MALFORMED);
  }
}

/**
 * A number that grows as the encodings of integer keys do: 0, 1, 2, ..., then -1, -2, ...; never 0.
 */
export function keyOrder(key: i64): u64 {
  return key >= 0 ? <u64>key + 1 : INTEGER_END + <u64>-key;
}

/** Writes the head of an item and returns the address after it. */
function writeHead(dst: usize, major: Major, value: u64): usize {
  const type = <u8>((<u32>major) << 5);
  if (value < 24) {
    store<u8>(dst, type | <u8>value);
    return dst + 1;
  }
  const power: u32 = value < 0x100 ? 0 : value < 0x10000 ? 1 : value < 0x100000000 ? 2 : 3;
  store<u8>(dst, type | <u8>(24 + power));
  const width: u32 = 1 << power;
  for (let i: u32 = 0; i < width; i++) store<u8>(dst + 1 + i, <u8>(value >> ((width - 1 - i) << 3)));
  return dst + 1 + width;
}

export function writeArray(dst: usize, count: u32): usize {
  return writeHead(dst, Major.ARRAY, count);
}

export function writeUint(dst: usize, value: u64): usize {
  return writeHead(dst, Major.UNSIGNED, value);
}

export function writeNull(dst: usize): usize {
  store<u8>(dst, NULL);
  return dst + 1;
}

/** The head of a byte string whose content the caller brings. */
export function writeBytesHead(dst: usize, length: u32): usize {
  return writeHead(dst, Major.BYTES, length);
}

export function writeBytes(dst: usize, bytes: Span): usize {
  dst = writeBytesHead(dst, lenOf(bytes));
  memory.copy(dst, ptrOf(bytes), lenOf(bytes));
  return dst + lenOf(bytes);
}

/** A byte string, or null where it is absent. */
export function writeBytesOrNull(dst: usize, bytes: Span): usize {
  return bytes == 0 ? writeNull(dst) : writeBytes(dst, bytes);
}

export function writeText(dst: usize, text: Span): usize {
  dst = writeHead(dst, Major.TEXT, lenOf(text));
  memory.copy(dst, ptrOf(text), lenOf(text));
  return dst + lenOf(text);
}

/** ASCII text from a literal. */
export function writeAscii(dst: usize, text: string): usize {
  const length = text.length;
  dst = writeHead(dst, Major.TEXT, length);
  for (let i = 0; i < length; i++) store<u8>(dst + i, <u8>text.charCodeAt(i));
  return dst + length;
}
