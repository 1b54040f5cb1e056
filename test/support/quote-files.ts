/**
 * Quotes of other projects, in the forms in which they come, made into what `appraiseQuote` takes.
 */
import { createPublicKey, type KeyObject } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Quote } from "../../src/core/index.ts";
import { AK_ATTRIBUTES, type Bank, concat, TPM_ALG, tpm2b, u16, u32 } from "./ak.ts";
import { hex } from "./signatures.ts";
import { policyOf } from "./tpm-structures.ts";

export const base64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"));
export const bytesIn = (...path: string[]): Uint8Array =>
  new Uint8Array(readFileSync(join(...path)));
export const textIn = (...path: string[]): string => readFileSync(join(...path), "utf8").trim();
export const jsonIn = <T>(...path: string[]): T => JSON.parse(textIn(...path)) as T;

/** Folders below this one that hold a file of that name, this one included, as relative paths. */
export function foldersWith(dir: string, name: string, at = ""): string[] {
  const here = join(dir, at);
  const inner = readdirSync(here)
    .filter((entry) => statSync(join(here, entry)).isDirectory())
    .flatMap((entry) => foldersWith(dir, name, join(at, entry)));
  return existsSync(join(here, name)) ? [at, ...inner] : inner;
}

/** The part of an expectation file that concerns a quote. */
export interface ExpectedQuote {
  readonly extraData: string;
  readonly scheme: "rsassa" | "rsapss" | "ecdsa";
  readonly hash: Bank;
  readonly selection: readonly (readonly [Bank, readonly number[]])[];
  readonly signature_valid?: boolean | string;
  readonly pcr_digest_matches?: boolean;
}

const SCHEMES = { rsassa: 0x0014, rsapss: 0x0016, ecdsa: 0x0018 } as const;
const RSA = 0x0001;
const ECC = 0x0023;
const NULL = 0x0010;
const CURVES: Readonly<Record<string, number>> = { "P-256": 0x0003, "P-384": 0x0004 };

/** A TPMT_PUBLIC around a key of which only the public key is known: its Name is not the TPM's. */
export function publicAreaOf(key: KeyObject | string, expected: ExpectedQuote): Uint8Array {
  const jwk = (typeof key === "string" ? createPublicKey(key) : key).export({ format: "jwk" });
  const part = (name: "n" | "x" | "y"): Uint8Array =>
    new Uint8Array(Buffer.from(jwk[name] ?? "", "base64url"));
  const head = [u16(TPM_ALG.sha256), u32(AK_ATTRIBUTES), u16(0), u16(NULL)];
  const scheme = [u16(SCHEMES[expected.scheme]), u16(TPM_ALG[expected.hash])];
  if (jwk.kty === "RSA") {
    const n = part("n");
    return concat(u16(RSA), ...head, ...scheme, u16(n.length * 8), u32(0), tpm2b(n));
  }
  const curve = u16(CURVES[jwk.crv ?? ""] ?? 0);
  return concat(u16(ECC), ...head, ...scheme, curve, u16(NULL), tpm2b(part("x")), tpm2b(part("y")));
}

/** A TPMT_SIGNATURE around a bare RSA signature. */
export function rsaSignature(signature: Uint8Array, expected: ExpectedQuote): Uint8Array {
  return concat(u16(SCHEMES[expected.scheme]), u16(TPM_ALG[expected.hash]), tpm2b(signature));
}

/** PCR values as JSON files have them: bank to index to hex. */
export type PcrFile = { readonly [bank in Bank]?: { readonly [index: string]: string } };

export function pcrsFrom(file: PcrFile): Quote["pcrs"] {
  const banks = Object.entries(file).map(([bank, values]) => {
    return [bank, Object.fromEntries(Object.entries(values).map(([i, v]) => [i, hex(v)]))];
  });
  return Object.fromEntries(banks);
}

/** A policy over every PCR of the selection that a policy may read, with the values supplied. */
export function policyOver(
  selection: ExpectedQuote["selection"],
  pcrs: Quote["pcrs"],
): Quote["policy"] {
  const banks = selection.map(([bank, indexes]) => {
    const trusted = indexes.filter((index) => index !== 16 && index !== 23);
    const values = trusted.map((index) => [index, pcrs[bank]?.[index] ?? hex("")] as const);
    return [bank, new Map(values)];
  });
  return policyOf(Object.fromEntries(banks));
}

/**
 * The PCR file of tpm2-tools: a TPML_PCR_SELECTION as it lies in memory (little-endian, 16 entries
 * of 8 bytes), then the number of TPML_DIGESTs, each a count and 8 entries of 66 bytes.
 */
export function readPcrFile(file: Uint8Array, selection: ExpectedQuote["selection"]) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const values: Uint8Array[] = [];
  const LISTS_AT = 4 + 16 * 8;
  for (let list = 0; list < view.getUint32(LISTS_AT, true); list++) {
    const at = LISTS_AT + 4 + list * (4 + 8 * 66);
    for (let i = 0; i < view.getUint32(at, true); i++) {
      const entry = at + 4 + i * 66;
      values.push(file.slice(entry + 2, entry + 2 + view.getUint16(entry, true)));
    }
  }
  const rows = selection.flatMap(([bank, indexes]) => indexes.map((i) => [bank, i] as const));
  const banks: { [bank in Bank]?: { [index: number]: Uint8Array } } = {};
  rows.forEach(([bank, index], i) => {
    banks[bank] = { ...banks[bank], [index]: values[i] ?? new Uint8Array() };
  });
  return banks;
}
