/**
 * TPMS_ATTEST of a quote: Part 2 §10.12.8, §10.12.1 (TPMS_QUOTE_INFO), §10.11.1 (TPMS_CLOCK_INFO).
 */
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
const ATTEST_BYTES: i32 = 64;

/**
 * The attestation that `parseAttest` read last; all zero where that failed, so that nothing older
 * shines through.
 */
export const attest = changetype<Attest>(memory.data(ATTEST_BYTES, 8));

const READER = changetype<TpmReader>(memory.data(TPM_READER_BYTES, 8));

/**
 * The longest content of TPM2B_NAME and TPM2B_DATA (a TPMT_HA), and of TPM2B_DIGEST: Part 2 §10.4,
 * §10.5.
 */
const NAME_MAX: u32 = 66;
const DATA_MAX: u32 = 66;
const DIGEST_MAX: u32 = 64;
/** HASH_COUNT of the reference implementation. */
const SELECTIONS_MAX: u32 = 16;

/**
 * Parses a quote exactly. The magic is what keeps a restricted key from signing outside data that
 * looks like a quote (CVE-2024-29038); the type keeps a certification of something else from
 * passing for one (GHSA-gwfg-w3jr-xh66).
 */
export function parseAttest(bytes: Span): Code {
  assert(offsetof<Attest>() <= <usize>ATTEST_BYTES);
  const code = readAttest(bytes);
  if (code != Code.NONE) memory.fill(changetype<usize>(attest), 0, ATTEST_BYTES);
  return code;
}

function readAttest(bytes: Span): Code {
  if (lenOf(bytes) == 0) return Code.ENVIRONMENT_QUOTE_MISSING;
  if (lenOf(bytes) > limits.attestBytes) return Code.ENVIRONMENT_QUOTE_MALFORMED;
  const r = READER.open(bytes);
  const magic = r.u32();
  if (r.faulty) return Code.ENVIRONMENT_QUOTE_MALFORMED;
  if (magic != TPM_GENERATED_VALUE) return Code.ENVIRONMENT_QUOTE_MAGIC;
  const type = r.u16();
  if (r.faulty) return Code.ENVIRONMENT_QUOTE_MALFORMED;
  if (type != TPM_ST_ATTEST_QUOTE) return Code.ENVIRONMENT_QUOTE_TYPE;
  attest.qualifiedSigner = r.sized(NAME_MAX);
  attest.extraData = r.sized(DATA_MAX);
  attest.clock = r.u64();
  attest.resetCount = r.u32();
  attest.restartCount = r.u32();
  const safe = r.u8(); // TPMI_YES_NO
  r.require(safe <= 1);
  attest.safe = safe == 1;
  attest.firmwareVersion = r.u64();
  attest.selection = readSelection(r);
  attest.pcrDigest = r.sized(DIGEST_MAX);
  return r.done ? Code.NONE : Code.ENVIRONMENT_QUOTE_MALFORMED;
}

/** Passes over a TPML_PCR_SELECTION; pcr.ts judges it. */
function readSelection(r: TpmReader): Span {
  const start = r.at;
  const count = r.u32();
  r.require(count <= SELECTIONS_MAX);
  for (let i: u32 = 0; i < count && !r.faulty; i++) {
    r.u16();
    r.take(r.u8());
  }
  return r.faulty ? 0 : span(start, <u32>(r.at - start));
}
