/**
 * Tokens of operators: `pt_<id>_<secret>`, the secret 256 random bits. Kept is only its SHA-256,
 * compared in constant time, so that who reads the store cannot act with it; a salt or a slow hash
 * would add nothing to a random secret.
 */
import { hash, randomBytes, timingSafeEqual } from "node:crypto";

/** `operate` may also view. */
export type Role = "view" | "operate" | "enroll";
export const ROLES: readonly Role[] = ["view", "operate", "enroll"];

export interface TokenRecord {
  /** 16 hexadecimal digits. */
  readonly id: string;
  readonly role: Role;
  /** Labels that a node enrolled with it gets. */
  readonly labels: readonly string[];
  /** Whether it may give a known node another key. */
  readonly replace: boolean;
  /** Seconds since 1970. */
  readonly expires: number;
  /** SHA-256 of the secret's text. */
  readonly secretHash: Uint8Array;
}

/** Where tokens are kept. */
export interface TokenSource {
  find(id: string): Promise<TokenRecord | null>;
}

const FORM = /^pt_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/;
const NOBODY = new Uint8Array(32);

const hashOf = (secret: string): Uint8Array => new Uint8Array(hash("sha256", secret, "buffer"));

/** A new token: its text, to be shown once, and what is kept of it. */
export function makeToken(terms: Omit<TokenRecord, "id" | "secretHash">): {
  readonly text: string;
  readonly record: TokenRecord;
} {
  const id = randomBytes(8).toString("hex");
  const secret = randomBytes(32).toString("base64url");
  return { text: `pt_${id}_${secret}`, record: { ...terms, id, secretHash: hashOf(secret) } };
}

/** The token that this text is, if it is one that has not expired. */
export async function verifyToken(
  source: TokenSource,
  text: string,
  nowSeconds: number,
): Promise<TokenRecord | null> {
  const [, id, secret] = FORM.exec(text) ?? [];
  if (id === undefined || secret === undefined) return null;
  const record = await source.find(id);
  const same = timingSafeEqual(hashOf(secret), record?.secretHash ?? NOBODY);
  return record !== null && same && nowSeconds < record.expires ? record : null;
}

export function mayAct(role: Role, wanted: Role): boolean {
  return role === wanted || (role === "operate" && wanted === "view");
}
