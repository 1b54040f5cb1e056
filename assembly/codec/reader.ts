/**
 * A bounded reader of TPM structures (TPM 2.0 Part 2 §4): big-endian, lengths from the wire never
 * trusted. The first fault latches: every later read gives zero, and `done` is false. Logs that a
 * host keeps are little-endian, so that two readings exist in both orders.
 */
import { Span, lenOf, ptrOf, span } from "../abi";

/** Allocate with `changetype<TpmReader>(memory.data(TPM_READER_BYTES, 8))`. */
export const TPM_READER_BYTES: i32 = 16;

@unmanaged
export class TpmReader {
  at: usize;
  end: usize;
  faulty: bool;

  open(bytes: Span): this {
    this.at = ptrOf(bytes);
    this.end = ptrOf(bytes) + lenOf(bytes);
    assert(this.end >= this.at, "a span does not wrap");
    this.faulty = false;
    return this;
  }

  /** Fails unless the condition holds. */
  require(holds: bool): void {
    if (!holds) this.faulty = true;
  }

  /** Whether all was read without a fault, and nothing trails. */
  get done(): bool {
    return !this.faulty && this.at == this.end;
  }

  /**
   * `length` bytes, 0 where they are not there. Compares with what is left, so that no address
   * wraps.
   */
  take(length: u32): Span {
    if (this.faulty || length > <u32>(this.end - this.at)) {
      this.faulty = true;
      return 0;
    }
    const bytes = span(this.at, length);
    this.at += length;
    return bytes;
  }

  u8(): u32 {
    const bytes = this.take(1);
    return bytes == 0 ? 0 : load<u8>(ptrOf(bytes));
  }

  u16(): u32 {
    const bytes = this.take(2);
    return bytes == 0 ? 0 : bswap(load<u16>(ptrOf(bytes)));
  }

  u32(): u32 {
    const bytes = this.take(4);
    return bytes == 0 ? 0 : bswap(load<u32>(ptrOf(bytes)));
  }

  u64(): u64 {
    const bytes = this.take(8);
    return bytes == 0 ? 0 : bswap(load<u64>(ptrOf(bytes)));
  }

  little16(): u32 {
    const bytes = this.take(2);
    return bytes == 0 ? 0 : load<u16>(ptrOf(bytes));
  }

  little32(): u32 {
    const bytes = this.take(4);
    return bytes == 0 ? 0 : load<u32>(ptrOf(bytes));
  }

  /** A TPM2B: two bytes of length, then as many bytes; at most `most`. */
  sized(most: u32): Span {
    return this.bounded(this.u16(), most);
  }

  /** The same with four bytes of length. */
  sized32(most: u32): Span {
    return this.bounded(this.u32(), most);
  }

  private bounded(length: u32, most: u32): Span {
    this.require(length <= most);
    return this.take(length);
  }
}
