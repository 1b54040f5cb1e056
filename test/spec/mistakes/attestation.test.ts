/**
 * Published mistakes of attestation verifiers, each made here on purpose by whoever presents evidence. Rows about
 * enrollment, the host and the log stand elsewhere; index.test.ts names the test of every row.
 */
import { describe, expect, test } from "vitest";
import type { Code } from "../../../src/core/index.ts";
import { encode } from "../../../src/wire/cbor.ts";
import { merkleRoot } from "../../../src/wire/merkle.ts";
import {
  AK_TYPES,
  type AkType,
  concat,
  selectionOf,
  softwareAk,
  TPM_ALG,
  u16,
  u32,
} from "../../support/ak.ts";
import { CLOCK, PCRS } from "../../support/domain.ts";
import { agileEvent, HASH, specId } from "../../support/event-logs.ts";
import { seeded } from "../../support/keys.ts";
import { attestFields, joined } from "../../support/tpm-structures.ts";
import { type CaseOverrides, makeWorld } from "../../support/world.ts";
import { allows, core, decided, denies, world } from "./denial.ts";

const other = softwareAk("ecdsa-p256", "another key of this machine");
const values = [...(PCRS.sha256 ?? []).values()];
const zeros = new Uint8Array(32);
const policyOver = (bank: number, pcr: number, ...digests: Uint8Array[]): CaseOverrides => ({
  edit: {
    claims: { policy: (map) => map.set(-70502, new Map([[bank, new Map([[pcr, digests]])]])) },
  },
});
const flipped = (bytes: Uint8Array, at: number): Uint8Array =>
  bytes.with(at, (bytes.at(at) ?? 0) ^ 1);

describe("CVE-2021-3406: EK and AK chain not verified", () => {
  const { stranger, authority, plane, nodeLog } = world.signers;
  test.each([stranger, authority[0], plane[1], nodeLog])(
    "a credential signed by a key that is no enroller's",
    async (signer) => {
      await denies({ signers: { node: [signer] } }, "identity.unknown-key");
    },
  );

  test("a credential altered after it was signed", async () => {
    const altered = { object: { node: (bytes: Uint8Array) => flipped(bytes, -100) } };
    await denies({ edit: altered }, "identity.signature");
  });
});

describe("CVE-2022-1053: one AK validated, another used", () => {
  const quoted = (ak: typeof other, qualifiedSigner = ak.qualifiedName): CaseOverrides => ({
    quote: (request) =>
      ak.quote({ extraData: merkleRoot([request]), pcrs: PCRS, clock: CLOCK, qualifiedSigner }),
  });

  test("the quote is another key's", () => denies(quoted(other), "identity.attestation-key"));

  test("which gives itself the enrolled key's name", async () => {
    await denies(quoted(other, world.ak.qualifiedName), "environment.quote-signature");
  });

  test("the credential carries one key and another's Name", async () => {
    await denies({ node: { publicArea: other.publicArea } }, "identity.key");
    await denies({ node: { name: other.name } }, "identity.key");
  });

  test("the verifier asked one node, another answers in full", async () => {
    const answer = { context: { node: { name: other.name, counters: null } } };
    await denies(answer, "identity.node");
  });
});

test("CVE-2022-23949: unsanitised ids: none holds a space, a control character, a NUL, or is empty or endless", async () => {
  for (const id of ["", " ", "a b", "a\nb", "a\0b", "a\u007f", "é", "x".repeat(129)]) {
    const claims = {
      grant: (map: Map<number | string, unknown>) => map.set(1, id),
    };
    const { code } = decided(await world.caseBytes({ edit: { claims } }));
    expect(["artifact.malformed", "artifact.oversized"], JSON.stringify(id)).toContain(code);
  }
});

test("CVE-2022-23951: bomb in a quote: every part has a bound, and nothing is unpacked", async () => {
  const large = (bytes: number) => () => new Uint8Array(bytes);
  await denies({ edit: { attest: large(1_025) } }, "environment.quote-malformed");
  await denies({ edit: { signature: large(1_025) } }, "environment.quote-malformed");
  await denies({ edit: { attest: large(15_000_000) } }, "environment.quote-malformed");
  await denies({ evidence: { statusList: new Uint8Array(262_145) } }, "revocation.malformed");
  await denies({ edit: { job: large(65_537) } }, "policy.job");
  const chain = { elements: [new Uint8Array(196_609)] };
  await denies({ evidence: chain }, "artifact.oversized");
});

describe("CVE-2022-3500: an exception stops the checks and the state stays good", () => {
  test("after an allowed case, one cut anywhere is denied, and the next one is judged anew", async () => {
    const bytes = await world.caseBytes();
    for (let length = 0; length < bytes.length; length += 97) {
      expect(core.decide(bytes).allow).toBe(true);
      expect(core.decide(bytes.subarray(0, length)).allow).toBe(false);
    }
  });

  test("a check that cannot be made leaves its family unproven, though all others hold", async () => {
    const verdict = core.decide(await world.caseBytes({ edit: { attest: () => zeros } }), {
      explain: true,
    });
    expect(verdict.families).toMatchObject({ identity: "denied", environment: "denied" });
    expect(verdict.families).toMatchObject({ policy: "proven", replay: "proven" });
  });
});

describe("CVE-2023-3674: bad signature only logged", () => {
  const signatures: readonly (readonly [string, CaseOverrides, Code])[] = [
    ...(["charter", "snapshot", "policy", "grant", "node", "proof", "result"] as const).map(
      (kind) => {
        const object = { [kind]: (bytes: Uint8Array) => flipped(bytes, -1) };
        const code = {
          charter: "governance.signature",
          snapshot: "governance.signature",
          policy: "policy.unsigned",
          grant: "signature.invalid",
          node: "identity.signature",
          proof: "identity.proof",
          result: "plane.signature",
        } as const;
        return [kind, { plane: true, edit: { object } }, code[kind]] as const;
      },
    ),
    [
      "quote",
      { edit: { signature: (bytes) => flipped(bytes, -1) } },
      "environment.quote-signature",
    ],
  ];
  test.each(signatures)("of a %s", (_, overrides, code) => denies(overrides, code));
});

describe("CVE-2026-6420: hard-coded nonce", () => {
  test.each([zeros, new Uint8Array(32).fill(0xff), seeded("a constant")])(
    "evidence that answers a nonce of its own choice",
    (gateNonce) => denies({ evidence: { gateNonce } }, "replay.nonce"),
  );

  test("old evidence under a new nonce", async () => {
    const old = await world.build();
    const context = { nonce: seeded("a new nonce") };
    await denies({ context }, "replay.nonce");
    const renamed = { evidence: { gateNonce: context.nonce }, quote: () => old.quote, context };
    await denies({ ...renamed, holder: "node" }, "environment.quote-nonce");
  });
});

describe("CVE-2022-0317: quote over no PCRs, or over some, accepted as if over all", () => {
  const none = selectionOf({});
  const empty = concat(u32(1), u16(0x0b), Uint8Array.of(3, 0, 0, 0));
  const twice = concat(u32(2), selectionOf(PCRS).subarray(4), selectionOf(PCRS).subarray(4));
  test.each([
    ["no bank", none],
    ["a bank of no PCR", empty],
    ["a bank twice", twice],
    ["an unknown bank", concat(u32(1), u16(0x12), Uint8Array.of(3, 255, 0, 0))],
    ["a PCR that does not exist", concat(u32(1), u16(0x0b), Uint8Array.of(4, 255, 0, 0, 1))],
  ])("over %s", async (_, selection) => {
    await denies({ attest: { selection } }, "environment.quote-selection");
  });

  test("over some", async () => {
    const some = { sha256: new Map([...(PCRS.sha256 ?? [])].slice(0, 7)) };
    await denies({ pcrs: some }, "environment.pcr-uncovered");
  });
});

test("GHSA-9r4w-jg96-92mv: vendor bytes in the log header become no events and no digests", async () => {
  // An event, hidden where the vendor's bytes are, that replays to what was quoted.
  const digests = { sha256: seeded("measured") };
  const event = agileEvent({ pcr: 0, type: 8, data: new Uint8Array(), digests });
  const pcrs = { sha256: new Map([[0, HASH.sha256(concat(zeros, seeded("measured")))]]) };
  const eventLog = specId([[TPM_ALG.sha256, 32]], event);
  const value = pcrs.sha256.get(0) ?? zeros;
  const overrides = { pcrs, policies: [{ pcrs: { sha256: new Map([[0, [value]]]) } }] };
  await allows(overrides);
  const { evidence } = await world.build(overrides);
  const tpm = { ...evidence.tpm, eventLog };
  await denies({ ...overrides, evidence: { tpm } }, "environment.eventlog-uncovered");
});

test("CVE-2024-29038, CVE-2024-29040: TPMS_ATTEST magic unchecked", async () => {
  for (const magic of [0, 0xff544346, 0x474354ff, 0xffffffff]) {
    await denies({ attest: { magic } }, "environment.quote-magic");
  }
});

describe("CVE-2024-29039: pcrSelect of the signed structure unchecked", () => {
  test("the good values, quoted in PCRs that the policy does not read", async () => {
    const moved = { sha256: new Map(values.map((value, i) => [8 + i, value])) };
    await denies({ pcrs: moved }, "environment.pcr-uncovered");
  });

  test("the same values in another order", async () => {
    const { evidence } = await world.build();
    const tpm = { ...evidence.tpm, pcrs: evidence.tpm.pcrs.toReversed() };
    await denies({ evidence: { tpm } }, "environment.quote-digest");
  });
});

test("GHSA-gwfg-w3jr-xh66: an NV certification accepted as a quote", async () => {
  for (const type of [0x8014, 0x8015, 0x8016, 0x8017, 0x8019, 0x801a, 0x801c, 0]) {
    await denies({ attest: { type } }, "environment.quote-type");
  }
});

describe("a type mismatch, go-attestation d2a19a5: key and signature of different kinds", () => {
  const algorithms = {
    RSASSA: 0x14,
    RSAPSS: 0x16,
    ECDSA: 0x18,
    ECDAA: 0x1a,
    HMAC: 0x05,
    NULL: 0x10,
  };
  const own: Readonly<Record<AkType, number>> = {
    "ecdsa-p256": 0x18,
    "ecdsa-p384": 0x18,
    "rsassa-2048": 0x14,
    "rsapss-2048": 0x16,
    "rsassa-3072": 0x14,
  } as Record<AkType, number>;
  test.each(Object.keys(AK_TYPES) as AkType[])("%s", async (ak) => {
    const its = makeWorld(ak);
    for (const sigAlg of Object.values(algorithms)) {
      if (sigAlg === own[ak]) continue;
      await denies(await its.caseBytes({ attest: { sigAlg } }), "environment.quote-scheme");
    }
    const kinds = Object.keys(AK_TYPES) as AkType[];
    for (const kind of kinds.filter((kind) => kind !== ak)) {
      const { signature } = (await makeWorld(kind).build()).quote;
      const { allow, code } = core.decide(
        await its.caseBytes({ edit: { signature: () => signature } }),
      );
      expect([allow, code?.split(".")[0]]).toEqual([false, "environment"]);
    }
  });
});

test("go-attestation becfd07, f877374, 1bd9b0f, 5e9eb5d: underflow, unbounded allocation, recursion", async () => {
  const { attest } = (await world.build()).quote;
  const fields = attestFields(attest);
  const lengths = [0xffff, 0x8000, 0x7fff, 0x0101];
  for (const name of ["qualifiedSigner", "extraData", "pcrDigest"]) {
    const field = fields.get(name) ?? new Uint8Array();
    for (const length of lengths) {
      const changed = joined(fields, { [name]: concat(u16(length), field.subarray(2)) });
      await denies({ edit: { attest: () => changed } }, "environment.quote-malformed");
    }
  }
  for (const count of [0xffffffff, 0x80000000, 0x7fffffff, 17]) {
    const changed = joined(fields, { count: u32(count) });
    await denies({ edit: { attest: () => changed } }, "environment.quote-malformed");
  }
  for (let length = 1; length < attest.length; length++) {
    const cut = { attest: () => attest.subarray(0, length) };
    const { code } = core.decide(await world.caseBytes({ edit: cut, holder: "node" }));
    expect(code).toBe("environment.quote-malformed");
  }
});

describe("others, several", () => {
  test("values of unselected PCRs trusted", async () => {
    const { evidence } = await world.build();
    const pcrs = [...evidence.tpm.pcrs, seeded("pcr 20")];
    const tpm = { ...evidence.tpm, pcrs };
    await denies({ evidence: { tpm } }, "environment.quote-digest");
    await denies(policyOver(0x0b, 20, seeded("pcr 20")), "environment.pcr-uncovered");
  });

  test("unsigned selection used instead of the signed one: a case has none", async () => {
    const { evidence } = await world.build();
    const named = encode(new Map(values.map((value, i) => [i, value])));
    const tpm = { ...evidence.tpm, pcrs: [named] };
    await denies({ evidence: { tpm } }, "environment.quote-digest");
  });

  test("junk after a valid signature, and after what it signs", async () => {
    for (const junk of [Uint8Array.of(0), seeded("junk", 500)]) {
      const after = (bytes: Uint8Array): Uint8Array => concat(bytes, junk);
      await denies({ edit: { signature: after } }, "environment.quote-malformed");
      await denies({ edit: { attest: after } }, "environment.quote-malformed");
    }
  });

  test("nil or empty nonce", async () => {
    await denies({ attest: { extraData: new Uint8Array() } }, "environment.quote-nonce");
    await denies({ attest: { extraData: zeros } }, "environment.quote-nonce");
    await denies({ edit: { context: (map) => map.set(5, new Uint8Array()) } }, "internal.case");
    await denies({ edit: { context: (map) => map.set(5, null) } }, "internal.case");
    await denies({ edit: { evidence: (map) => map.set(12, null) } }, "internal.case");
    const unasked = await world.caseBytes({ role: "plane", evidence: { planeNonce: null } });
    expect(core.decide(unasked, { explain: true }).codes).toContain("replay.nonce");
  });

  test("SHA-1 fallback: of the bank, and of what is signed", async () => {
    const sha1 = { sha1: new Map(values.map((_, i) => [i, seeded(`sha1 ${i}`, 20)])) };
    await denies({ pcrs: sha1 }, "environment.pcr-uncovered");
    await denies({ attest: { sigHash: 0x0004 } }, "environment.quote-scheme");
  });

  test("all-zero reference value matches", async () => {
    await denies(policyOver(0x0b, 20, zeros), "environment.pcr-uncovered");
    await denies(policyOver(0x0c, 0, new Uint8Array(48)), "environment.pcr-uncovered");
    await denies(policyOver(0x0b, 0, zeros), "environment.pcr-mismatch");
    await denies(policyOver(0x0b, 0, new Uint8Array(20)), "environment.pcr-mismatch");
  });

  test("stale good evidence reused when re-attestation fails", async () => {
    await allows({});
    await denies({ edit: { attest: () => new Uint8Array() } }, "environment.quote-missing");
    await denies({ attest: { extraData: seeded("before") } }, "environment.quote-nonce");
    await allows({});
  });

  test("accept-all default policy: none, and one that reads nothing", async () => {
    await denies({ evidence: { policies: [] } }, "policy.missing");
    const nothing = {
      claims: { policy: (map: Map<number | string, unknown>) => map.set(-70502, new Map()) },
    };
    await denies({ edit: nothing }, "environment.pcr-empty");
  });

  test("no comparison made, reported as success", async () => {
    await denies(policyOver(0x0b, 0), "policy.malformed");
    const bank = new Map([[0x0b, new Map()]]);
    const claims = { policy: (map: Map<number | string, unknown>) => map.set(-70502, bank) };
    await denies({ edit: { claims } }, "policy.malformed");
  });
});
