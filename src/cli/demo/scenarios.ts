/** The demo's steps: what is presented, and the one outcome that is right. */
import { randomBytes } from "node:crypto";
import { quotePcrs } from "../../agent/index.ts";
import { nowSeconds } from "../../clock.ts";
import { parseChain } from "../../domain/chains.ts";
import { draftLink } from "../../domain/delegation.ts";
import {
  activatePolicy,
  deactivatePolicy,
  renewSnapshot,
  revoke,
  setFreeze,
} from "../../domain/publication.ts";
import type { AttestedRequest, EvidenceSource } from "../../gate/evidence.ts";
import { createPrimary, openTpm, TPM_ALG, TPM_RH } from "../../tpm/index.ts";
import { akTemplate } from "../../tpm/structures/templates.ts";
import { sha256 } from "../../wire/digests.ts";
import { generateKey, signerOf } from "../../wire/keys.ts";
import { merkleRoot } from "../../wire/merkle.ts";
import { type Grant, type Link, signObject } from "../../wire/objects.ts";
import type { GrantChange } from "./authority.ts";
import { BOOT_SCENARIOS } from "./boot-scenarios.ts";
import { MEASURED } from "./measured.ts";
import { PLANE_SCENARIOS } from "./plane-scenarios.ts";
import { rotateGovernance, snapshotBy } from "./rotation.ts";
import type { Elements, Scenario } from "./scenario.ts";
import type { Site } from "./site.ts";

const now = nowSeconds;

/** Flips a bit in the middle: inside the payload. */
function tampered(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  const middle = Math.floor(copy.length / 3);
  copy[middle] = (copy[middle] ?? 0) ^ 1;
  return copy;
}

/** The quote of the first, admitted run, as someone on the network would have kept it. */
let kept: AttestedRequest | null = null;

function keep(real: EvidenceSource): EvidenceSource {
  return {
    attest: async (request) => {
      kept = await real.attest(request);
      return kept;
    },
  };
}

function replayed(): EvidenceSource {
  return {
    attest: async () => {
      if (kept === null) throw new Error("no quote was kept");
      return kept;
    },
  };
}

/** A key outside the endorsement hierarchy: a primary of the owner's, with the same template. */
function otherHierarchy(site: Site): EvidenceSource {
  return {
    attest: async (request) => {
      await using tpm = await openTpm(site.machine.uri);
      await using key = await createPrimary(tpm, TPM_RH.OWNER, akTemplate("ecc"));
      const selection = [{ hash: TPM_ALG.SHA256, pcrs: [0, 1, 2, 3, 4, 5, 6, 7] }];
      const quoted = await quotePcrs(tpm, key, merkleRoot([request]), selection);
      const { attest, signature, values } = quoted;
      return { attest, signature, index: 0, size: 1, path: [], pcrs: values };
    },
  };
}

/** What a program without the TPM's key can do: a well-formed quote, signed by a key of its own. */
function softwareMade(real: EvidenceSource): EvidenceSource {
  return {
    attest: async (request) => {
      const genuine = await real.attest(request);
      const signed = await signerOf(generateKey("P-256")).sign(genuine.attest);
      const half = (start: number): Uint8Array[] => [
        Uint8Array.of(0, 32),
        signed.subarray(start, start + 32),
      ];
      const header = Uint8Array.of(0, TPM_ALG.ECDSA, 0, TPM_ALG.SHA256);
      return { ...genuine, signature: Buffer.concat([header, ...half(0), ...half(32)]) };
    },
  };
}

/** A grant that the demo's agent holds, and may hand on once. */
const agentGrant = (site: Site): GrantChange => ({
  claims: { cnf: { key: site.agent.key }, maxDepth: 1 },
});

/**
 * The agent hands the grant on to the node, for a sub-job; `change` is what it writes against the
 * rules.
 */
const handOn =
  (change: Partial<Link> = {}) =>
  async (grant: Uint8Array, site: Site): Promise<Elements> => {
    const request = {
      issuer: "agent@example.org",
      holder: { node: "executing" },
      uses: 1,
    } as const;
    const drafted = draftLink(parseChain(grant), request, now());
    return [grant, await signObject("link", { ...drafted, ...change }, [site.agent])];
  };

const claims = (change: Partial<Grant>) => () => ({ claims: change });

export const SCENARIOS: readonly Scenario[] = [
  {
    title: "everything is proven",
    expected: null,
    evidence: (_site, real) => keep(real),
  },
  { title: "no authorization", expected: "artifact.missing", elements: () => [] },
  {
    title: "authorization tampered with",
    expected: "signature.invalid",
    elements: (grant) => [tampered(grant)],
  },
  {
    title: "signed by a key that is no authority",
    expected: "signature.unknown-key",
    grant: () => ({ signers: [signerOf(generateKey("Ed25519"))] }),
  },
  {
    title: "one signer short of the threshold",
    expected: "signature.threshold",
    grant: (site) => ({ signers: [site.authority.oneKey] }),
  },
  {
    title: "expired",
    expected: "window.expired",
    grant: () => claims({ iat: now() - 20, nbf: now() - 20, exp: now() - 10 })(),
  },
  {
    title: "not yet valid",
    expected: "window.not-yet",
    grant: () => claims({ nbf: now() + 600 })(),
  },
  {
    title: "other executable bytes",
    expected: "policy.executable",
    job: { executable: "/bin/cat" },
  },
  { title: "other arguments", expected: "policy.arguments", job: { argv: ["echo", "open up"] } },
  {
    title: "LD_PRELOAD set",
    expected: "policy.variable",
    job: { environment: [{ name: "LD_PRELOAD", value: "/tmp/evil.so" }] },
  },
  {
    title: "the policy is no longer active",
    expected: "policy.inactive",
    before: async (site) => {
      site.remembered = await site.policyDigest();
      const choice = { name: site.policyName, digest: null };
      await deactivatePolicy(site.home.path, await site.publication(), choice);
    },
    after: async (site) => {
      const choice = { name: site.policyName, digest: site.remembered };
      const replace = { replace: true };
      await activatePolicy(site.home.path, await site.publication(), choice, replace);
    },
  },
  {
    title: "another node's authorization",
    expected: "identity.audience",
    grant: claims({ audience: [new Uint8Array([1, ...randomBytes(32)])] }),
  },
  {
    title: "a PCR changed after the policy was made",
    expected: "environment.pcr-mismatch",
    before: (site) => site.machine.extend(4, "another boot loader"),
    after: (site) => site.machine.reboot(),
  },
  ...MEASURED,
  ...BOOT_SCENARIOS,
  {
    title: "a quote replayed from an earlier run",
    expected: "environment.quote-nonce",
    evidence: replayed,
  },
  {
    title: "a fresh quote, but for another job of this node",
    expected: "environment.quote-nonce",
    evidence: (_site, real) => ({ attest: (request) => real.attest(sha256(request)) }),
  },
  {
    title: "a quote made in software",
    expected: "environment.quote-signature",
    evidence: (_site, real) => softwareMade(real),
  },
  {
    title: "a key outside the endorsement hierarchy",
    expected: "identity.attestation-key",
    evidence: otherHierarchy,
  },
  {
    title: "one use claimed twice",
    expected: "internal.ledger",
    between: (_site, other) => other(),
  },
  {
    title: "revoked",
    expected: "revocation.artifact",
    before: async (site) => {
      const index = site.authority.lastStatusIndex;
      await revoke(site.home.path, await site.publication(), [{ kind: "grants", index }]);
    },
  },
  {
    title: "a sub-job that an agent handed on, narrower",
    expected: null,
    grant: agentGrant,
    elements: handOn(),
  },
  {
    title: "a sub-job that an agent handed on, wider",
    expected: "lineage.scope",
    grant: agentGrant,
    elements: handOn({ scope: { runtimeSeconds: 3_600 } }),
  },
  {
    title: "an agent's sub-job, its origin revoked",
    expected: "revocation.ancestor",
    grant: agentGrant,
    elements: handOn(),
    before: async (site) => {
      const index = site.authority.lastStatusIndex;
      await revoke(site.home.path, await site.publication(), [{ kind: "grants", index }]);
    },
  },
  {
    title: "frozen by governance",
    expected: "governance.frozen",
    before: async (site) => {
      await setFreeze(site.home.path, await site.publication(), "new");
    },
    after: async (site) => {
      await setFreeze(site.home.path, await site.publication(), "none");
    },
  },
  {
    title: "break-glass: one more signature, and a mark in the log",
    expected: null,
    grant: (site) => site.authority.breakGlass(),
    marked: true,
  },
  {
    title: "break-glass with the signatures of a usual grant",
    expected: "signature.threshold",
    grant: async (site) => ({ claims: (await site.authority.breakGlass()).claims ?? {} }),
  },
  {
    title: "break-glass while frozen: no way around",
    expected: "governance.frozen",
    grant: (site) => site.authority.breakGlass(),
    before: async (site) => {
      await setFreeze(site.home.path, await site.publication(), "new");
    },
    after: async (site) => {
      await setFreeze(site.home.path, await site.publication(), "none");
    },
  },
  {
    title: "governance rotated by two roots: from one key to 2 of 3 others",
    expected: null,
    before: rotateGovernance,
  },
  {
    title: "a snapshot by the governance key of before",
    expected: "governance.unknown-key",
    materials: (site, materials) => snapshotBy(site, materials, [1, 2]),
  },
  {
    title: "a snapshot by one of the new keys alone",
    expected: "governance.threshold",
    materials: (site, materials) => snapshotBy(site, materials, [2]),
  },
  {
    title: "a stale snapshot",
    expected: "governance.expired",
    before: async (site) => {
      await renewSnapshot(site.home.path, { ...(await site.publication()), lifetimeSeconds: 1 });
      await new Promise((done) => setTimeout(done, 1_100));
    },
    after: async (site) => {
      await renewSnapshot(site.home.path, await site.publication());
    },
  },
  {
    title: "a rolled-back snapshot",
    expected: "governance.rollback",
    before: async (site, admit) => {
      site.older = await site.materials([]);
      await renewSnapshot(site.home.path, await site.publication());
      // A decision under the newer one raises the floor.
      await admit();
    },
    materials: (site, materials) => ({
      ...(site.older ?? materials),
      elements: materials.elements,
    }),
  },
  ...PLANE_SCENARIOS,
  {
    title: "a case cannot be kept, not even by root",
    expected: "internal.log",
    between: (site) => site.blockCases(),
    after: (site) => site.unblockCases(),
  },
  {
    title: "the TPM stops midway",
    expected: "internal.tpm-unavailable",
    evidence: (site, real) => ({
      attest: async (request) => {
        await site.machine.tpm.powerOff();
        return real.attest(request);
      },
    }),
  },
];
