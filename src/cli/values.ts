/**
 * Values of options and documents: spans, times, digests, numbers. Each refusal says where and what
 * was expected.
 */
import { UsageError } from "./error.ts";

const UNITS: { readonly [unit: string]: number } = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** `90s`, `15m`, `8h`, `30d`, or a whole number of seconds. */
export function parseSpan(text: string, at: string): number {
  const [, digits = "", unit = "s"] = /^(\d{1,9})([smhd])?$/.exec(text) ?? [];
  const seconds = Number(digits) * (UNITS[unit] ?? 0);
  if (digits !== "" && seconds >= 1) return seconds;
  throw new UsageError(`${at}: "${text}" is no span of time: write 90s, 15m, 8h or 30d.`);
}

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)$/;

/** ISO 8601 with its zone, or seconds since 1970. */
export function parseTime(text: string, at: string): number {
  if (/^\d{1,12}$/.test(text)) return Number(text);
  const milliseconds = ISO.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(milliseconds)) return Math.floor(milliseconds / 1000);
  throw new UsageError(`${at}: "${text}" is no time: write it as 2030-01-31T08:00:00Z.`);
}

/** Hex of exactly so many bytes. */
export function parseHex(text: string, bytes: number, at: string): Uint8Array {
  if (/^[0-9a-f]*$/i.test(text) && text.length === 2 * bytes) {
    return new Uint8Array(Buffer.from(text, "hex"));
  }
  throw new UsageError(`${at}: expected ${2 * bytes} hexadecimal digits.`);
}

/** RFC 9711 §4.2.1: 7 to 33 bytes. */
export function parseUeid(text: string, at: string): Uint8Array {
  if (/^([0-9a-f]{2}){7,33}$/i.test(text)) return new Uint8Array(Buffer.from(text, "hex"));
  throw new UsageError(`${at}: "${text}" is no UEID: 14 to 66 hexadecimal digits.`);
}

export function parseCount(text: string, min: number, max: number, at: string): number {
  const count = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (count >= min && count <= max) return count;
  throw new UsageError(`${at}: "${text}" is no whole number from ${min} to ${max}.`);
}

/** An option's parser for commander, which calls it with the text. */
export function spanOption(flag: string): (text: string) => number {
  return (text) => parseSpan(text, flag);
}

export function countOption(flag: string, min: number, max: number): (text: string) => number {
  return (text) => parseCount(text, min, max, flag);
}

/** Collects an option that may be given several times. */
export function collect(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value];
}
