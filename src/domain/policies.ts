/**
 * Reference policies of a domain: signed to the policy keys' threshold, kept by name and digest.
 */
import type { Signer } from "../wire/keys.ts";
import { type ImaRules, parseSigned, type ReferencePolicy, signObject } from "../wire/objects.ts";
import type { EventLogRules } from "../wire/policy-shapes.ts";
import { requireDigest } from "./creation.ts";
import { type Domain, loadPolicies } from "./domain.ts";
import { DomainError } from "./error.ts";
import { createFile, makeFolder } from "./files.ts";
import { enough, type Quorum } from "./signers.ts";

/** bank -> PCR -> allowed digests */
export type PcrValues = NonNullable<ReferencePolicy["pcrs"]>;

export interface PolicyRequest {
  readonly name: string;
  /** At least one of the two: the wire format refuses a policy that compares nothing. */
  readonly pcrs?: PcrValues | undefined;
  readonly eventLog?: EventLogRules;
  readonly firmwareVersionMin?: bigint;
  /** One more than the highest known version of that name where absent. */
  readonly version?: number;
  /** What a machine may have measured since it booted. */
  readonly ima?: ImaRules;
}

export interface SignedPolicy {
  readonly name: string;
  readonly version: number;
  readonly digest: Uint8Array;
  readonly bytes: Uint8Array;
  readonly file: string;
}

/** Any program can reset these two (TCG PC Client PTP §3.5.4: debug and application PCRs). */
const UNTRUSTED = [16, 23];

export function policyQuorum(domain: Domain): Quorum {
  return { name: "policy", ...domain.charter.object.claims.keysets.policy };
}

/** The claims of a policy, in bounds of what the core judges. Throws DomainError `domain.input`. */
export async function draftPolicy(
  domain: Domain,
  request: PolicyRequest,
  nowSeconds: number,
): Promise<ReferencePolicy> {
  const { pcrs, eventLog } = request;
  for (const values of [pcrs, eventLog].flatMap((banks) => Object.values(banks ?? {}))) {
    const untrusted = UNTRUSTED.find((pcr) => values?.has(pcr));
    if (untrusted !== undefined) {
      throw new DomainError(
        "domain.input",
        `PCR ${untrusted} can be reset by any program: no policy may read it.`,
      );
    }
  }
  const versions = (await loadPolicies(domain))
    .filter(({ name }) => name === request.name)
    .map(({ object }) => object.claims.version);
  return {
    domain: domain.name,
    iat: nowSeconds,
    name: request.name,
    version: request.version ?? Math.max(0, ...versions) + 1,
    ...(pcrs && { pcrs }),
    ...(eventLog && { eventLog }),
    ...(request.ima && { ima: request.ima }),
    ...(request.firmwareVersionMin !== undefined && {
      firmwareVersionMin: request.firmwareVersionMin,
    }),
  };
}

/** Signs a policy and keeps it in policies/, durably. It is not active yet. */
export async function signPolicy(
  domain: Domain,
  request: PolicyRequest,
  signers: readonly Signer[],
  nowSeconds: number,
): Promise<SignedPolicy> {
  const claims = await draftPolicy(domain, request, nowSeconds);
  const bytes = await signObject("policy", claims, enough(signers, policyQuorum(domain)));
  return keepPolicy(domain, bytes);
}

/**
 * Keeps a policy that was signed elsewhere. Throws WireError for what is none, DomainError for
 * another domain's.
 */
export async function keepPolicy(domain: Domain, bytes: Uint8Array): Promise<SignedPolicy> {
  const { claims, digest: found } = parseSigned("policy", bytes);
  if (claims.domain !== domain.name) {
    throw new DomainError("domain.input", `The policy belongs to the domain ${claims.domain}.`);
  }
  const digest = requireDigest(found);
  await makeFolder(domain.layout.policies);
  const file = domain.layout.policyFile(claims.name, digest);
  if (!(await createFile(file, bytes))) {
    throw new DomainError("domain.exists", `There is something at ${file} already.`);
  }
  return { name: claims.name, version: claims.version, digest, bytes, file };
}
