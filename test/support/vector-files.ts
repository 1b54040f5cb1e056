/**
 * Readers of the two formats in which signature vectors come: Wycheproof's JSON and NIST's .rsp.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface Test {
  tcId: number;
  comment: string;
  flags: string[];
  msg: string;
  sig: string;
  result: "valid" | "invalid" | "acceptable";
}

/** One group: its key and parameters as the file has them, and its tests. */
export interface Group {
  sha?: string;
  sLen?: number;
  publicKey: { wx?: string; wy?: string; pk?: string; modulus?: string; publicExponent?: string };
  tests: Test[];
}

export function readWycheproof(dir: string, name: string): Group[] {
  const text = readFileSync(join(dir, "wycheproof/testvectors_v1", `${name}.json`), "utf8");
  const file: { testGroups: Group[] } = JSON.parse(text);
  return file.testGroups;
}

/**
 * A record of an .rsp file: its fields, and the bracketed headers in force, as "name" or "name =
 * value".
 */
export interface Response {
  section: string;
  fields: Record<string, string>;
}

/**
 * Blocks of `name = value` lines. A field such as RSA's n that stands in a block alone is repeated
 * by the caller.
 */
export function readResponses(path: string): Response[] {
  const responses: Response[] = [];
  let section = "";
  for (const block of readFileSync(path, "utf8").split(/\r?\n\s*\r?\n/)) {
    const fields: Record<string, string> = {};
    for (const line of block.split(/\r?\n/)) {
      const header = /^\[(.*)\]$/.exec(line.trim());
      if (header?.[1] !== undefined) section = header[1];
      const field = /^(\w+) = (.*)$/.exec(line.trim());
      if (field?.[1] !== undefined && field[2] !== undefined) fields[field[1]] = field[2];
    }
    if (Object.keys(fields).length > 0) responses.push({ section, fields });
  }
  return responses;
}

/** r||s of a strict DER signature (SEC 1 §C.8), each `width` bytes; null for any other encoding. */
export function fromDer(der: Uint8Array, width: number): Uint8Array | null {
  if (der.length < 2 || der[0] !== 0x30 || der[1] !== der.length - 2) return null;
  const out = new Uint8Array(2 * width);
  let at = 2;
  for (const end of [width, 2 * width]) {
    const length = der[at + 1];
    if (der[at] !== 0x02 || length === undefined || length === 0) return null;
    const number = der.subarray(at + 2, at + 2 + length);
    const [first = 0, second = 0] = number;
    if (number.length !== length || first >= 0x80) return null;
    if (first === 0 && length > 1 && second < 0x80) return null;
    const digits = first === 0 ? number.subarray(1) : number;
    if (digits.length > width) return null;
    out.set(digits, end - digits.length);
    at += 2 + length;
  }
  return at === der.length ? out : null;
}
