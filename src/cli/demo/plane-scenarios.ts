/** The demo's steps in plane mode: the plane decides first, the gate last. */
import { publish } from "../../domain/publication.ts";
import type { PlaneSource } from "../../gate/plane.ts";
import { forged, meddled } from "./plane.ts";
import type { Scenario } from "./scenario.ts";
import type { Site } from "./site.ts";

async function decideBy(site: Site, decision: "local" | "plane"): Promise<void> {
  await publish(site.home.path, await site.publication(), () => ({ decision }));
}

/** Governance demands the plane, for this step. */
const demanded = {
  before: (site: Site) => decideBy(site, "plane"),
  after: (site: Site) => decideBy(site, "local"),
};

/** The result of an earlier request, as someone on the network would have kept it. */
let kept: Uint8Array | null = null;

/** Flips the signature's last bit. */
function tampered(result: Uint8Array): Uint8Array {
  const copy = result.slice();
  copy[copy.length - 1] = (copy.at(-1) ?? 0) ^ 1;
  return copy;
}

/** By the time it is asked, another node has used the grant. */
function usedElsewhere(site: Site, real: PlaneSource, grant: Uint8Array): PlaneSource {
  return {
    nonce: () => real.nonce(),
    judge: async (evidence) => {
      await site.plane.claimElsewhere(grant);
      return real.judge(evidence);
    },
  };
}

export const PLANE_SCENARIOS: readonly Scenario[] = [
  { title: "the plane must decide, and is absent", expected: "plane.missing", ...demanded },
  {
    title: "the plane must decide, and agrees",
    expected: null,
    ...demanded,
    plane: (_site, real) =>
      meddled(real, (result) => {
        kept = result;
        return result;
      }),
  },
  {
    title: "a use that was claimed through another node",
    expected: "plane.denied",
    ...demanded,
    plane: usedElsewhere,
  },
  {
    title: "the plane's result of an earlier request",
    expected: "plane.request",
    ...demanded,
    plane: (_site, real) => meddled(real, (result) => kept ?? result),
  },
  {
    title: "the plane's answer tampered with",
    expected: "plane.signature",
    ...demanded,
    plane: (_site, real) => meddled(real, tampered),
  },
  {
    title: "a result by a key that is no plane's",
    expected: "plane.unknown-key",
    ...demanded,
    plane: (_site, real) => meddled(real, forged),
  },
];
