/** Quotes over 24 PCRs by enrolled keys, against node:crypto verifying their signatures alone. */
import { verify } from "node:crypto";
import type { Core } from "../src/core/index.ts";
import { encodePayload } from "../src/wire/objects.ts";
import { type SoftwareAk, softwareAk } from "../test/support/ak.ts";
import { CLOCK, Domain } from "../test/support/domain.ts";
import { seeded } from "../test/support/keys.ts";
import { nativeKey, quoteKey, quoteSignature } from "./cases.ts";
import { toDer } from "./fixtures.ts";
import { appraising } from "./logs.ts";
import type { Scale, Suite } from "./measure.ts";
import { insist, pick, turns } from "./signatures.ts";

/** go-attestation's AKPublic.Verify takes about 1.3 native verifications: the budget is six times it. */
const BUDGET = 6 / 1.3;
const PCRS = new Map(Array.from({ length: 24 }, (_, pcr) => [pcr, seeded(`value ${pcr}`)]));
/** 16 and 23 prove nothing, and a policy that reads them denies. */
const ALLOWED = [...PCRS]
  .filter(([pcr]) => pcr !== 16 && pcr !== 23)
  .map(([pcr, value]): [number, Uint8Array[]] => [pcr, [value]]);
const BATCH = 64;
/** More than the core keeps anything of. */
const QUOTES = { full: 4500, quick: 2500, once: 2 };

function quoteOf(ak: SoftwareAk, i: number) {
  const qualifyingData = seeded(`nonce ${i}`);
  const pcrs = { sha256: PCRS };
  const { attest, signature } = ak.quote({ extraData: qualifyingData, pcrs, clock: CLOCK });
  const policy = { pcrs: { sha256: Object.fromEntries(ALLOWED) } };
  const values = { sha256: Object.fromEntries(PCRS) };
  return { publicArea: ak.publicArea, attest, signature, pcrs: values, qualifyingData, policy };
}

function policyOf(ak: SoftwareAk): Uint8Array {
  const claims = new Domain(ak).policy({ pcrs: { sha256: new Map(ALLOWED) } });
  return encodePayload("policy", claims);
}

export function appraisalSuites(core: Core, scale: Scale): Suite[] {
  const ak = softwareAk("ecdsa-p256", "bench");
  const key = quoteKey(ak.publicArea);
  if (key.kty !== "EC2") throw new Error("no point");
  core.enrollKey({ x: key.x, y: key.y }, { tier: "hot" });
  const quotes = Array.from({ length: QUOTES[scale] }, (_, i) => quoteOf(ak, i));
  const payload = policyOf(ak);
  const inBytes = quotes.map((quote) => ({ ...quote, policy: payload }));
  const native = nativeKey(key);
  const ders = quotes.map(({ signature }) => toDer(quoteSignature(signature)));
  const nativeTurn = turns(quotes.length);
  const turn = turns(quotes.length);
  const subjects = [
    {
      name: "node:crypto, the signature alone",
      operations: 1,
      run: () => {
        const i = nativeTurn();
        insist(verify("sha256", pick(quotes, i).attest, native, pick(ders, i)));
      },
    },
    {
      name: `appraiseQuotes, key enrolled, batch of ${BATCH}`,
      budget: BUDGET,
      ...appraising(core, quotes, BATCH, turn),
    },
    {
      name: "the same, the policy in bytes, as a gate has it",
      budget: BUDGET,
      ...appraising(core, inBytes, BATCH, turn),
    },
    { name: "appraiseQuote, key enrolled", ...appraising(core, quotes, 1, turn) },
  ];
  return [{ name: "Quote over 24 PCRs", subjects }];
}
