/**
 * Invitations: all that a new node needs to be enrolled by a plane, in one file: its address, its
 * certificate where nobody else vouches for it, the charter to trust, and a token. Whoever has the
 * file can enroll a TPM, and whoever can exchange it on its way chooses the node's domain.
 */
import { X509Certificate } from "node:crypto";
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { monotonicMs, nowSeconds } from "../clock.ts";
import { replaceFile } from "../domain/files.ts";
import { TokenFolder } from "../domain/tokens.ts";
import { makeToken } from "../plane/index.ts";
import { UsageError } from "./error.ts";
import type { Home } from "./home.ts";
import { readInput } from "./input-file.ts";

export interface Invitation {
  readonly plane: string;
  /** Digest of the charter in force, in hex. */
  readonly pin: string;
  readonly token: string;
  /** PEM; null where the system's authorities vouch for the plane. */
  readonly ca: string | null;
}

const DAY = 86_400;
const BYTES_MAX = 65_536;

/** Makes a token, and writes an invitation with it, private to this user. */
export async function writeInvitation(
  home: Home,
  file: string,
  labels: readonly string[],
  { plane, pin, certificate }: { plane: string; pin: string; certificate: string | null },
): Promise<void> {
  const terms = { labels: [...new Set(labels)].sort(), replace: false };
  const { text: token, record } = makeToken({
    role: "enroll",
    ...terms,
    expires: nowSeconds() + DAY,
  });
  await new TokenFolder(home.path).add(record);
  const ca = certificate !== null && isSelfSigned(certificate) ? certificate : null;
  const invitation: Invitation = { plane, pin, token, ca };
  await replaceFile(file, Buffer.from(`${JSON.stringify(invitation, null, 2)}\n`));
}

function isSelfSigned(pem: string): boolean {
  const certificate = new X509Certificate(pem);
  return certificate.issuer === certificate.subject;
}

/** A plane that is only just starting has not written its invitation yet: seconds. */
const WAIT_MS = 15_000;
const LOOK_MS = 200;

/** Waits a little for the file. @throws UsageError where it is absent, or no invitation. */
export async function readInvitation(file: string): Promise<Invitation> {
  const untilMs = monotonicMs() + WAIT_MS;
  while (!existsSync(file) && monotonicMs() < untilMs) await sleep(LOOK_MS);
  const text = Buffer.from(await readInput(file, BYTES_MAX)).toString("utf8");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new UsageError(`${file} is no invitation: \`portcullis serve --invite\` writes one.`, {
      cause,
    });
  }
  const { plane, pin, token, ca, ...rest } = value as Record<string, unknown>;
  const texts = [plane, pin, token].every((one) => typeof one === "string");
  if (texts && (ca === null || typeof ca === "string") && Object.keys(rest).length === 0) {
    return { plane, pin, token, ca } as Invitation;
  }
  throw new UsageError(`${file} is no invitation: it needs plane, pin, token and ca.`);
}
