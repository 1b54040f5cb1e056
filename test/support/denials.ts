/**
 * For every code that a case can reach, one case that reaches it first. Each is the accepted case
 * of world.ts with one thing wrong, and everything around it signed again, so that nothing but that
 * one thing denies.
 */
import type { Code } from "../../src/core/index.ts";
import { encode } from "../../src/wire/cbor.ts";
import type { CborMap } from "../../src/wire/cbor-value.ts";
import { type Signer, thumbprint } from "../../src/wire/keys.ts";
import type { Link } from "../../src/wire/objects.ts";
import {
  bootCase,
  COMMAND,
  command,
  DBX,
  EVENTS,
  SECURE_BOOT_ON,
  separator,
  withPcr,
} from "./boots.ts";
import { chain } from "./chains.ts";
import { DAY, HOUR, NOW, PCRS, text } from "./domain.ts";
import { bufferEntry, IMA_KEY, imaCase, signedEntry } from "./ima-cases.ts";
import { ngEntry } from "./ima-lists.ts";
import { seeded } from "./keys.ts";
import type { CaseOverrides, World } from "./world.ts";

type Make = (world: World) => CaseOverrides | Promise<Uint8Array>;

const trailing = (bytes: Uint8Array): Uint8Array => new Uint8Array([...bytes, 0]);
const empty = (): Uint8Array => new Uint8Array(0);
const flipLast = (bytes: Uint8Array): Uint8Array => {
  const copy = bytes.slice();
  copy[copy.length - 1] = (copy.at(-1) ?? 0) ^ 1;
  return copy;
};
/**
 * Names another algorithm in the header of a signer: Ed25519 (-19, 0x32) instead of ESP256 (-9,
 * 0x28) and so on.
 */
const otherAlgorithm = (signer: Signer | undefined) => {
  if (signer === undefined) throw new Error("no such signer");
  return (bytes: Uint8Array): Uint8Array => {
    const copy = bytes.slice();
    // {1: alg, 4: kid}: 01 28 04 58 20 kid. ESP384 takes two bytes and is not used here.
    const alg = Buffer.from(copy).indexOf(thumbprint(signer.key)) - 4;
    copy[alg] = copy[alg] === 0x28 ? 0x32 : 0x28;
    return copy;
  };
};
const list = (bits: number, at: number): Uint8Array => {
  const bytes = new Uint8Array(8);
  bytes[at >> 3] = bits << (at & 7);
  return bytes;
};
const pcrs = (entries: CborMap) => ({
  claims: { policy: (map: Map<number | string, unknown>) => map.set(-70502, entries) },
});

/** A second charter, signed by the roots of both, that does not follow the first. */
const gap: Make = async (world) => {
  const next = await world.make("charter", world.charter({ number: 3, predecessor: seeded("x") }));
  const { charter } = await world.build();
  return world.caseBytes({ evidence: { charters: [charter.bytes, next.bytes] } });
};

/** A chain of one link with these claims, under a grant with those. */
const linked =
  (claims: Partial<Link>, overrides: CaseOverrides = {}): Make =>
  (world) =>
    chain(world, [{ claims }], overrides);

export const DENIALS: { readonly [code in Code]?: Make } = {
  "governance.missing": () => ({ edit: { object: { snapshot: empty } } }),
  "governance.malformed": () => ({ edit: { object: { snapshot: trailing } } }),
  "governance.pin": () => ({ context: { charter: seeded("another charter") } }),
  "governance.chain": gap,
  "governance.algorithm": (w) => ({
    edit: { object: { snapshot: otherAlgorithm(w.signers.governance[1]) } },
  }),
  "governance.unknown-key": (w) => ({ signers: { snapshot: [w.signers.stranger] } }),
  "governance.signature": () => ({ edit: { object: { snapshot: flipLast } } }),
  "governance.threshold": (w) => ({ signers: { snapshot: [w.signers.governance[0]] } }),
  "governance.domain": () => ({ snapshot: { domain: "other.example" } }),
  "governance.charter": () => ({ snapshot: { charter: seeded("another charter") } }),
  "governance.rollback": () => ({
    context: {
      floors: { charterNumber: 1, snapshotVersion: 8, snapshotDigest: seeded("8"), time: 0 },
    },
  }),
  "governance.clock": (w) => ({ context: { ...w.floors({ time: NOW + 1 }) } }),
  "governance.expired": () => ({ snapshot: { iat: NOW - HOUR, exp: NOW } }),
  "governance.not-yet": () => ({ snapshot: { iat: NOW + 1, exp: NOW + 2 } }),
  "governance.too-long": () => ({ snapshot: { iat: NOW - 1, exp: NOW + HOUR } }),
  "governance.frozen": () => ({ snapshot: { freeze: "new" } }),

  "artifact.missing": () => ({ edit: { object: { grant: empty } } }),
  "artifact.malformed": () => ({ edit: { claims: { grant: (map) => map.delete(4) } } }),
  "artifact.oversized": () => ({ edit: { payload: { grant: () => new Uint8Array(8_193) } } }),
  "artifact.unknown-claim": () => ({ edit: { claims: { grant: (map) => map.set(9, 1) } } }),

  "signature.algorithm": (w) => ({
    signers: { grant: [w.signers.authority[0], w.signers.authority[1]] },
    edit: { object: { grant: otherAlgorithm(w.signers.authority[1]) } },
  }),
  "signature.unknown-key": (w) => ({
    signers: { grant: [w.signers.authority[0], w.signers.stranger] },
  }),
  "signature.invalid": () => ({ edit: { object: { grant: flipLast } } }),
  "signature.class": () => ({
    grant: { governance: { epoch: 3, keyset: "authority", class: "none", ticket: null } },
  }),
  "signature.threshold": (w) => ({ signers: { grant: [w.signers.authority[0]] } }),

  "window.invalid": () => ({ grant: { nbf: NOW - 101 } }),
  "window.not-yet": () => ({ grant: { nbf: NOW + 1 } }),
  "window.expired": () => ({ grant: { exp: NOW } }),
  "window.too-long": (w) => ({
    charter: { bounds: { ...w.charter().bounds, grantSeconds: HOUR + 99 } },
  }),

  "policy.domain": () => ({ grant: { domain: "other.example" } }),
  "policy.malformed": () => ({ edit: { object: { policy: trailing } } }),
  "policy.missing": () => ({ evidence: { policies: [] } }),
  "policy.unnamed": () => ({
    policies: [{}, { name: "other" }],
    grant: { policies: ["base"] },
  }),
  "policy.inactive": () => ({ snapshot: { policies: new Map([["base", [seeded("other")]]]) } }),
  "policy.unsigned": (w) => ({ signers: { policy: [w.signers.policy[0]] } }),
  "policy.validation": (w) => ({
    grant: { policyValidation: { ...w.grant().policyValidation, result: "fail" } },
  }),
  "policy.job": () => ({ edit: { job: trailing } }),
  "policy.executable": (w) => ({
    job: { executable: { ...w.job().executable, digest: seeded("other bytes") } },
  }),
  "policy.interpreter": (w) => ({ job: { interpreter: w.job().executable } }),
  "policy.arguments": () => ({ job: { argv: [text("report"), text("--all")] } }),
  "policy.variable": () => ({
    job: { environment: [{ name: text("LD_PRELOAD"), value: text("/tmp/x.so") }] },
  }),
  "policy.environment": () => ({
    job: { environment: [{ name: text("COLOR"), value: text("1") }] },
  }),
  "policy.cwd": () => ({ job: { cwd: text("/") } }),
  "policy.stdin": () => ({ job: { stdin: "inherit" } }),
  "policy.user": () => ({ job: { uid: 0 } }),
  "policy.caller": () => ({ job: { callerUid: 1001 } }),
  "policy.inputs": () => ({ job: { inputs: [] } }),
  "policy.runtime": () => ({ job: { runtimeSeconds: 61 } }),

  "identity.missing": () => ({ edit: { object: { node: empty } } }),
  "identity.malformed": () => ({ edit: { object: { node: trailing } } }),
  "identity.algorithm": (w) => ({
    edit: { object: { node: otherAlgorithm(w.signers.enroller[1]) } },
  }),
  "identity.unknown-key": (w) => ({ signers: { node: [w.signers.stranger] } }),
  "identity.signature": () => ({ edit: { object: { node: flipLast } } }),
  "identity.labels": (w) => ({ signers: { node: [w.signers.enroller[2]] } }),
  "identity.domain": () => ({ node: { domain: "other.example" } }),
  "identity.not-yet": () => ({ node: { iat: NOW + 1 } }),
  "identity.expired": () => ({ node: { exp: NOW } }),
  "identity.too-long": () => ({ node: { iat: NOW - 301 * DAY } }),
  "identity.key": () => ({ node: { publicArea: seeded("no public area", 80) } }),
  "identity.node": () => ({
    context: { node: { name: Uint8Array.of(0, 0x0b, ...seeded("other")), counters: null } },
  }),
  "identity.attestation-key": () => ({
    attest: { qualifiedSigner: Uint8Array.of(0, 0x0b, ...seeded("other hierarchy")) },
  }),
  "identity.audience": () => ({ grant: { audience: [Uint8Array.of(1, ...seeded("node", 16))] } }),
  "identity.proof": (w) => ({ signers: { proof: [w.signers.stranger] } }),

  "lineage.parent": linked({ parent: seeded("another grant") }),
  "lineage.depth": linked({}, { grant: { maxDepth: 0 } }),
  "lineage.subject": linked({ sub: "mallory@example.test" }),
  "lineage.class": linked({
    governance: { epoch: 3, keyset: "authority", class: "break-glass", ticket: null },
  }),
  "lineage.window": linked({ exp: NOW + HOUR + 1 }),
  "lineage.epoch": linked({
    governance: { epoch: 2, keyset: "authority", class: "standard", ticket: null },
  }),
  "lineage.scope": linked({ scope: { uses: 4 } }),
  "lineage.policies": linked(
    { policies: ["other"] },
    { policies: [{}, { name: "other" }], grant: { policies: ["base"], maxDepth: 4 } },
  ),
  "lineage.audience": linked({ audience: "web" }),
  "lineage.decision": linked({ decision: "local" }, { grant: { decision: "plane" } }),

  "revocation.missing": () => ({ evidence: { statusList: empty() } }),
  "revocation.malformed": () => ({ edit: { statusList: trailing } }),
  "revocation.list": () => ({ snapshot: { status: seeded("another list") } }),
  "revocation.artifact": () => ({ statusList: { grants: list(1, 5) } }),
  "revocation.ancestor": linked({}, { statusList: { grants: list(1, 5) } }),
  "revocation.node": () => ({ statusList: { nodes: list(1, 9) } }),
  "revocation.epoch": () => ({ snapshot: { epoch: 4 } }),

  "environment.quote-missing": () => ({ edit: { attest: empty } }),
  "environment.quote-malformed": () => ({ edit: { attest: trailing } }),
  "environment.quote-magic": () => ({ attest: { magic: 0xff544346 } }),
  "environment.quote-type": () => ({ attest: { type: 0x8014 } }),
  "environment.quote-scheme": () => ({ attest: { sigHash: 0x000c } }),
  "environment.quote-signature": () => ({ edit: { signature: flipLast } }),
  "environment.quote-nonce": () => ({ attest: { extraData: seeded("an earlier request") } }),
  "environment.quote-selection": () => ({ attest: { selection: Uint8Array.of(0, 0, 0, 0) } }),
  "environment.quote-digest": () => ({ attest: { pcrDigest: seeded("other values") } }),
  "environment.clock-unsafe": () => ({ clock: { safe: false } }),
  "environment.clock-cleared": () => ({ clock: { resetCount: 0, restartCount: 0, clock: 5n } }),
  "environment.clock-reset": () => ({ clock: { resetCount: 9 } }),
  "environment.clock-rollback": () => ({ clock: { clock: 100_000n } }),
  "environment.firmware-rollback": () => ({ policies: [{ firmwareVersionMin: 2n ** 63n }] }),
  "environment.eventlog-absent": (w) => bootCase(w, { log: null }),
  "environment.eventlog-unbound": (w) =>
    bootCase(w, {
      events: [...EVENTS, { ...SECURE_BOOT_ON, data: DBX.data }],
      rules: withPcr(7, { separator: "one", types: [SECURE_BOOT_ON.type] }),
    }),
  "environment.eventlog-separator": (w) => bootCase(w, { events: [...EVENTS, separator(4)] }),
  "environment.eventlog-event": (w) => bootCase(w, { events: [...EVENTS, command("other")] }),
  "environment.eventlog-required": (w) =>
    bootCase(w, { events: EVENTS.filter((event) => event !== COMMAND) }),
  "environment.ima-missing": () => imaCase([], { list: null }),
  "environment.ima-resume": () =>
    imaCase([ngEntry("/bin/a")], { prefix: [ngEntry("/bin/a")], prefixed: { resetCount: 4 } }),
  "environment.ima-template": () => imaCase([{ ...ngEntry("/bin/a"), template: "ima-new" }]),
  "environment.ima-aggregate": () => imaCase([ngEntry("/bin/a")], { aggregate: true }),
  "environment.ima-file": () => imaCase([ngEntry("/bin/unlisted")]),
  "environment.ima-signature": () =>
    imaCase([signedEntry("/bin/unlisted", new Uint8Array(8).fill(3))], { keys: [IMA_KEY] }),
  "environment.ima-buffer": () => imaCase([bufferEntry(".ima")]),
  "environment.pcr-empty": () => ({ edit: pcrs(new Map()) }),
  "environment.pcr-untrusted": () => ({
    edit: pcrs(new Map([[0x0b, new Map([[16, [seeded("debug")]]])]])),
  }),
  "environment.pcr-uncovered": () => ({
    edit: pcrs(new Map([[0x0b, new Map([[20, [seeded("20")]]])]])),
  }),
  "environment.pcr-mismatch": () => ({
    pcrs: { sha256: new Map([...(PCRS.sha256 ?? [])].map(([i]) => [i, seeded("changed")])) },
  }),

  "replay.nonce": () => ({ context: { nonce: seeded("another nonce") } }),
  "replay.run": () => ({ context: { purpose: { kind: "start", parentRun: seeded("a run") } } }),
  "replay.element": () => ({ context: { uses: [{ element: seeded("other"), count: 0 }] } }),
  "replay.use": () => ({ uses: 3 }),

  "plane.missing": (w) => w.withResult({ plane: true }, () => null),
  "plane.malformed": (w) => w.withResult({ plane: true }, (bytes) => trailing(bytes)),
  "plane.unexpected": (w) => w.withResult({ role: "plane" }, () => encode(1)),
  "plane.algorithm": (w) => ({
    plane: true,
    signers: { result: [w.signers.plane[1]] },
    edit: { object: { result: otherAlgorithm(w.signers.plane[1]) } },
  }),
  "plane.unknown-key": (w) => ({ plane: true, signers: { result: [w.signers.stranger] } }),
  "plane.signature": () => ({ plane: true, edit: { object: { result: flipLast } } }),
  "plane.request": () => ({ plane: true, result: { request: seeded("another request") } }),
  "plane.evidence": () => ({ plane: true, result: { evidence: seeded("other evidence") } }),
  "plane.denied": () => ({ plane: true, result: { verdict: "deny" } }),
  "plane.not-yet": () => ({ plane: true, result: { iat: NOW + 1 } }),
  "plane.expired": () => ({ plane: true, result: { iat: NOW - 60, exp: NOW } }),
  "plane.too-long": () => ({ plane: true, result: { exp: NOW + 61 } }),

  "internal.case": () => ({ edit: { case: trailing } }),
};

/** The case that reaches a code; null where no case does. */
export async function denialCase(world: World, code: Code): Promise<Uint8Array | null> {
  const make = DENIALS[code];
  if (make === undefined) return null;
  const made = make(world);
  return made instanceof Promise ? made : world.caseBytes(made);
}
