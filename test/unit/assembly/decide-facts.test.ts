/**
 * What a denial may teach: counters become floors only where the quote is the node's that
 * governance vouched for.
 */
import { expect, test } from "vitest";
import { loadCore } from "../../../src/core/index.ts";
import { merkleRoot } from "../../../src/wire/merkle.ts";
import { softwareAk } from "../../support/ak.ts";
import { CLOCK, PCRS } from "../../support/domain.ts";
import { type CaseOverrides, makeWorld } from "../../support/world.ts";

const core = await loadCore();
const world = makeWorld();
/** Beside the genuine machine: a key in software, whose "quotes" say what its owner likes. */
const forger = softwareAk("ecdsa-p256", "forger");
const LAST_RESET = 0xffff_ffff;

/** A credential of the forger's own making, and his quote with the highest counters there are. */
const forged: CaseOverrides = {
  node: {
    publicArea: forger.publicArea,
    name: forger.name,
    qualifiedName: forger.qualifiedName,
  },
  signers: { node: [world.signers.stranger] },
  quote: (request) =>
    forger.quote({
      extraData: merkleRoot([request]),
      pcrs: PCRS,
      clock: { ...CLOCK, resetCount: LAST_RESET },
    }),
};

test.each([false, true])(
  "a forged credential raises no counters, explained: %s",
  async (explain) => {
    const verdict = core.decide(await world.caseBytes(forged), { explain });
    expect(verdict.code).toBe("identity.unknown-key");
    expect(verdict.counters).toBeNull();
  },
);

test("nor where the host looked the counters up by the forger's own Name", async () => {
  const { stranger } = world.signers;
  const bytes = await makeWorld(forger).caseBytes({ signers: { node: [stranger] } });
  const verdict = core.decide(bytes, { explain: true });
  expect(verdict.codes).toEqual(["identity.unknown-key"]);
  expect(verdict.counters).toBeNull();
});

test.each([false, true])(
  "a denial after a sound quote tells them, explained: %s",
  async (explain) => {
    const verdict = core.decide(await world.caseBytes({ uses: 3 }), { explain });
    expect(verdict.code).toBe("replay.use");
    expect(verdict.counters?.resetCount).toBe(CLOCK.resetCount);
    expect(verdict.counters?.akName).toEqual(world.ak.name);
  },
);

test.each([false, true])("one before it does not, explained: %s", async (explain) => {
  const bytes = await world.caseBytes({ edit: { signature: (bytes) => bytes.fill(1, -4) } });
  const verdict = core.decide(bytes, { explain });
  expect(verdict.code).toBe("environment.quote-signature");
  expect(verdict.counters).toBeNull();
});
