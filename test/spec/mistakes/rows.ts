/**
 * Every published or own mistake that this project tests for, and where. A row is one mistake;
 * `absent` tells why this version's code cannot make it (or the part of it that no test here
 * covers).
 */

/** A file, and the title of a test or group in it. */
export type Place = readonly [file: string, title: string];

export interface Row {
  readonly mistake: string;
  readonly tests: readonly Place[];
  readonly absent?: string;
}

const SPEC = "test/spec/mistakes";
const ATTESTATION = `${SPEC}/attestation.test.ts`;
const AUTHORIZATION = `${SPEC}/authorization.test.ts`;
const RULES = `${SPEC}/authorization-rules.test.ts`;
const OWN = `${SPEC}/own.test.ts`;
const CLOCK = `${SPEC}/clock.test.ts`;
const ENCODINGS = `${SPEC}/encodings.test.ts`;
const QUOTE = "test/unit/assembly/tpm-mistakes.test.ts";
const ENROLLMENT = "test/e2e/tpm-enrollment.test.ts";
const AGENT = "test/e2e/tpm-agent.test.ts";
const CERTIFICATES = "test/vectors/certificates.test.ts";
const IMA = "test/unit/assembly/decide-ima.test.ts";
const GATE_IMA = "test/unit/gate/gate-ima.test.ts";
const VERDICT = "test/unit/core/verdict.test.ts";
const MERKLE = "test/unit/log/merkle.test.ts";
const IMAGE = "test/e2e/exec-image.test.ts";
const STORE = "test/fault/store.test.ts";
const POWER = "test/fault/power-loss.test.ts";
const ANCHOR = "test/unit/gate/anchor.test.ts";

const BOOT = "test/unit/assembly/decide-boot.test.ts";
/** Cases of the corpus, which test/spec/corpus.test.ts judges in every build. */
const BOOT_CASES = "scripts/corpus/boot-logs.ts";
const ROUTES = "test/unit/server/routes.test.ts";
const SOCKET = "test/unit/server/socket.test.ts";

const at = (file: string, ...titles: readonly string[]): readonly Place[] =>
  titles.map((title) => [file, title] as const);
const row = (mistake: string, ...tests: readonly Place[]): Row => ({ mistake, tests });
const absent = (mistake: string, why: string, ...tests: readonly Place[]): Row => ({
  mistake,
  tests,
  absent: why,
});
/** The row of which a test or group bears the name, in one file or more. */
const named = (title: string, ...files: readonly string[]): Row =>
  row(title, ...files.map((file): Place => [file, title]));

export const ATTESTATION_ROWS: readonly Row[] = [
  row(
    "CVE-2021-3406",
    ...at(ATTESTATION, "CVE-2021-3406: EK and AK chain not verified"),
    ...at(ENROLLMENT, "CVE-2021-3406: an EK certificate whose chain leads to no configured root"),
  ),
  row(
    "CVE-2022-1053",
    ...at(ATTESTATION, "CVE-2022-1053: one AK validated, another used"),
    ...at(ENROLLMENT, "CVE-2022-1053: one AK challenged, another used"),
    ...at(QUOTE, "CVE-2022-1053: one AK validated, another used"),
  ),
  row(
    "CVE-2021-43310",
    ...at(ENROLLMENT, "CVE-2021-43310: a request does not re-key a node that is enrolled"),
  ),
  absent("CVE-2022-23948, a fooled mount check", "nothing is mounted, and no check asks of mounts"),
  row(
    "CVE-2022-23949, unsanitised ids",
    ...at(
      ATTESTATION,
      "CVE-2022-23949: unsanitised ids: none holds a space, a control character, a NUL, or is empty or endless",
    ),
    ...at("test/e2e/cli-operator.test.ts", "a manifest that names %s is refused"),
  ),
  row(
    "CVE-2022-23950, a fixed temporary path",
    ...at(IMAGE, "is not staged in a directory that others can enter"),
    ...at("test/unit/store/sqlite.test.ts", "a symbolic link is refused"),
  ),
  row(
    "CVE-2022-23951, a compressed bomb in a quote",
    ...at(
      ATTESTATION,
      "CVE-2022-23951: bomb in a quote: every part has a bound, and nothing is unpacked",
    ),
  ),
  row(
    "CVE-2022-3500",
    ...at(ATTESTATION, "CVE-2022-3500: an exception stops the checks and the state stays good"),
    ...at(
      VERDICT,
      "is internal.trap where `decide` traps, and the next call gets a fresh instance",
    ),
  ),
  row(
    "CVE-2023-3674",
    ...at(ATTESTATION, "CVE-2023-3674: bad signature only logged"),
    ...at(QUOTE, "CVE-2023-3674: a bad signature only logged"),
  ),
  row(
    "CVE-2023-38200, one open connection blocks the server",
    ...at(SOCKET, "CVE-2023-38200: connections that never finish a request keep nobody waiting"),
    ...at("test/unit/tpm/connection.test.ts", "that never answers is given up"),
  ),
  row(
    "CVE-2023-38201",
    ...at(ENROLLMENT, "CVE-2023-38201: a wrong secret, also when everything else is right"),
  ),
  row(
    "CVE-2025-13609",
    ...at(ENROLLMENT, "CVE-2025-13609: a new TPM cannot take a node's identity"),
  ),
  absent(
    "CVE-2026-1709, client certificate not enforced",
    "clients have no certificates: evidence is judged by what it proves, the rest asks for tokens",
    ...at(ROUTES, "asks for a token of its role"),
  ),
  row(
    "CVE-2026-6420",
    ...at(ATTESTATION, "CVE-2026-6420: hard-coded nonce"),
    ...at(QUOTE, "CVE-2026-6420, CVE-2023-38201: a fixed nonce, or the challenge left out"),
  ),
  row(
    "CVE-2022-0317",
    ...at(ATTESTATION, "CVE-2022-0317: quote over no PCRs, or over some, accepted as if over all"),
  ),
  row(
    "GHSA-9r4w-jg96-92mv",
    ...at(
      ATTESTATION,
      "GHSA-9r4w-jg96-92mv: vendor bytes in the log header become no events and no digests",
    ),
    ...at(
      "test/unit/core/eventlog.test.ts",
      "bytes of its vendor become no algorithm and no digest (GHSA-9r4w-jg96-92mv)",
    ),
    ...at(BOOT_CASES, "boot-vendor-events"),
  ),
  named("CVE-2024-29038, CVE-2024-29040: TPMS_ATTEST magic unchecked", ATTESTATION),
  named("CVE-2024-29039: pcrSelect of the signed structure unchecked", ATTESTATION, QUOTE),
  named("GHSA-gwfg-w3jr-xh66: an NV certification accepted as a quote", ATTESTATION, QUOTE),
  named(
    "a type mismatch, go-attestation d2a19a5: key and signature of different kinds",
    ATTESTATION,
  ),
  row(
    "go-attestation becfd07, f877374, 1bd9b0f, 5e9eb5d",
    ...at(
      ATTESTATION,
      "go-attestation becfd07, f877374, 1bd9b0f, 5e9eb5d: underflow, unbounded allocation, recursion",
    ),
    ...at(QUOTE, "error returned as nil: no failure leaves the answer empty"),
  ),
  named("values of unselected PCRs trusted", ATTESTATION, QUOTE),
  row(
    "unsigned selection used instead of the signed one",
    ...at(ATTESTATION, "unsigned selection used instead of the signed one: a case has none"),
    ...at(QUOTE, "unsigned selection used instead of the signed one"),
  ),
  row(
    "junk after a valid signature",
    ...at(ATTESTATION, "junk after a valid signature, and after what it signs"),
    ...at(QUOTE, "junk after a valid signature"),
  ),
  named("nil or empty nonce", ATTESTATION),
  row("SHA-1 fallback", ...at(ATTESTATION, "SHA-1 fallback: of the bank, and of what is signed")),
  named("all-zero reference value matches", ATTESTATION, QUOTE),
  named("stale good evidence reused when re-attestation fails", ATTESTATION),
  row(
    "node shown as passing after its verifier died",
    ...at(VERDICT, "is internal.undecided where `decide` does nothing"),
  ),
  row(
    "accept-all default policy",
    ...at(ATTESTATION, "accept-all default policy: none, and one that reads nothing"),
  ),
  named("no comparison made, reported as success", ATTESTATION),
];

/** Users' worst days. */
export const DAYS: readonly Row[] = [
  row("package updates without reboot", [
    IMA,
    "hold for the entries of their range, one of them sufficing",
  ]),
  row("new event types after a hypervisor update", [BOOT, "a type that the rules do not have"]),
  row("memfd entries in IMA", [IMA, "excuse no memfd, whose name its maker chooses"]),
  row("PCR 9 events absent from the firmware log", [
    BOOT,
    "a PCR that was extended without events",
  ]),
  row(
    "per-node allowlists of 20 MB",
    [IMA, "by a key of the policy allow a file under any path"],
    [GATE_IMA, "a list is sent whole once, and then from where it was proven"],
  ),
  row(
    "a non-DER EK certificate",
    ...at(CERTIFICATES, "padding and a TCG header are cut, and the original bytes are kept"),
  ),
  row(
    "on-die intermediates",
    ...at(
      CERTIFICATES,
      "every intermediate of the vendors' bundles validates under a root of them",
    ),
  ),
  row(
    "no EK certificate at all",
    ...at(ENROLLMENT, "an allowlisted EK needs no certificate, and the credential says so"),
    ...at(AGENT, "a TPM without EK certificate: its EK is made, and enrolls by allowlist"),
  ),
  row(
    "a restarted agent that fails for good",
    ...at(AGENT, "a TPM reset under an open agent: its key is gone, and the error says so"),
  ),
  row(
    "a race between PCR extension and quote",
    ...at(AGENT, "a PCR that changes between quote and reading: both are taken again"),
  ),
];

const AUTHORIZATION_ROWS: readonly Row[] = [
  named(
    "CVE-2023-48223, CVE-2026-34950, CVE-2026-22817: algorithm chosen by the token",
    AUTHORIZATION,
  ),
  named(
    "pycose #140, #94; go-cose #80, #217: alg or crit read from the unprotected header",
    AUTHORIZATION,
  ),
  named(
    "GHSA-pwqf-9h7j-7mv8, GHSA-3633-5h82-39pq, GHSA-9vcr-p3rj-q5q6: one key counted twice",
    AUTHORIZATION,
  ),
  named("CVE-2026-23992: threshold 0", AUTHORIZATION),
  named("CVE-2022-35929, CVE-2022-35930: wrong or absent type passes; typ swapped", AUTHORIZATION),
  row(
    "gh CLI #10418: success when nothing was verified",
    ...at(AUTHORIZATION, "gh CLI #10418: success when nothing was verified"),
    ...at("test/unit/log/note.test.ts", "success needs a listed key (not: nothing was verified)"),
  ),
  named("CVE-2022-36056, CVE-2026-22703: valid, but of another artifact", AUTHORIZATION),
  row(
    "CVE-2026-56865, CVE-2026-56864: forged tile or lookup",
    ...at(MERKLE, "hold for no other index, size, leaf, root, order or length"),
    ...at(MERKLE, "hold for no other history, root, order or length"),
  ),
  named(
    "policy-controller #223, Kyverno: no rule matched, so admitted; all of an empty set",
    RULES,
  ),
  named(
    "Notary, several: revocation not reachable, so valid; unsigned list; index as float",
    RULES,
  ),
  named("SPIRE 1.11.3: missing exp accepted", RULES),
  named(
    "CVE-2024-48949, python-jose #403: S >= L, signature length, malleable twin evades a denylist",
    RULES,
  ),
  named("biscuit, 2024-07-31: key confusion between keysets", AUTHORIZATION),
  row(
    "CVE-2026-26209, GHSA-685m-2w69-288q: deep nesting",
    ...at(
      ENCODINGS,
      "lengths >= 2^31, pointer wrap, -2^64, duplicate keys, trailing bytes, deep nesting",
    ),
    ...at(QUOTE, "recursion: a policy nested without end"),
  ),
  row(
    "CVE-2024-21626, CVE-2019-5736: descriptor leak; executable overwritten while used",
    ...at("test/e2e/exec.test.ts", "sees none of the descriptors that leaked into the gate"),
    ...at(IMAGE, "runs as it was hashed when the file changes afterwards"),
    ...at(IMAGE, "cannot be altered by the job itself"),
    ...at(IMAGE, "sealed memory refuses every change, also root's"),
  ),
];

const OWN_ROWS: readonly Row[] = [
  named(
    "lengths >= 2^31, pointer wrap, -2^64, duplicate keys, trailing bytes, deep nesting",
    ENCODINGS,
  ),
  named("duplicates inside cnf", OWN),
  row("duplicate JSON members at the HTTP edge", [
    ROUTES,
    "refuses what it does not take, with a code",
  ]),
  row(
    "typ or tag swapped",
    ...at(AUTHORIZATION, "%s under the other tag, another one, or none"),
    ...at(AUTHORIZATION, "%s under every other type, signed as such"),
  ),
  named("a parent of another chain", OWN),
  named("clock at exactly each bound and one beyond", CLOCK),
  row(
    "two claims of one use at once",
    ...at(STORE, "of two that claim the last use at once, exactly one wins"),
    ...at("test/unit/log/journal.test.ts", "two uses at once of a last one: one wins"),
  ),
  row(
    "disk full in the middle of an intent",
    ...at(STORE, "the disk fills up amid claims: refused from then on, what was claimed stays"),
  ),
  row(
    "power lost, or a sync that fails, in the middle of a claim",
    ...at(POWER, "after a loss of power at any moment, every claim that was announced is there"),
    ...at(POWER, "sync %i fails: what was announced stays, what was refused is whole"),
  ),
  row(
    "NV counter ahead of and behind the state",
    ...at(ANCHOR, "the counter is ahead: an older copy", "the counter is behind"),
    ...at(
      "test/e2e/cli-rollback.test.ts",
      "what an older copy would give back is denied, until the machine is enrolled again",
    ),
  ),
];

const LINEAGE = "test/unit/assembly/decide-lineage.test.ts";
const GATE = "test/unit/gate/gate.test.ts";

/** Further mistakes that the authority side of this design could make. */
const AUTHORITY_ROWS: readonly Row[] = [
  row(
    "one key under two kids, or in two encodings, toward a threshold",
    ...at(AUTHORIZATION, "by two ids: one that is not the key's thumbprint names no key"),
    ...at(AUTHORIZATION, "by two entries of a keyset, or of two encodings"),
  ),
  row("integers and lengths that are not the shortest; keys of a map that stand twice", [
    ENCODINGS,
    "lengths >= 2^31, pointer wrap, -2^64, duplicate keys, trailing bytes, deep nesting",
  ]),
  row(
    "a valid element of another chain",
    ...at(LINEAGE, "a valid element of another chain", "an element twice in the chain"),
  ),
  row(
    "an ancestor revoked or expired, its child honoured",
    ...at(LINEAGE, "an ancestor revoked, by index or by digest; the leaf itself"),
    ...at(LINEAGE, "an ancestor past its expiry ends its children"),
  ),
  row(
    "depth raised by a child",
    ...at(LINEAGE, "depth only falls", "a link that states no maximum depth may not be delegated"),
  ),
  row(
    "widened argv or environment",
    ...at(LINEAGE, "the scope is nowhere wider"),
    ...at(LINEAGE, "what a link between gave away, its child cannot take back"),
  ),
  row(
    "uses minted by minting links",
    ...at(LINEAGE, "a delegate cannot mint uses by minting links: the parent's are counted"),
  ),
  row(
    "signature malleability used to dodge replay",
    ...at(
      RULES,
      "an ECDSA twin verifies, and is the same element: revoked, counted and answered as one",
      "one more signature, or one less above the threshold, is the same element too",
    ),
  ),
  row(
    "freeze between nonce and decision, and for a lease",
    ...at(OWN, "a freeze between nonce and decision"),
    ...at(OWN, "for a lease: the same, and a freeze of all ends it"),
    ...at(GATE, "a freeze that another decision saw between allow and claim: nothing starts"),
  ),
  row(
    "a run's lease used to start another job",
    ...at(OWN, "a run's lease cannot start another job, nor lend its run to another"),
  ),
  row("break-glass as a bypass", ...at("test/spec/break-glass.test.ts", "it bypasses nothing: %s")),
  row(
    "different objects signed under one proposal",
    ...at(
      "test/e2e/cli-governance.test.ts",
      "different proposals of one number, strangers' keys, open key files, other digests",
    ),
  ),
];

export const ROWS: readonly Row[] = [
  ...ATTESTATION_ROWS,
  ...DAYS,
  ...AUTHORIZATION_ROWS,
  ...OWN_ROWS,
  ...AUTHORITY_ROWS,
];
