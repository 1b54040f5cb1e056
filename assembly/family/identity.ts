/**
 * identity: the node is the one enrolled, the quote is by its key, the grant is for it, and the
 * holder agreed.
 */
import { same, span } from "../abi";
import { REQUEST_DIGEST } from "../case";
import { Fault, READER_BYTES, Reader } from "../codec/cbor";
import * as context from "../context";
import * as cose from "../cose/message";
import { Flaw } from "../cose/message";
import * as evidence from "../evidence";
import { check } from "../findings";
import { Code, limits } from "../generated";
import * as chain from "../grant/chain";
import { judgeAudience } from "../grant/chain";
import { claim } from "../grant/claims";
import { Holder } from "../grant/element";
import * as node from "../grant/node";
import { judgeCredential, judgeEnroller, openNode } from "../grant/node";
import { attest, parseAttest } from "../tpm/attest";
import { checkAttestationKey, parsePublic, publicName } from "../tpm/public";

const NAME = memory.data(66, 8);
const PROOF = changetype<Reader>(memory.data(READER_BYTES, 8));

/** The attestation parses: `environment` names the code where it does not. */
export let hasAttest: bool = false;
/** The credential's key is an attestation key: a quote's signature can be judged by it. */
export let hasKey: bool = false;

/** Reads the credential and the attestation that later families compare with. */
export function openIdentity(): bool {
  hasKey = false;
  hasAttest = parseAttest(evidence.attest) == Code.NONE;
  return openNode(evidence.node);
}

export function judgeIdentity(hasNode: bool, hasRequest: bool): bool {
  if (!hasNode) return false;
  let holds = judgeEnroller(evidence.node);
  holds = judgeCredential(context.now) && holds;
  hasKey = judgeKey();
  holds = check(same(node.name, context.akName), Code.IDENTITY_NODE) && hasKey && holds;
  if (hasAttest) {
    const ours = same(attest.qualifiedSigner, node.qualifiedName);
    holds = check(ours, Code.IDENTITY_ATTESTATION_KEY) && holds;
  }
  holds = judgeAudience() && holds;
  if (!hasAttest || !hasRequest) return false;
  return judgeProof() && holds;
}

/** The public area is an attestation key's, and the Name recomputed from it is the credential's. */
function judgeKey(): bool {
  const sound = parsePublic(node.publicArea) == Code.NONE && checkAttestationKey() == Code.NONE;
  const named = sound && same(span(NAME, publicName(NAME)), node.name);
  return check(named, Code.IDENTITY_KEY);
}

/**
 * Proof of possession by the leaf's cnf (RFC 8747). A key signs this request's digest. Where the
 * executing node itself is the holder, its quote over the request is the proof, and there is
 * nothing else to present.
 */
function judgeProof(): bool {
  const e = chain.leaf();
  if (e.holder == <u8>Holder.NODE) return check(evidence.proof == 0, Code.IDENTITY_PROOF);
  return check(evidence.proof != 0 && isProof(), Code.IDENTITY_PROOF);
}

function isProof(): bool {
  if (cose.openSign1(evidence.proof, "proof", limits.payloadBytes) != Fault.NONE) return false;
  const r = PROOF.open(cose.payload);
  r.map(1, 1);
  r.require(r.int() == claim.PROOF_REQUEST);
  const request = r.digest();
  if (r.close() != Fault.NONE || !same(request, span(REQUEST_DIGEST, 32))) return false;
  return cose.verifyBy(chain.leaf().key) == Flaw.NONE;
}
