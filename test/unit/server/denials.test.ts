/**
 * Every way to be denied, from the plane's side: what a verifier holds in each case of denials.ts
 * stands in the plane's own state, its evidence is sent over HTTP, and the plane says the same code.
 */
import type { FastifyInstance } from "fastify";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Code, FAMILIES } from "../../../src/core/index.ts";
import { parseLeaf } from "../../../src/log/leaf.ts";
import { Nonces } from "../../../src/plane/index.ts";
import { makeServer } from "../../../src/server/index.ts";
import type { Store } from "../../../src/store/contract.ts";
import { decode, encode } from "../../../src/wire/cbor.ts";
import { type Context, parsePlain, parseSigned } from "../../../src/wire/objects.ts";
import { parseRemote } from "../../../src/wire/remote.ts";
import { softwareAk } from "../../support/ak.ts";
import { DENIALS } from "../../support/denials.ts";
import { makePlaneWorld, type PlaneWorld } from "../../support/plane-world.ts";
import { type BuiltCase, type CaseOverrides, World } from "../../support/world.ts";

/** Makes every case for the plane, unless told otherwise. */
class AskedWorld extends World {
  override build(overrides: CaseOverrides = {}): Promise<BuiltCase> {
    return super.build({ role: "plane", plane: true, ...overrides });
  }
}

/** Takes the one nonce of the world each time. */
class OneNonce extends Nonces {
  override take(): boolean {
    return true;
  }
}

const world = new AskedWorld(softwareAk());
let made: PlaneWorld;
let server: FastifyInstance;
let url: string;
let held: Context;
beforeAll(async () => {
  made = await makePlaneWorld({ nonces: new OneNonce(), clockSeconds: () => held.now });
  const { store } = made;
  const holding: Partial<Store> = {
    holdings: async (subjects) => ({
      floors: {
        charterDigest: held.charter,
        charterNumber: held.floors.charterNumber,
        snapshotVersion: held.floors.snapshotVersion,
        snapshotDigest: held.floors.snapshotDigest,
        timeSeconds: held.floors.time,
      },
      holdings: subjects.map(() => ({
        counters: held.node.counters,
        uses: held.uses.map(({ count }) => count),
      })),
    }),
  };
  Object.assign(store, holding);
  made.published = { ...made.published, version: 0, charters: [], charterDigests: [] };
  server = await makeServer({
    service: made.service,
    tls: null,
    ratePerSecond: 100_000,
    version: "0.0.0",
    onFailure: (error) => {
      throw error;
    },
  });
  url = await server.listen({ host: "127.0.0.1", port: 0 });
});
afterAll(async () => {
  await server?.close();
  await made?.dispose();
});

/** Sends what the case holds besides its context, and gives the plane's answer. */
async function answered(caseBytes: Uint8Array) {
  const [, context, evidence] = decode(caseBytes) as [number, never, never];
  held = parsePlain("context", encode(context)).value;
  const response = await fetch(`${url}/v1/decisions`, {
    method: "POST",
    headers: { "content-type": "application/cbor" },
    body: new Uint8Array(encode(evidence)),
  });
  expect(response.status).toBe(200);
  return parseRemote("opinion", new Uint8Array(await response.arrayBuffer()));
}

const bytesOf = async (made: CaseOverrides | Promise<Uint8Array>): Promise<Uint8Array> =>
  made instanceof Promise ? made : world.caseBytes(made);

test("what is not denied is agreed to", async () => {
  expect((await answered(await world.caseBytes())).code).toBeNull();
});

/**
 * Mistakes that only a gate's context can hold: a plane looks up under what the evidence says, takes
 * its word about runs, and resumes no IMA list. Its agreement to them finds the world's nonce
 * claimed already, by the test above. (A nonce that is not the plane's: plane.test.ts.)
 */
const BY_GATES: { readonly [code in Code]?: Code } = {
  "identity.node": "internal.ledger",
  "environment.ima-resume": "environment.ima-mismatch",
  "replay.nonce": "internal.ledger",
  "replay.run": "internal.ledger",
  "replay.element": "internal.ledger",
};
const ROWS = (Object.keys(DENIALS) as Code[]).filter((code) => !/^(plane|internal)\./.test(code));
test("every family has a row, but for the two that are not the plane's to judge", () => {
  const families = new Set(ROWS.map((code) => code.split(".")[0]));
  expect([...families, "plane", "internal"].sort()).toEqual([...FAMILIES].sort());
});

describe("denied, signed as a denial, recorded", () => {
  test.each(ROWS)("%s", async (code) => {
    const make = DENIALS[code];
    if (make === undefined) throw new Error("no row");
    const opinion = await answered(await bytesOf(make(world)));
    const said = BY_GATES[code] ?? code;
    expect(opinion.code).toBe(said);
    if (opinion.result !== null) {
      expect(parseSigned("result", opinion.result).claims.verdict).toBe("deny");
    }
    const { size } = await made.store.tree();
    const [leaf] = await made.store.leaves(size - 1, 1);
    expect(leaf && parseLeaf(leaf.bytes)).toMatchObject({ event: "denied", code: said });
  });
});
