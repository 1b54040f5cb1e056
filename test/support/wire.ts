import { WireError } from "../../src/wire/error.ts";

export const hex = (text: string): Uint8Array =>
  new Uint8Array(Buffer.from(text.replaceAll(/\s/g, ""), "hex"));
export const unhex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** The WireError that the work throws; anything else, or nothing, fails the test. */
export function refusal(work: () => unknown): WireError {
  try {
    work();
  } catch (error) {
    if (error instanceof WireError) return error;
    throw error;
  }
  throw new Error("not refused");
}
