/** Whether enough keys of a set signed an object; a first look, before the core judges it. */

import { compareBytes } from "../bytes.ts";
import { signedBytes, type UnverifiedMessage } from "../wire/cose.ts";
import { thumbprint, verifySignature } from "../wire/keys.ts";
import { DomainError } from "./error.ts";
import type { Quorum } from "./signers.ts";

/**
 * Counts distinct keys whose signatures verify.
 *
 * @throws DomainError `domain.malformed` where they are fewer than the threshold.
 */
export function requireSigned(message: UnverifiedMessage, quorum: Quorum): void {
  const signing = quorum.keys.filter((key) =>
    message.signatures.some(
      (signature) =>
        compareBytes(signature.kid, thumbprint(key)) === 0 &&
        verifySignature(key, signedBytes(message, signature), signature.signature),
    ),
  );
  if (signing.length >= quorum.threshold) return;
  throw new DomainError(
    "domain.malformed",
    `Only ${signing.length} of the ${quorum.threshold} signatures that ${quorum.name} asks for hold.`,
  );
}
