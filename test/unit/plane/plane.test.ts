/** The plane's rules over a real store, log and core. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { loadCore } from "../../../src/core/index.ts";
import { PortcullisError } from "../../../src/errors.ts";
import { parseLeaf } from "../../../src/log/leaf.ts";
import { StoreError } from "../../../src/store/contract.ts";
import { decode, encode } from "../../../src/wire/cbor.ts";
import { evidenceDigest } from "../../../src/wire/digests.ts";
import { parseSigned } from "../../../src/wire/objects.ts";
import { NOW } from "../../support/domain.ts";
import { makePlaneWorld, type PlaneWorld } from "../../support/plane-world.ts";

let made: PlaneWorld;
beforeEach(async () => {
  made = await makePlaneWorld();
});
afterEach(() => made.dispose());

const claimsOf = (result: Uint8Array | null) => {
  if (result === null) throw new Error("nothing was signed");
  return parseSigned("result", result).claims;
};
const leaves = async () => (await made.store.leaves(0, 100)).map(({ bytes }) => parseLeaf(bytes));

describe("agreement", () => {
  test("is signed over this request and evidence, for a minute at most", async () => {
    const evidence = await made.evidence();
    const { result, code } = await made.plane.decide(evidence);
    expect(code).toBeNull();
    const claims = claimsOf(result);
    expect(claims).toMatchObject({ verdict: "allow", evidence: evidenceDigest(evidence) });
    expect(claims.iat).toBeLessThanOrEqual(NOW);
    expect(claims.exp).toBeGreaterThan(NOW);
    expect(claims.exp - claims.iat).toBeLessThanOrEqual(60);
  });

  test("is what the gate's core demands", async () => {
    const { world, plane } = made;
    const nonce = plane.nonce();
    const overrides = { plane: true, evidence: { planeNonce: nonce } } as const;
    const built = await world.build(overrides);
    const { result } = await plane.decide(built.evidenceBytes);
    const bytes = await world.withResult(overrides, () => result);
    const verdict = (await loadCore()).decide(bytes);
    expect(verdict).toMatchObject({ code: null, allow: true });
    const [version, context, evidence] = decode(bytes) as [number, never, never];
    const without = (await loadCore()).decide(encode([version, context, evidence, null]));
    expect(without.code).toBe("plane.missing");
  });

  test("its nonce and uses are claimed and recorded when it is told", async () => {
    const { plane, store } = made;
    const once = { scope: { uses: 1 } };
    await plane.decide(await made.evidence(once));
    const [leaf] = await leaves();
    expect(leaf).toMatchObject({ event: "checked", code: null });
    const again = await plane.decide(await made.evidence(once));
    expect(again.code).toBe("replay.use");
    expect((await store.tree()).size).toBe(2);
  });

  test("where nothing can be written, nothing is signed", async () => {
    const failing = await makePlaneWorld();
    const { store } = failing;
    store.transact = async () => {
      throw new StoreError("store.full", "No space.");
    };
    const evidence = await failing.evidence();
    const refusal = failing.plane.decide(evidence);
    await expect(refusal).rejects.toMatchObject({ code: "plane.unwritten" });
    // Why is in the cause alone: the message goes to whoever asked.
    await expect(refusal).rejects.not.toMatchObject({ message: expect.stringMatching("No space") });
    await failing.dispose();
  });
});

describe("a nonce", () => {
  test.each([
    [
      "used before",
      async () => {
        const nonce = made.plane.nonce();
        await made.plane.decide(await made.evidence({}, nonce));
        return made.evidence({}, nonce);
      },
    ],
    ["of another plane", async () => made.evidence({}, new Uint8Array(32).fill(7))],
    ["absent", async () => made.evidence({ evidence: { planeNonce: null } })],
  ] as const)("%s: replay.nonce, and nothing is signed", async (_what, make) => {
    const { result, code } = await made.plane.decide(await make());
    expect([result, code]).toEqual([null, "replay.nonce"]);
  });

  test("is spent by a denial too", async () => {
    const nonce = made.plane.nonce();
    const denied = await made.evidence({ grant: { exp: NOW } }, nonce);
    expect((await made.plane.decide(denied)).code).toMatch(/^window\./);
    expect((await made.plane.decide(await made.evidence({}, nonce))).code).toBe("replay.nonce");
  });
});

describe("a denial", () => {
  test.each([
    ["window.expired", { grant: { exp: NOW } }],
    ["governance.expired", { snapshot: { exp: NOW } }],
    ["environment.quote-nonce", { attest: { extraData: new Uint8Array(32) } }],
    ["policy.arguments", { job: { argv: [Buffer.from("other")] } }],
  ] as const)(
    "%s is the plane's own, signed as a denial, and recorded",
    async (code, overrides) => {
      if ("snapshot" in overrides) made.published = { ...made.published, version: 0 };
      const opinion = await made.plane.decide(await made.evidence(overrides));
      expect(opinion.code).toBe(code);
      if (opinion.result !== null) expect(claimsOf(opinion.result).verdict).toBe("deny");
      expect((await leaves()).at(-1)).toMatchObject({ event: "denied", code });
      // Another snapshot of the same version was proven: the one before it is now a contradiction.
      const after = "snapshot" in overrides ? "governance.rollback" : null;
      expect((await made.plane.decide(await made.evidence())).code).toBe(after);
    },
  );

  test("what is no evidence is refused, not judged", async () => {
    for (const bytes of [new Uint8Array(0), Uint8Array.of(0xf6), encode([1, 2, 3])]) {
      await expect(made.plane.decide(bytes)).rejects.toMatchObject({ code: "plane.evidence" });
    }
    expect((await made.store.tree()).size).toBe(0);
  });

  test("the largest job is judged; what takes far more memory than bytes is not even read", async () => {
    const argv = Array.from({ length: 1_024 }, () => Buffer.from("a"));
    const numbered = (i: number) => Buffer.from(`/${String(i).padStart(3, "0")}`);
    const environment = Array.from({ length: 256 }, (_, i) => {
      return { name: Buffer.from(`V${i + 100}`), value: numbered(i) };
    });
    const inputs = Array.from({ length: 256 }, (_, i) => {
      return { path: numbered(i), digest: new Uint8Array(32) };
    });
    const largest = await made.evidence({ job: { argv, environment, inputs } });
    expect((await made.plane.decide(largest)).code).toMatch(/^policy\./);
    const hollow = encode(new Array(4_096).fill(new Uint8Array(0)));
    await expect(made.plane.decide(hollow)).rejects.toMatchObject({
      code: "plane.evidence",
      message: expect.stringMatching("too many items"),
    });
  });

  test("evidence at every truncation, or with anything after it, agrees to nothing", async () => {
    const evidence = await made.evidence();
    for (let size = 0; size < evidence.length; size += 97) {
      const cut = evidence.subarray(0, size);
      await expect(made.plane.decide(cut)).rejects.toMatchObject({ code: "plane.evidence" });
    }
    const longer = Buffer.concat([evidence, encode(null)]);
    await expect(made.plane.decide(longer)).rejects.toMatchObject({ code: "plane.evidence" });
  });

  test("charters that are not the plane's own are judged from its pin on", async () => {
    const other = { ...made.published, charters: [Uint8Array.of(1)], charterDigests: [] };
    made.published = other;
    expect((await made.plane.decide(await made.evidence())).code).toBeNull();
    const foreign = await made.evidence({ charter: { iat: NOW - 1 } });
    expect((await made.plane.decide(foreign)).code).toBe("governance.pin");
  });

  test("charters of the plane's own are judged from the first of them on", async () => {
    const { charter } = await made.world.build({ plane: true, charter: { iat: NOW - 1 } });
    const { bytes, digest } = charter;
    made.published = { ...made.published, charters: [bytes], charterDigests: [digest] };
    const opinion = await made.plane.decide(await made.evidence({ charter: { iat: NOW - 1 } }));
    // Another charter of the pinned number: the floors know it for what it is.
    expect(opinion.code).not.toBe("governance.pin");
  });

  test("an older snapshot than the published one is a rollback, for every node at once", async () => {
    const { version } = made.published;
    made.published = {
      ...made.published,
      version: version + 1,
      digest: new Uint8Array(32).fill(1),
    };
    expect((await made.plane.decide(await made.evidence())).code).toBe("governance.rollback");
  });
});

describe("uses", () => {
  test("of many decisions at once are claimed exactly as often as there are", async () => {
    const uses = 5;
    const scope = { scope: { uses } };
    const all = await Promise.all(Array.from({ length: 24 }, () => made.evidence(scope)));
    const opinions = await Promise.all(all.map((evidence) => made.plane.decide(evidence)));
    const allowed = opinions.filter(({ code }) => code === null);
    expect(allowed).toHaveLength(uses);
    const others = new Set(opinions.map(({ code }) => code));
    expect(
      [...others].every((code) => [null, "internal.ledger", "replay.use"].includes(code)),
    ).toBe(true);
    for (const { code, result } of opinions) {
      if (result === null) continue;
      expect(claimsOf(result).verdict).toBe(code === null ? "allow" : "deny");
    }
    const events = (await leaves()).map(({ event }) => event);
    expect(events.filter((event) => event === "checked")).toHaveLength(uses);
    expect(events).toHaveLength(24);
  });
});

test("a stranger's word about a node does not hide the boot session that it proved", async () => {
  const { plane, service } = made;
  const session = async () => (await service.nodes(0)).nodes[0]?.session;
  const enrolled = await session();
  const evidence = await made.evidence();
  await plane.decide(evidence);
  const proven = await session();
  expect(proven).not.toEqual(enrolled);
  expect((await plane.decide(evidence)).code).toBe("replay.nonce");
  expect((await service.nodes(0)).nodes[0]?.last?.code).toBe("replay.nonce");
  expect(await session()).toEqual(proven);
});

test("a plane whose core decides nothing any more is not ready", async () => {
  const dead = new PortcullisError("pool.failed", "dead");
  const judge = { decide: () => Promise.reject(dead) };
  const failing = await makePlaneWorld({ judge });
  await expect(failing.plane.ready()).rejects.toBe(dead);
  await failing.dispose();
  await expect(made.plane.ready()).resolves.toBeUndefined();
});
