/**
 * Every code that a decision can carry, in the order in which it is judged: family by family, and within a family
 * from top to bottom. The build makes the core's numbers from this table, docs/codes.md is printed from it, and a test
 * asks for a case that reaches each row.
 */

/** What the code means, and what an operator does next. `retry` marks codes for which exit 75 is given. */
interface Row {
  readonly why: string;
  readonly next: string;
  readonly retry?: true;
}

const row = (why: string, next: string): Row => ({ why, next });
const retry = (why: string, next: string): Row => ({ why, next, retry: true });

export const FAMILIES = [
  "governance",
  "artifact",
  "signature",
  "window",
  "policy",
  "identity",
  "lineage",
  "revocation",
  "environment",
  "replay",
  "plane",
  "internal",
] as const;
export type Family = (typeof FAMILIES)[number];

const RENEW = "Fetch the newest snapshot, or renew it with `portcullis snapshot renew`.";
const REISSUE = "Have the grant issued again with `portcullis authorize`.";
const JOB =
  "Run exactly what the grant names (`portcullis inspect` shows it), or have a new grant issued.";
const DELEGATE = "Have it delegated again, within the parent, with `portcullis delegate`.";
const ENROLL = "Enroll this machine again with `portcullis enroll`.";
const AGENT =
  "Ask again; if it persists, `portcullis doctor` checks the TPM and the evidence it gives.";
const STATE =
  "Find out what changed on the machine; if the change is wanted, capture and activate a new policy.";

export const CODES = {
  "governance.missing": row("No charter or no snapshot was presented.", `Check --home. ${RENEW}`),
  "governance.malformed": row(
    "A charter or the snapshot is not canonical or out of bounds.",
    "Restore the file from where it was published.",
  ),
  "governance.pin": row(
    "The first charter is not the one this verifier has pinned.",
    "Present the charters from the pinned one on.",
  ),
  "governance.chain": row(
    "The charters do not follow each other without a gap.",
    "Present every charter since the pinned one, in order.",
  ),
  "governance.algorithm": row(
    "A signer of a charter or the snapshot names another algorithm than its key's.",
    "Have it signed again with the key's own algorithm.",
  ),
  "governance.unknown-key": row(
    "A signer of a charter or the snapshot is not in the keyset that must sign it.",
    "Have it signed by listed keys only.",
  ),
  "governance.signature": row(
    "A signature of a charter or the snapshot does not verify.",
    "Restore the file from where it was published.",
  ),
  "governance.threshold": row(
    "Fewer keys signed a charter or the snapshot than its threshold asks.",
    "Collect the missing signatures.",
  ),
  "governance.domain": row(
    "A charter or the snapshot belongs to another trust domain.",
    "Present the files of this domain.",
  ),
  "governance.charter": row("The snapshot was made under another charter.", RENEW),
  "governance.rollback": row(
    "A newer charter or snapshot, or another of the same number, has been seen before.",
    RENEW,
  ),
  "governance.clock": retry(
    "The clock is behind a time that is already proven.",
    "Set the machine's clock (it must not run behind), then ask again.",
  ),
  "governance.expired": retry("A charter or the snapshot is past its expiry.", RENEW),
  "governance.not-yet": retry(
    "A charter or the snapshot is not valid yet.",
    "Compare this machine's clock with the signer's.",
  ),
  "governance.too-long": row("The snapshot is valid for longer than the charter allows.", RENEW),
  "governance.frozen": row(
    "Governance has frozen new jobs, or all of them.",
    "Wait until governance lifts the freeze (`portcullis unfreeze`).",
  ),

  "artifact.missing": row(
    "No authorization was presented.",
    "Ask for a grant: `portcullis authorize`, then pass it with --grant.",
  ),
  "artifact.malformed": row(
    "An element of the chain is not canonical, or a required claim is absent.",
    REISSUE,
  ),
  "artifact.oversized": row(
    "The chain, an element or a signature is larger than allowed.",
    "Issue a smaller grant.",
  ),
  "artifact.unknown-claim": row(
    "An element carries a claim that this version does not know.",
    "Upgrade, or have it issued without that claim.",
  ),

  "signature.algorithm": row(
    "A signer of an element names another algorithm than its key's.",
    REISSUE,
  ),
  "signature.unknown-key": row(
    "An element is signed by a key that may not sign it.",
    "Have a grant signed by authority keys of the current charter, a link by its parent's holder.",
  ),
  "signature.invalid": row(
    "A signature of an element does not verify: it was altered, or signed by another key.",
    REISSUE,
  ),
  "signature.class": row(
    "The grant's class does not exist, or does not cover its audience, policies, lifetime or depth.",
    "Choose a class of the charter that covers the grant.",
  ),
  "signature.threshold": row(
    "Fewer distinct authority keys signed than the class asks.",
    "Collect the missing signatures.",
  ),

  "window.invalid": row("An element's times contradict each other.", REISSUE),
  "window.not-yet": retry(
    "An element is not valid yet.",
    "Wait until its start, or compare this machine's clock with the issuer's.",
  ),
  "window.expired": row("An element is past its expiry.", REISSUE),
  "window.too-long": row(
    "An element is valid for longer than the charter allows.",
    "Issue it with a shorter lifetime.",
  ),

  "policy.domain": row(
    "An element was issued for another trust domain.",
    "Have it issued for this domain.",
  ),
  "policy.malformed": row(
    "A reference policy is not canonical or out of bounds.",
    "Restore the policy file from where it was published.",
  ),
  "policy.missing": row(
    "A policy that the grant names was not presented.",
    "Fetch the policy into --home.",
  ),
  "policy.unnamed": row(
    "A policy was presented that no element names.",
    "Present only the policies that the grant names.",
  ),
  "policy.inactive": row(
    "The snapshot does not list this policy as active.",
    "Activate it with `portcullis policy activate`, or have the grant issued for an active one.",
  ),
  "policy.unsigned": row(
    "A policy is not signed to the threshold by policy keys of the charter.",
    "Have the policy signed again.",
  ),
  "policy.validation": row(
    "The grant does not record that policy validation passed.",
    "Validate the request, then have the grant issued again.",
  ),
  "policy.job": row(
    "The job is not canonical or out of bounds.",
    "Report this: the gate builds the job itself.",
  ),
  "policy.executable": row("The executable's bytes are not the authorized ones.", JOB),
  "policy.interpreter": row("The interpreter is not the authorized one.", JOB),
  "policy.arguments": row("The arguments are not the authorized ones.", JOB),
  "policy.variable": row(
    "A loader or interpreter variable is set that the grant does not pin to an exact value.",
    "Unset the variable, or pin its value in the grant.",
  ),
  "policy.environment": row("An environment variable or its value is not authorized.", JOB),
  "policy.cwd": row("The working directory is not the authorized one.", JOB),
  "policy.stdin": row("Standard input is not the authorized one.", JOB),
  "policy.user": row("The job would run as another user or group.", JOB),
  "policy.caller": row(
    "The calling user may not use this grant.",
    "Call as one of the users that the grant lists.",
  ),
  "policy.inputs": row("The input files are not the authorized ones.", JOB),
  "policy.runtime": row(
    "The job asks for more run time than authorized.",
    "Ask for a shorter run time.",
  ),

  "identity.missing": row("No node credential was presented.", ENROLL),
  "identity.malformed": row("The node credential is not canonical or out of bounds.", ENROLL),
  "identity.algorithm": row(
    "The node credential names another algorithm than its signer's key.",
    ENROLL,
  ),
  "identity.unknown-key": row(
    "The node credential is signed by a key that is no enroller of the charter.",
    ENROLL,
  ),
  "identity.signature": row("The node credential's signature does not verify.", ENROLL),
  "identity.labels": row(
    "The node credential carries a label that its enroller may not give.",
    "Enroll through an enroller that may give this label.",
  ),
  "identity.domain": row("The node credential belongs to another trust domain.", ENROLL),
  "identity.not-yet": retry(
    "The node credential is not valid yet.",
    "Compare this machine's clock with the enroller's.",
  ),
  "identity.expired": row("The node credential is past its expiry.", ENROLL),
  "identity.too-long": row(
    "The node credential is valid for longer than the charter allows.",
    ENROLL,
  ),
  "identity.key": row(
    "The credential's key is no attestation key, or its Name does not follow from it.",
    ENROLL,
  ),
  "identity.node": row(
    "The credential is not the one of the node this verifier asked.",
    "Present the credential of this machine.",
  ),
  "identity.attestation-key": row(
    "The quote was made by another key than the credential's, or in another hierarchy.",
    "Use the enrolled attestation key; `portcullis doctor` shows it.",
  ),
  "identity.audience": row(
    "The grant was issued for another node.",
    "Run it on the node it names, or have a grant issued for this one.",
  ),
  "identity.proof": row(
    "The holder of the leaf's key did not sign this request.",
    "Sign the request with the key that the grant names (--key).",
  ),

  "lineage.parent": row(
    "A link names another parent than the element before it.",
    "Present the links in order, each under the element it was delegated from.",
  ),
  "lineage.depth": row(
    "A link stands deeper than its parent may be delegated, or raises the depth.",
    DELEGATE,
  ),
  "lineage.subject": row("A link has another subject than its parent.", DELEGATE),
  "lineage.class": row("A link claims another class than its parent.", DELEGATE),
  "lineage.window": row("A link is valid at a time when its parent is not.", DELEGATE),
  "lineage.epoch": row("A link claims an older epoch than its parent.", DELEGATE),
  "lineage.scope": row("A link allows a job that its parent does not.", DELEGATE),
  "lineage.policies": row("A link drops or reorders policies that its parent names.", DELEGATE),
  "lineage.audience": row("A link is for nodes that its parent is not for.", DELEGATE),
  "lineage.decision": row(
    "A link leaves to the gate what its parent leaves to the plane.",
    DELEGATE,
  ),

  "revocation.missing": retry("No status list was presented.", RENEW),
  "revocation.malformed": row("The status list is not canonical or out of bounds.", RENEW),
  "revocation.list": retry("The status list is not the one that the snapshot names.", RENEW),
  "revocation.artifact": row(
    "The authorization has been revoked.",
    "Ask its issuer why; a new grant is needed.",
  ),
  "revocation.ancestor": row(
    "An element above the leaf has been revoked.",
    "Ask its issuer why; a new grant is needed.",
  ),
  "revocation.node": row(
    "This node's credential has been revoked.",
    "Ask the operator why; the machine must be enrolled again.",
  ),
  "revocation.epoch": row(
    "An element was issued in an earlier epoch than governance still accepts.",
    REISSUE,
  ),

  "environment.quote-missing": retry("No quote was presented.", AGENT),
  "environment.quote-malformed": row("The quote or its signature does not parse exactly.", AGENT),
  "environment.quote-magic": row(
    "The attestation was not made by a TPM: its magic is not TPM_GENERATED_VALUE.",
    AGENT,
  ),
  "environment.quote-type": row("The attestation is not a quote.", AGENT),
  "environment.quote-key": row(
    "The key that signed the quote is no restricted attestation key.",
    ENROLL,
  ),
  "environment.quote-scheme": row(
    "The quote's signature scheme or hash is not the attestation key's own.",
    AGENT,
  ),
  "environment.quote-signature": row(
    "The quote's signature does not verify under the attestation key.",
    AGENT,
  ),
  "environment.quote-nonce": row(
    "The quote does not answer this request: it is old, or was made for another job or node.",
    "Ask again for a fresh quote.",
  ),
  "environment.quote-selection": row(
    "The quote's PCR selection is empty, repeats a bank or names an unknown one.",
    "Check that the TPM's sha256 bank is active (`portcullis doctor`).",
  ),
  "environment.quote-digest": row("The PCR values presented are not the quoted ones.", AGENT),
  "environment.clock-unsafe": retry(
    "The TPM was shut down without notice and has not saved its clock since.",
    "Wait until the TPM saves its clock (seconds to 70 minutes), then ask again.",
  ),
  "environment.clock-cleared": row("The TPM was cleared since it was enrolled.", ENROLL),
  "environment.clock-reset": row(
    "The TPM's reset or restart count went back: this quote is older than one already seen.",
    "Ask again for a fresh quote.",
  ),
  "environment.clock-rollback": row(
    "The TPM's clock went back within one boot.",
    "Ask again for a fresh quote.",
  ),
  "environment.clock-obfuscated": row(
    "Counters cannot be compared: the key does not lie in the endorsement hierarchy.",
    "Create the attestation key in the endorsement hierarchy.",
  ),
  "environment.firmware-rollback": row(
    "The TPM's firmware version is below the floor.",
    "Update the TPM's firmware.",
  ),
  "environment.eventlog-absent": row(
    "A policy has rules over the boot event log, and no log was presented.",
    "Let the gate read the kernel's log, or name a file as `event-log` in config.yaml.",
  ),
  "environment.eventlog-malformed": row("The boot event log does not parse.", AGENT),
  "environment.eventlog-uncovered": row(
    "No quoted PCR was extended by an event of the boot event log: nothing was compared with it.",
    "Quote the PCRs and banks that the firmware extends.",
  ),
  "environment.eventlog-missing": row(
    "A quoted PCR was extended, but the boot event log has no event for it in this bank.",
    "Present the whole log of this boot, and quote only PCRs and banks that it covers.",
  ),
  "environment.eventlog-mismatch": row(
    "The boot event log does not replay to a quoted PCR.",
    "Present the log of this very boot; if it is, treat the machine as changed.",
  ),
  "environment.eventlog-unbound": row(
    "An event's type promises that its digest is that of its data, and it is not.",
    "List the event by its digest, if it is good (`portcullis policy test` names it).",
  ),
  "environment.eventlog-separator": row(
    "A PCR has no separator, more than one, or one that reports an error of the firmware.",
    "Find out what measured again; restart the machine.",
  ),
  "environment.eventlog-event": row(
    "The boot event log has an event that the policy does not allow.",
    "Treat the machine as changed, or update the policy: `portcullis policy test` names it.",
  ),
  "environment.eventlog-required": row(
    "An event that the policy requires did not occur.",
    "Treat the machine as changed, or update the policy: `portcullis policy test` names it.",
  ),
  "environment.ima-missing": row(
    "A policy has rules over the IMA list, and there is no list.",
    "Boot with an IMA policy (`ima_policy=tcb`), and let the agent read the list.",
  ),
  "environment.ima-resume": row(
    "The IMA list continues one of another boot, of other policies or of other PCR banks.",
    "Present the whole list of this boot.",
  ),
  "environment.ima-malformed": row("The IMA list does not parse.", AGENT),
  "environment.ima-incomplete": retry("The IMA list ends in the middle of an entry.", AGENT),
  "environment.ima-uncovered": row(
    "The quote does not cover PCR 10: nothing proves the IMA list.",
    "Quote PCR 10 as well.",
  ),
  "environment.ima-padded": row(
    "PCR 10 was extended with SHA-1 digests filled up with zeros: the kernel is older than 5.8.",
    "Update the kernel; until then, present no IMA list.",
  ),
  "environment.ima-mismatch": row(
    "No entry of the IMA list leads to the quoted PCR 10, or not the same one in every bank.",
    "Present the whole list of this boot; if it is, treat the machine as changed.",
  ),
  "environment.ima-other-pcr": row(
    "An entry of the IMA list was extended into another PCR than 10.",
    "Take `pcr=` out of the machine's IMA policy.",
  ),
  "environment.ima-violation": row(
    "A file changed while IMA measured it: the list cannot say what was used.",
    "Find out which file (`portcullis ima` names it), and restart the machine.",
  ),
  "environment.ima-template": row(
    "An entry of the IMA list is of a template that is not judged, or not of its template's form.",
    "Boot with a template of the kernel's own (`ima_template=ima-sig`).",
  ),
  "environment.ima-aggregate": row(
    "The IMA list does not begin with the boot_aggregate of the quoted PCRs.",
    "Quote PCR 0 to 9 as well; if they are, treat the list as another machine's.",
  ),
  "environment.ima-file": row(
    "A file was executed, loaded or read that no IMA rule of a policy allows.",
    "Find out which (`portcullis ima`); add it to the policy, or treat the machine as changed.",
  ),
  "environment.ima-signature": row(
    "A file's IMA signature is by no key of a policy, or wrong, and no other rule allows the file.",
    "Find out which (`portcullis ima`); sign it with a key of the policy, or list it.",
  ),
  "environment.ima-buffer": row(
    "A key, command line or other buffer was measured that no IMA rule of a policy allows.",
    "Find out which (`portcullis ima`); add it to the policy, or treat the machine as changed.",
  ),
  "environment.pcr-empty": row(
    "The policy names no PCR: nothing would be compared.",
    "Write a policy that names at least one PCR.",
  ),
  "environment.pcr-untrusted": row(
    "The policy reads PCR 16 or 23, which any program can reset.",
    "Write the policy over other PCRs.",
  ),
  "environment.pcr-uncovered": row(
    "The policy reads a PCR that the quote does not cover.",
    "Check that the policy's bank is active in this TPM (`portcullis doctor`).",
  ),
  "environment.pcr-mismatch": row("A PCR has a value that the policy does not allow.", STATE),

  "replay.nonce": row("The evidence was made for another nonce.", "Ask again for fresh evidence."),
  "replay.run": row(
    "The purpose or the run differs from what this verifier started.",
    "Start the job anew.",
  ),
  "replay.element": row(
    "The use counts looked up are not those of this chain.",
    "Report this: the gate looks them up itself.",
  ),
  "replay.use": row("The authorization has been used as often as it allows.", REISSUE),

  "plane.missing": retry(
    "The control plane must decide, and its result is absent.",
    "Decide through the plane (--plane URL).",
  ),
  "plane.malformed": row(
    "The plane's result is not canonical or out of bounds.",
    "Ask the plane again.",
  ),
  "plane.unexpected": row(
    "A plane result was presented where none is judged.",
    "Present a result only to a gate that asks for it.",
  ),
  "plane.algorithm": row(
    "The plane's result names another algorithm than its signer's key.",
    "Ask the plane again.",
  ),
  "plane.unknown-key": row(
    "The plane's result is signed by a key that is no plane key of the charter.",
    "Ask a plane of this domain.",
  ),
  "plane.signature": row("The plane's result does not verify.", "Ask the plane again."),
  "plane.request": row("The plane's result answers another request.", "Ask the plane again."),
  "plane.evidence": row("The plane judged other evidence.", "Ask the plane again."),
  "plane.denied": row("The plane denied.", "The plane's own code tells why."),
  "plane.not-yet": retry(
    "The plane's result is not valid yet.",
    "Compare this machine's clock with the plane's.",
  ),
  "plane.expired": retry("The plane's result is past its expiry.", "Ask the plane again."),
  "plane.too-long": row(
    "The plane's result is valid for more than 60 seconds.",
    "Report this to the plane's operator.",
  ),

  "internal.undecided": row(
    "The core did not reach a decision.",
    "Report this with the recorded case.",
  ),
  "internal.case": row(
    "The case is not well-formed: nothing in it was judged.",
    "Report this with the recorded case.",
  ),
  "internal.trap": row(
    "The core stopped with an internal error.",
    "Report this with the recorded case.",
  ),
  "internal.timeout": retry(
    "A step took longer than it may.",
    "Ask again; `portcullis doctor` measures each part.",
  ),
  "internal.tpm-unavailable": retry(
    "The TPM did not answer.",
    "Check the TPM with `portcullis doctor`, then ask again.",
  ),
  "internal.attestation-key": row(
    "The TPM does not load the enrolled attestation key: it was cleared or exchanged since.",
    "Enroll again (`portcullis enroll --replace`); an exchanged TPM is a new node.",
  ),
  "internal.evidence": row(
    "The evidence could not be gathered.",
    "The message names the file or the step; `portcullis doctor` checks the rest.",
  ),
  "internal.store": retry(
    "The state could not be read or written durably.",
    "Check the disk and the permissions of --home, then ask again.",
  ),
  "internal.log": row(
    "The audit log could not be written.",
    "Check the disk and the permissions of --home; `portcullis audit verify` checks the log.",
  ),
  "internal.exec": row(
    "The job could not be copied or confined, that failed later, or nobody took its receipt before.",
    "The message says which; `portcullis doctor` checks namespaces and tools.",
  ),
  "internal.ledger": row(
    "Another run claimed this use first, or this request was claimed before.",
    "Ask again; if no use is left, a new grant is needed.",
  ),
  "internal.rollback": row(
    "The state is older than the TPM's counter beside it, or belongs to another counter.",
    "Revoke what was issued before the copy was made, then enroll again with `portcullis enroll`.",
  ),
  "internal.clock": retry(
    "Since the last run this machine's clock advanced less than its TPM's.",
    "Set the machine's clock, then ask again; after TPM2_ClockSet enroll again.",
  ),
  "internal.deadline": retry(
    "The permission ran out before the job could start.",
    "Ask again; the machine may be overloaded.",
  ),
} as const satisfies { readonly [code: `${Family}.${string}`]: Row };

/** A stable denial code, `family.reason`. */
export type Code = keyof typeof CODES;

/** All codes in the order in which they are judged; the core's number of a code is its place here, from 1. */
export const CODE_LIST = Object.keys(CODES) as readonly Code[];

export function codeOf(number: number): Code | null {
  return CODE_LIST[number - 1] ?? null;
}

export function familyOf(code: Code): Family {
  return code.slice(0, code.indexOf(".")) as Family;
}
