/** What the cases with an IMA list have in common: a machine, a key that signs files, rules. */
import { createPublicKey } from "node:crypto";
import type { Quote } from "../../src/core/index.ts";
import { concat } from "../../test/support/ak.ts";
import { HASH } from "../../test/support/event-logs.ts";
import { BOOT_PCRS, entryOf, fileDigest, pcr10 } from "../../test/support/ima-cases.ts";
import { encodeList, type MadeEntry, ngEntry } from "../../test/support/ima-lists.ts";
import { nodeKey, testSigner } from "../../test/support/keys.ts";
import type { Rules } from "./case.ts";
import { quoteOver } from "./log-rows.ts";

export const text = (value: string): Uint8Array => new Uint8Array(Buffer.from(value, "latin1"));
export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
export const MOST = 0xffff_ffff;

export const A = ngEntry("/bin/a");
export const B = ngEntry("/bin/b");
export const ENTRIES: readonly MadeEntry[] = [A, B];
export const BOOT = BOOT_PCRS.map(([, value]) => value);

/** A machine whose PCR 10 is as these entries leave it, and what it shows. */
export function measuring(entries: readonly MadeEntry[], parts: Partial<Quote> = {}): Quote {
  const sha256 = new Map([...BOOT_PCRS, [10, pcr10(entries)] as const]);
  return quoteOver({ sha256 }, { ima: encodeList(entries), ...parts });
}
export const showing = (ima: Uint8Array): Quote => measuring(ENTRIES, { ima });

/** A key that signs files, as `evmctl` and the kernel keep its signatures: security.ima, version 2. */
const SIGNER = testSigner("a key that signs files", "P-256");
const KEY = createPublicKey(nodeKey(SIGNER));
const PEM = `${KEY.export({ type: "spki", format: "pem" })}`;
const { key: POINT } = SIGNER;
const KEY_ID =
  POINT.kty === "EC2"
    ? HASH.sha1(concat(Uint8Array.of(4), POINT.x, POINT.y)).subarray(-4)
    : new Uint8Array(4);

/** Ecdsa-Sig-Value, RFC 3279 §2.2.3. */
function der(raw: Uint8Array): Uint8Array {
  const numbers = [raw.subarray(0, 32), raw.subarray(32)].map((half) => {
    const from = half.findIndex((byte) => byte !== 0);
    const short = half.subarray(from);
    const value = (short[0] ?? 0) < 0x80 ? short : concat(Uint8Array.of(0), short);
    return concat(Uint8Array.of(2, value.length), value);
  });
  const body = concat(...numbers);
  return concat(Uint8Array.of(0x30, body.length), body);
}

export const SHA256_ID = 4;
export const SHA1_ID = 2;
/** The signature of the file at a path, whose content is its path. */
function attribute(path: string, hash = SHA256_ID, id = KEY_ID): Uint8Array {
  const signature = der(SIGNER.sign(text(path)));
  return concat(Uint8Array.of(3, 2, hash), id, Uint8Array.of(0, signature.length), signature);
}
export const dNg = (path: string): Uint8Array => concat(text("sha256:\0"), fileDigest(path));
export const signed = (path: string, by = path, hash = SHA256_ID, id = KEY_ID): MadeEntry =>
  entryOf("ima-sig", dNg(path), text(`${path}\0`), attribute(by, hash, id));
export const flipped = (path: string): MadeEntry => {
  const bytes = attribute(path);
  const last = bytes.length - 1;
  return entryOf("ima-sig", dNg(path), text(`${path}\0`), bytes.with(last, (bytes[last] ?? 0) ^ 1));
};

export const files = (...paths: readonly string[]): { readonly [path: string]: string } =>
  Object.fromEntries(paths.map((path) => [path, hex(fileDigest(path))]));
export const ima = (rules: object): Rules => ({ ima: { aggregate: "false", ...rules } });
export const RULES = ima({ files: files("/bin/a", "/bin/b") });
export const KEYS = ima({ keys: [PEM] });
