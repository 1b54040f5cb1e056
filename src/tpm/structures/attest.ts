/** What a TPM signs (Part 2 §10.12). Parsing says nothing about who signed it. */
import { parseAll, type Reader } from "./bytes.ts";
import { TPM_ST } from "./constants.ts";
import { readPcrSelection, type TPMS_PCR_SELECTION } from "./pcr.ts";

/** Part 2 §10.11.1; clock is in milliseconds. */
export interface TPMS_CLOCK_INFO {
  readonly clock: bigint;
  readonly resetCount: number;
  readonly restartCount: number;
  /**
   * No larger value of the clock has been reported before: false after an unorderly shutdown until
   * the TPM saves it.
   */
  readonly safe: boolean;
}

/** Part 2 §10.11.6; time is in milliseconds since the last TPM2_Startup. */
export interface TPMS_TIME_INFO {
  readonly time: bigint;
  readonly clockInfo: TPMS_CLOCK_INFO;
}

export type Attested =
  | {
      readonly type: "quote";
      readonly pcrSelect: readonly TPMS_PCR_SELECTION[];
      readonly pcrDigest: Uint8Array;
    }
  | { readonly type: "certify"; readonly name: Uint8Array; readonly qualifiedName: Uint8Array }
  | { readonly type: "time"; readonly time: TPMS_TIME_INFO; readonly firmwareVersion: bigint }
  | {
      readonly type: "nv";
      readonly indexName: Uint8Array;
      readonly offset: number;
      readonly nvContents: Uint8Array;
    };

export interface TPMS_ATTEST {
  readonly qualifiedSigner: Uint8Array;
  readonly extraData: Uint8Array;
  readonly clockInfo: TPMS_CLOCK_INFO;
  readonly firmwareVersion: bigint;
  readonly attested: Attested;
}

/** Part 2 §6.2: "\xffTCG"; no restricted key signs foreign bytes that begin so. */
export const TPM_GENERATED_VALUE = 0xff544347;

function readClockInfo(reader: Reader): TPMS_CLOCK_INFO {
  const [clock, resetCount, restartCount] = [reader.u64(), reader.u32(), reader.u32()];
  const safe = reader.u8();
  if (safe > 1) throw reader.fail(`safe is ${safe}, neither YES nor NO`);
  return { clock, resetCount, restartCount, safe: safe === 1 };
}

export function readTimeInfo(reader: Reader): TPMS_TIME_INFO {
  return { time: reader.u64(), clockInfo: readClockInfo(reader) };
}

function readAttested(reader: Reader, type: number): Attested {
  switch (type) {
    case TPM_ST.ATTEST_QUOTE:
      return { type: "quote", pcrSelect: readPcrSelection(reader), pcrDigest: reader.sized(64) };
    case TPM_ST.ATTEST_CERTIFY:
      return { type: "certify", name: reader.sized(68), qualifiedName: reader.sized(68) };
    case TPM_ST.ATTEST_TIME:
      return { type: "time", time: readTimeInfo(reader), firmwareVersion: reader.u64() };
    case TPM_ST.ATTEST_NV: {
      const [indexName, offset] = [reader.sized(68), reader.u16()];
      return { type: "nv", indexName, offset, nvContents: reader.sized() };
    }
    default:
      throw reader.fail(`attestation type 0x${type.toString(16)} is not supported`);
  }
}

/**
 * Parses a TPMS_ATTEST (no TPM2B around it), still unverified.
 * @throws TpmFormatError, also where the magic is not TPM_GENERATED_VALUE: a TPM did not make it.
 */
export function parseAttest(bytes: Uint8Array): TPMS_ATTEST {
  return parseAll(bytes, "TPMS_ATTEST", (reader) => {
    if (reader.u32() !== TPM_GENERATED_VALUE) {
      throw reader.fail("its magic is not TPM_GENERATED_VALUE, so no TPM made it");
    }
    const type = reader.u16();
    const [qualifiedSigner, extraData] = [reader.sized(68), reader.sized(68)];
    const [clockInfo, firmwareVersion] = [readClockInfo(reader), reader.u64()];
    const attested = readAttested(reader, type);
    return { qualifiedSigner, extraData, clockInfo, firmwareVersion, attested };
  });
}
