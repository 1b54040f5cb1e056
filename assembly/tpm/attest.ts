/** TPMS_ATTEST of a quote: Part 2 §10.12.8, §10.12.1 (TPMS_QUOTE_INFO), §10.11.1 (TPMS_CLOCK_INFO). */
import { Span, lenOf, span } from "../abi";
import { TPM_READER_BYTES, TpmReader } from "../codec/reader";
import { Code, limits } from "../generated";

const TPM_GENERATED_VALUE: u32 = 0xff544347;
const TPM_ST_ATTEST_QUOTE: u32 = 0x8018;

@unmanaged
export class Attest {
  qualifiedSigner: Span;
  extraData: Span;
  clock: u64;
  firmwareVersion: u64;
  /** TPML_PCR_SELECTION, as it stands. */
  selection: Span;
  pcrDigest: Span;
  resetCount: u32;
  restartCount: u32;
  safe: bool;
}

/** The attestation that `parseAttest` read last. */
export const attest = changetype<Attest>(memory.data(64, 8));

const READER = changetype<TpmReader>(memory.data(TPM_READER_BYTES, 8));

/**
 * Parses a quote exactly. The magic is what keeps a restricted key from signing outside data that looks like a quote
 * (CVE-2024-29038); the type keeps a certification of something else from passing for one (GHSA-gwfg-w3jr-xh66).
 */
export function parseAttest(bytes: Span): Code {
  if (lenOf(bytes) > limits.attestBytes) return Code.ENVIRONMENT_QUOTE_MALFORMED;
  const r = READER.open(bytes);
  const magic = r.u32();
  const type = r.u16();
  if (r.faulty) return Code.ENVIRONMENT_QUOTE_MALFORMED;
  if (magic != TPM_GENERATED_VALUE) return Code.ENVIRONMENT_QUOTE_MAGIC;
  if (type != TPM_ST_ATTEST_QUOTE) return Code.ENVIRONMENT_QUOTE_TYPE;
  attest.qualifiedSigner = r.sized(66);
  attest.extraData = r.sized(66);
  attest.clock = r.u64();
  attest.resetCount = r.u32();
  attest.restartCount = r.u32();
  const safe = r.u8();
  r.require(safe <= 1);
  attest.safe = safe == 1;
  attest.firmwareVersion = r.u64();
  attest.selection = readSelection(r);
  attest.pcrDigest = r.sized(64);
  return r.done ? Code.NONE : Code.ENVIRONMENT_QUOTE_MALFORMED;
}

/** Passes over a TPML_PCR_SELECTION; pcr.ts judges it. */
function readSelection(r: TpmReader): Span {
  const start = r.at;
  const count = r.u32();
  r.require(count <= 16);
  for (let i: u32 = 0; i < count && !r.faulty; i++) {
    r.u16();
    r.take(r.u8());
  }
  return r.faulty ? 0 : span(start, <u32>(r.at - start));
}
