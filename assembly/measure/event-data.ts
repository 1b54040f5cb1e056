/**
 * What can be known of an event's data. The digest is what a PCR was extended with; type and data
 * are the log's, and so the attacker's. Data is a fact only where its hash is the digest.
 */
import { Span, lenOf, ptrOf, span } from "../abi";
import { digestBytes, hash as hashAll } from "../hash/hash";
import { digestOf } from "./digest-list";
import { EV_NO_ACTION, event } from "./eventlog";
import { HASHES } from "./registers";

const EV_SEPARATOR: u32 = 4;

const DIGEST = memory.data(64, 8);
/** The data of a separator: PC Client PFP §3.3.2.2. */
const ZEROS = memory.data<u8>([0, 0, 0, 0]);
const ONES = memory.data<u8>([0xff, 0xff, 0xff, 0xff]);
const SEPARATOR_BYTES: u32 = 4;
/** Digests of both, in the bank that `prepareSeparators` was told. */
const SEPARATORS = memory.data(2 * 64, 8);

/** Whether the digest of this bank is that of the event's data. */
export function isBoundIn(hash: u32): bool {
  const digest = digestOf(hash);
  if (digest == 0) return false;
  hashAll(hash, ptrOf(event.data), lenOf(event.data), DIGEST);
  return memory.compare(DIGEST, digest, digestBytes(hash)) == 0;
}

/**
 * Whether every digest that the event carries (of the hashes of this core, at least one) is that of
 * its data. The type does not count: it is in no digest, so whoever writes the log chooses it.
 * EV_NO_ACTION proves nothing.
 */
export function isDataBound(): bool {
  if (event.type == EV_NO_ACTION) return false;
  let bound = false;
  for (let hash: u32 = 1; hash <= HASHES; hash++) {
    if (digestOf(hash) == 0) continue;
    if (!isBoundIn(hash)) return false;
    bound = true;
  }
  return bound;
}

/** Before `isSeparator` is asked in the bank of this hash. */
export function prepareSeparators(hash: u32): void {
  hashAll(hash, ZEROS, SEPARATOR_BYTES, SEPARATORS);
  hashAll(hash, ONES, SEPARATOR_BYTES, SEPARATORS + 64);
}

/**
 * Whether the digest is that of a separator. The type does not count: a separator under another
 * name is one.
 */
export function isSeparator(hash: u32): bool {
  const digest = digestOf(hash);
  const width = digestBytes(hash);
  if (memory.compare(SEPARATORS, digest, width) == 0) return true;
  return memory.compare(SEPARATORS + 64, digest, width) == 0;
}

/** Whether the log calls it one: where its digest is none, it reports an error of the firmware. */
export function isCalledSeparator(): bool {
  return event.type == EV_SEPARATOR;
}

/**
 * Whether the type promises digest = H(data): PC Client PFP §10.4.1, table of events. For others
 * the digest is of something else (an image, a blob), and the data is a remark.
 */
export function promisesData(type: u32): bool {
  switch (type) {
    case EV_SEPARATOR:
    case 0x00000005: // EV_ACTION
    case 0x00000008: // EV_S_CRTM_VERSION
    case 0x0000000a: // EV_PLATFORM_CONFIG_FLAGS
    case 0x00000012: // EV_OMIT_BOOT_DEVICE_EVENTS
    case 0x80000001: // EV_EFI_VARIABLE_DRIVER_CONFIG
    case 0x80000006: // EV_EFI_GPT_EVENT
    case 0x80000007: // EV_EFI_ACTION
    case 0x8000000c: // EV_EFI_VARIABLE_BOOT2
    case 0x8000000d: // EV_EFI_GPT_EVENT2
    case 0x800000e0: // EV_EFI_VARIABLE_AUTHORITY
      return true;
    default:
      return false;
  }
}

/** GUID, length of the name in UTF-16 units, length of the value: UEFI_VARIABLE_DATA. */
const VARIABLE_HEAD_BYTES: u32 = 32;

/** The GUID of the variable that the event's data describes as a whole (PFP §10.4.3); 0 if none. */
export function variableGuid(): Span {
  const length = lenOf(event.data);
  if (length < VARIABLE_HEAD_BYTES) return 0;
  const at = ptrOf(event.data);
  const units = load<u64>(at + 16);
  const value = load<u64>(at + 24);
  const rest = <u64>(length - VARIABLE_HEAD_BYTES);
  // Divided instead of multiplied: lengths of 2^63 must not wrap.
  if (units > rest / 2 || value != rest - 2 * units) return 0;
  return span(at, 16);
}

/** Whether the variable, which has a GUID, has this name of ASCII characters. */
export function isVariableNamed(name: Span): bool {
  const at = ptrOf(event.data);
  if (load<u64>(at + 16) != lenOf(name)) return false;
  const text = at + VARIABLE_HEAD_BYTES;
  for (let i: u32 = 0; i < lenOf(name); i++) {
    if (load<u16>(text + (i << 1)) != load<u8>(ptrOf(name) + i)) return false;
  }
  return true;
}
