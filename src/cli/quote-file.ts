/**
 * The files in which tools keep a quote: those of tpm2-tools 5, OpenSSL's and ours. Read here into
 * the structures of Part 2, nothing of them is verified.
 */
import { createPublicKey } from "node:crypto";
import { BANK_NAMES, BANKS, PCRS, type Pcrs } from "../core/banks.ts";
import type { HashName } from "../core/signature.ts";
import { parseAttest } from "../tpm/structures/attest.ts";
import { TPM_ALG, TPM_ECC, TPMA_OBJECT } from "../tpm/structures/constants.ts";
import { encodePublic, parsePublic, type TPMT_PUBLIC } from "../tpm/structures/public.ts";
import { parseSignature } from "../tpm/structures/signature.ts";
import { UsageError } from "./error.ts";

export type SchemeName = "rsassa" | "rsapss" | "ecdsa";
/** How a key signs. */
export interface StatedScheme {
  readonly scheme: SchemeName;
  readonly hash: HashName;
}

const SCHEMES: Readonly<Record<SchemeName, number>> = {
  rsassa: TPM_ALG.RSASSA,
  rsapss: TPM_ALG.RSAPSS,
  ecdsa: TPM_ALG.ECDSA,
};
const CURVES: ReadonlyMap<string | undefined, number> = new Map([
  ["P-256", TPM_ECC.NIST_P256],
  ["P-384", TPM_ECC.NIST_P384],
]);
const A = TPMA_OBJECT;
const AK =
  A.fixedTPM | A.fixedParent | A.sensitiveDataOrigin | A.userWithAuth | A.restricted | A.sign;

const view = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const ascii = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

/** What a TPM2B holds, if the bytes are exactly one; else the bytes. */
export function withoutSize(bytes: Uint8Array): Uint8Array {
  const sized = bytes.length > 2 && view(bytes).getUint16(0) === bytes.length - 2;
  return sized ? bytes.subarray(2) : bytes;
}

/** The attributes of a key in PEM are unknown: it is taken for the attestation key that it may be. */
function fromPem(text: string, hash: HashName, scheme: SchemeName | undefined): TPMT_PUBLIC {
  const jwk = createPublicKey(text).export({ format: "jwk" });
  const signs = scheme ?? (jwk.kty === "RSA" ? "rsassa" : "ecdsa");
  const part = (value: string | undefined) => new Uint8Array(Buffer.from(value ?? "", "base64url"));
  const common = {
    nameAlg: TPM_ALG.SHA256,
    objectAttributes: AK,
    authPolicy: new Uint8Array(),
    symmetric: null,
    scheme: { scheme: SCHEMES[signs], hash: BANKS[hash].id },
  };
  if (jwk.kty === "RSA") {
    const [n, e] = [part(jwk.n), Number(`0x${Buffer.from(part(jwk.e)).toString("hex")}`)];
    if (e > 0xffff_ffff) throw new UsageError("--public: the RSA exponent is too large.");
    return { type: TPM_ALG.RSA, ...common, keyBits: n.length * 8, exponent: e, n };
  }
  const curveID = CURVES.get(jwk.crv);
  if (curveID === undefined) {
    throw new UsageError("--public: the key is neither RSA nor ECC on P-256 or P-384.");
  }
  return { type: TPM_ALG.ECC, ...common, curveID, kdf: null, x: part(jwk.x), y: part(jwk.y) };
}

export interface PublicFile {
  /** TPMT_PUBLIC. */
  readonly area: Uint8Array;
  /** False for PEM: nothing says then that the key is restricted, nor by what scheme it signs. */
  readonly attributesKnown: boolean;
}

/**
 * A key as TPM2B_PUBLIC, TPMT_PUBLIC or PEM.
 * @throws UsageError where PEM holds no usable key.
 */
export function readPublicFile(
  bytes: Uint8Array,
  hash: HashName,
  scheme: SchemeName | undefined,
): PublicFile {
  const text = ascii(bytes);
  if (!text.includes("-----BEGIN ")) return { area: withoutSize(bytes), attributesKnown: true };
  let key: TPMT_PUBLIC;
  try {
    key = fromPem(text, hash, scheme);
  } catch (cause) {
    if (cause instanceof UsageError) throw cause;
    throw new UsageError("--public: the PEM holds no public key.", { cause });
  }
  return { area: encodePublic(key), attributesKnown: false };
}

/** The scheme that the key names itself; null where the core will say what is wrong with it. */
export function schemeOf(area: Uint8Array): StatedScheme | null {
  try {
    const { scheme } = parsePublic(area);
    const names = Object.entries(SCHEMES) as [SchemeName, number][];
    const name = names.find(([, id]) => id === scheme?.scheme)?.[0];
    const hash = BANK_NAMES.find((bank) => BANKS[bank].id === scheme?.hash);
    return name && hash ? { scheme: name, hash } : null;
  } catch {
    return null;
  }
}

/** Whether the bytes are a TPMT_SIGNATURE, from the first to the last. */
export function isTpmSignature(bytes: Uint8Array): boolean {
  try {
    parseSignature(bytes);
    return true;
  } catch {
    return false;
  }
}

const sized = (bytes: Uint8Array): Uint8Array =>
  Uint8Array.of(bytes.length >>> 8, bytes.length & 0xff, ...bytes);

/** SEQUENCE { r INTEGER, s INTEGER }, as OpenSSL writes ECDSA; null for anything else. */
function derPair(bytes: Uint8Array): [Uint8Array, Uint8Array] | null {
  const [tag, length] = bytes;
  if (tag !== 0x30 || length !== bytes.length - 2 || length > 0x7f) return null;
  const found: Uint8Array[] = [];
  for (let at = 2; at < bytes.length; ) {
    const end = at + 2 + (bytes[at + 1] ?? 0);
    if (bytes[at] !== 0x02 || end > bytes.length) return null;
    const value = bytes.subarray(at + 2, end);
    found.push(value[0] === 0 ? value.subarray(1) : value);
    at = end;
  }
  const [r, s, ...more] = found;
  return r && s && more.length === 0 ? [r, s] : null;
}

/**
 * A TPMT_SIGNATURE; or, where a scheme is stated, the bare signature: RSA's integer, ECDSA in DER or
 * as r and s of one width.
 */
export function readSignatureFile(bytes: Uint8Array, bare: StatedScheme | null): Uint8Array {
  if (bare === null) return bytes;
  const { scheme, hash } = bare;
  const head = [SCHEMES[scheme], BANKS[hash].id].flatMap((id) => [id >>> 8, id & 0xff]);
  if (scheme !== "ecdsa") return Uint8Array.of(...head, ...sized(bytes));
  const half = bytes.length / 2;
  const [r, s] = derPair(bytes) ?? [bytes.subarray(0, half), bytes.subarray(half)];
  return Uint8Array.of(...head, ...sized(r), ...sized(s));
}

/** PCRs by bank and index, in an order. */
export type Selection = readonly (readonly [HashName, number])[];

/**
 * What tpm2-tools take for `--pcr-list`: `sha256:0,1,2+sha1:all`. A TPM lists the PCRs of a bank in
 * ascending order, and so do its tools.
 */
export function readPcrList(text: string): Selection {
  const banks = text.split("+").map((part): [HashName, number[]] => {
    const [name = "", list = "", ...rest] = part.split(":");
    const bank = BANK_NAMES.find((one) => one === name);
    const indexes = list === "all" ? [...Array(PCRS).keys()] : list.split(",").map(pcrOf);
    if (bank !== undefined && rest.length === 0) return [bank, [...new Set(indexes)]];
    throw new UsageError(
      `--pcr-list: "${part}" is no bank with PCRs: write sha256:0,1,7+sha1:all.`,
    );
  });
  if (new Set(banks.map(([bank]) => bank)).size < banks.length) {
    throw new UsageError("--pcr-list: a bank stands twice.");
  }
  return banks.flatMap(([bank, pcrs]) =>
    pcrs.sort((a, b) => a - b).map((pcr) => [bank, pcr] as const),
  );
}

function pcrOf(text: string): number {
  if (/^(\d|1\d|2[0-3])$/.test(text)) return Number(text);
  throw new UsageError(`--pcr-list: "${text}" is no PCR from 0 to 23.`);
}

/** The PCRs that the signed selection names, in its order; none where it cannot be read. */
export function signedSelection(attest: Uint8Array): Selection {
  try {
    const { attested } = parseAttest(attest);
    if (attested.type !== "quote") return [];
    return attested.pcrSelect.flatMap(({ hash, pcrs }) => {
      const bank = BANK_NAMES.find((name) => BANKS[name].id === hash);
      return bank === undefined ? [] : pcrs.map((pcr) => [bank, pcr] as const);
    });
  } catch {
    return []; // the core names what is wrong with the quote
  }
}

function fromRows(rows: readonly (readonly [HashName, number, Uint8Array])[]): Pcrs {
  const pcrs: { [bank in HashName]?: { [index: number]: Uint8Array } } = {};
  for (const [bank, index, value] of rows) pcrs[bank] = { ...pcrs[bank], [index]: value };
  return pcrs;
}

/** tpm2_quote -F serialized: a TPML_PCR_SELECTION and TPML_DIGESTs as they lie in memory. */
const SELECTIONS = 16;
const SELECTION_BYTES = 8;
const LISTS_AT = 4 + SELECTIONS * SELECTION_BYTES;
const DIGESTS = 8;
const DIGEST_BYTES = 66;
const LIST_BYTES = 4 + DIGESTS * DIGEST_BYTES;

/** The file's own selection, which names its values; null where it is no such file. */
function serialized(bytes: Uint8Array): Pcrs | null {
  const file = view(bytes);
  const lists = bytes.length < LISTS_AT + 4 ? 0 : file.getUint32(LISTS_AT, true);
  const fits = lists > 0 && lists <= 64 && bytes.length === LISTS_AT + 4 + lists * LIST_BYTES;
  if (!fits || file.getUint32(0, true) > SELECTIONS) return null;
  const values: Uint8Array[] = [];
  for (let list = 0; list < lists; list++) {
    const at = LISTS_AT + 4 + list * LIST_BYTES;
    const count = file.getUint32(at, true);
    if (count > DIGESTS) return null;
    for (let i = 0; i < count; i++) {
      const entry = at + 4 + i * DIGEST_BYTES;
      const length = file.getUint16(entry, true);
      if (length > DIGEST_BYTES - 2) return null;
      values.push(bytes.slice(entry + 2, entry + 2 + length));
    }
  }
  const rows: [HashName, number, Uint8Array][] = [];
  for (let i = 0; i < file.getUint32(0, true); i++) {
    const at = 4 + i * SELECTION_BYTES;
    const bank = BANK_NAMES.find((name) => BANKS[name].id === file.getUint16(at, true));
    for (let pcr = 0; pcr < PCRS; pcr++) {
      if (((bytes[at + 3 + (pcr >>> 3)] ?? 0) & (1 << (pcr & 7))) === 0) continue;
      const value = values.shift();
      if (value && bank) rows.push([bank, pcr, value]);
    }
  }
  return values.length === 0 ? fromRows(rows) : null;
}

/** JSON {bank: {index: hex}}, alone or below "pcrs", as `portcullis eventlog --json` prints it. */
function fromJson(text: string): Pcrs | null {
  const whole = JSON.parse(text) as { readonly pcrs?: unknown } | null;
  const banks = (whole?.pcrs ?? whole) as Readonly<
    Record<string, Readonly<Record<string, unknown>>>
  >;
  const rows = BANK_NAMES.flatMap((bank) =>
    Object.entries(banks[bank] ?? {}).map(([index, value]) => [bank, index, value] as const),
  );
  const good = rows.every(([, index, value]) => {
    return /^\d{1,2}$/.test(index) && typeof value === "string" && /^([0-9a-f]{2})+$/i.test(value);
  });
  if (!good || rows.length === 0) return null;
  return fromRows(
    rows.map(([bank, index, value]) => {
      return [bank, Number(index), new Uint8Array(Buffer.from(String(value), "hex"))] as const;
    }),
  );
}

/** The text that tpm2_pcrread and tpm2_quote print: a bank's name, then `index: 0xHEX` lines. */
function fromText(text: string): Pcrs | null {
  const rows: [HashName, number, Uint8Array][] = [];
  let bank: HashName | undefined;
  for (const line of text.split("\n")) {
    const head = /^\s*([a-z0-9_]+)\s*:\s*$/.exec(line)?.[1];
    if (head !== undefined) bank = BANK_NAMES.find((name) => name === head);
    const [, index, value] =
      /^\s*(\d{1,2})\s*:\s*(?:0x)?([0-9A-Fa-f]{40,128})\s*$/.exec(line) ?? [];
    if (bank === undefined || index === undefined || value === undefined) continue;
    rows.push([bank, Number(index), new Uint8Array(Buffer.from(value, "hex"))]);
  }
  return rows.length === 0 ? null : fromRows(rows);
}

/** Values one behind another, in the order of the signed selection (tpm2_pcrread -o, -F values). */
function concatenated(bytes: Uint8Array, selection: Selection): Pcrs | null {
  const rows: [HashName, number, Uint8Array][] = [];
  let at = 0;
  for (const [bank, index] of selection) {
    rows.push([bank, index, bytes.slice(at, at + BANKS[bank].bytes)]);
    at += BANKS[bank].bytes;
  }
  return at === bytes.length && at > 0 ? fromRows(rows) : null;
}

/**
 * PCR values in any of these forms. What the values are worth, only the signed digest tells.
 * @throws UsageError for a file in none of them.
 */
export function readPcrFile(bytes: Uint8Array, selection: Selection): Pcrs {
  const text = ascii(bytes);
  const isText = /^[\s!-~]*$/.test(text);
  const read = (): Pcrs | null => {
    if (!isText) return serialized(bytes) ?? concatenated(bytes, selection);
    return text.trimStart().startsWith("{") ? fromJson(text) : fromText(text);
  };
  let found: Pcrs | null = null;
  try {
    found = read() ?? concatenated(bytes, selection);
  } catch (cause) {
    throw new UsageError("--pcrs: the file is no JSON of {bank: {index: hex}}.", { cause });
  }
  if (found) return found;
  throw new UsageError(
    "--pcrs: the file is neither of tpm2_quote or tpm2_pcrread, nor JSON of {bank: {index: hex}}, " +
      "nor has it as many bytes as the signed selection asks for.",
  );
}
