/**
 * Our own list: what could go wrong in this design and no other. Encodings stand in
 * encodings.test.ts, the clock in clock.test.ts, typ and tag in authorization.test.ts, claims of
 * uses and full disks in the tests of store and faults.
 */
import { describe, expect, test } from "vitest";
import { encode } from "../../../src/wire/cbor.ts";
import type { CborValue } from "../../../src/wire/cbor-value.ts";
import { auditPath, merkleRoot } from "../../../src/wire/merkle.ts";
import { chain } from "../../support/chains.ts";
import { NOW } from "../../support/domain.ts";
import { seeded } from "../../support/keys.ts";
import { concat } from "../../support/signatures.ts";
import type { CaseOverrides } from "../../support/world.ts";
import { allows, decided, denies, world } from "./denial.ts";
import { malformations } from "./encodings.ts";

describe("duplicates inside cnf", () => {
  const cnf = async (change: (key: ReadonlyMap<number, CborValue>) => Uint8Array) => {
    const { x, y } = world.signers.agent.key as { x: Uint8Array; y: Uint8Array };
    const key = new Map<number, CborValue>([
      [1, 2],
      [-1, 1],
      [-2, x],
      [-3, y],
    ]);
    const plain = encode(new Map([[1, key]]));
    const payload = (bytes: Uint8Array): Uint8Array => {
      const at = Buffer.from(bytes).indexOf(plain);
      expect(at).toBeGreaterThan(0);
      return concat(bytes.subarray(0, at), change(key), bytes.subarray(at + plain.length));
    };
    return decided(await world.caseBytes({ edit: { payload: { grant: payload } } })).code;
  };

  test("every malformation of it, and both forms at once", async () => {
    const key = await cnf((key) => encode(new Map([[1, key]])));
    expect(key).toBeNull();
    const inside = [
      ...malformations(
        encode(
          new Map([
            [
              1,
              new Map([
                [1, 2],
                [-1, 1],
              ]),
            ],
          ]),
        ),
      ),
    ];
    for (const { bytes } of inside.filter((_, i) => i % 9 === 0)) {
      expect(await cnf(() => bytes)).toMatch(/^artifact\./);
    }
    const twice = (first: Uint8Array) => (key: ReadonlyMap<number, CborValue>) =>
      concat(Uint8Array.of(0xa2), first, encode(new Map([[1, key]])).subarray(1));
    expect(await cnf(twice(Uint8Array.of(1, 0xa0)))).toMatch(/^artifact\./);
    const both = (key: ReadonlyMap<number, CborValue>) =>
      encode(
        new Map<number, CborValue>([
          [1, key],
          [-70000, 1],
        ]),
      );
    expect(await cnf(both)).toMatch(/^artifact\./);
    expect(await cnf(() => encode(new Map()))).toBe("artifact.malformed");
    expect(await cnf(() => encode(new Map([[-70000, 0]])))).toBe("artifact.malformed");
  });
});

describe("a parent of another chain", () => {
  test("a link under a grant that its parent's holder was also given", async () => {
    await allows(chain(world, [{}]));
    const other = await world.build({ grant: { maxDepth: 4, cti: seeded("another", 16) } });
    await denies(chain(world, [{ claims: { parent: other.grant.digest } }]), "lineage.parent");
    const two = [{}, { claims: { parent: other.grant.digest } }];
    await denies(chain(world, two), "lineage.parent");
  });

  test("a link that skips its parent, or names itself a parent's twin", async () => {
    const { grant } = await world.build({ grant: { maxDepth: 4 } });
    const skipping = [{}, { claims: { parent: grant.digest } }];
    await denies(chain(world, skipping), "lineage.parent");
    await denies(chain(world, [{ claims: { depth: 2 } }]), "lineage.depth");
  });

  test("a link that the parent's holder did not sign", async () => {
    const { stranger, authority } = world.signers;
    for (const signer of [stranger, authority[0]]) {
      await denies(chain(world, [{ signer }]), "signature.unknown-key");
    }
    await denies(chain(world, [{}], { holder: "node" }), "signature.unknown-key");
  });

  test("a link in the place of the grant, a grant in the place of a link", async () => {
    const { evidence, context, grant } = await world.build(chain(world, [{}]));
    const [first, link] = evidence.elements;
    if (first === undefined || link === undefined) throw new Error("no chain");
    const alone = { elements: [link] };
    await denies({ evidence: alone }, "artifact.malformed");
    await denies({ evidence: { elements: [link, first] } }, "artifact.malformed");
    const uses = [context.uses[0], context.uses[0]].filter((use) => use !== undefined);
    const twice = { elements: [grant.bytes, grant.bytes] };
    await denies({ evidence: twice, context: { uses } }, "artifact.malformed");
  });
});

/** A lease of a run that the same grant and job started. */
const run = seeded("a run");
const lease: CaseOverrides = { purpose: "lease", run };

describe("a lease", () => {
  test("continues its run, and does not count the run's own use", async () => {
    await allows({ ...lease, uses: 1 });
    await allows({ ...lease, uses: 3 });
    await denies({ ...lease, uses: 4 }, "replay.use");
    await denies({ uses: 3 }, "replay.use");
  });

  test("cannot be a start, nor a start a lease", async () => {
    const started = { kind: "start", parentRun: run } as const;
    await denies({ ...lease, context: { purpose: started } }, "replay.run");
    const { context } = await world.build(lease);
    await denies({ run, context: { purpose: context.purpose } }, "replay.run");
  });

  test("holds for its own run, job and chain alone", async () => {
    const { jobDigest, grant } = await world.build();
    const own = { kind: "lease", run, job: jobDigest, chain: grant.digest } as const;
    await allows({ ...lease, context: { purpose: own } });
    for (const member of ["run", "job", "chain"] as const) {
      const purpose = { ...own, [member]: seeded("another") };
      await denies({ ...lease, context: { purpose } }, "replay.run");
    }
  });

  test("survives a freeze of new jobs, and no other", async () => {
    await allows({ ...lease, snapshot: { freeze: "new" } });
    await denies({ ...lease, snapshot: { freeze: "all" } }, "governance.frozen");
    await denies({ snapshot: { freeze: "new" } }, "governance.frozen");
  });
});

test("a run's lease cannot start another job, nor lend its run to another", async () => {
  const { jobDigest, grant } = await world.build();
  const own = { kind: "lease", run, job: jobDigest, chain: grant.digest } as const;
  const other = [seeded("other", 8)];
  const scope = { argv: { form: "choices", values: [other] } } as const;
  await allows({ job: { argv: other }, scope });
  await denies({ ...lease, job: { argv: other }, scope, context: { purpose: own } }, "replay.run");
  await denies({ ...lease, run: seeded("another run"), context: { purpose: own } }, "replay.run");
});

describe("a freeze between nonce and decision", () => {
  const seen = (snapshotVersion: number) => ({
    context: world.floors({ snapshotVersion, snapshotDigest: seeded("the freeze") }),
  });

  test("an older snapshot is not taken any more, and the newer one freezes", async () => {
    await allows({});
    await denies(seen(8), "governance.rollback");
    await denies({ snapshot: { version: 8, freeze: "new" } }, "governance.frozen");
  });

  test("for a lease: the same, and a freeze of all ends it", async () => {
    await allows(lease);
    await denies({ ...lease, ...seen(8) }, "governance.rollback");
    await denies({ ...lease, snapshot: { version: 8, freeze: "all" } }, "governance.frozen");
  });
});

describe("uses at exactly the maximum and one beyond", () => {
  test.each([
    [1, 0],
    [3, 2],
    [2 ** 53 - 1, 2 ** 53 - 2],
  ])("of %d", async (uses, last) => {
    await allows({ scope: { uses }, uses: last });
    await denies({ scope: { uses }, uses: last + 1 }, "replay.use");
  });

  test("counted for another element, or for none", async () => {
    await denies({ context: { uses: [] } }, "replay.element");
    await denies({ context: { uses: [{ element: seeded("x"), count: 0 }] } }, "replay.element");
  });
});

describe("a quote shared by many requests serves each of them and no other (RFC 9162 §2.1.3)", () => {
  const others = (count: number) => Array.from({ length: count }, (_, i) => seeded(`request ${i}`));
  const shared = (count: number, index: number): CaseOverrides => ({
    holder: "node",
    shared: { others: others(count), index },
  });

  test("at every place of every size", async () => {
    for (const count of [0, 1, 2, 3, 4, 6, 8]) {
      for (let index = 0; index <= count; index += count > 4 ? 2 : 1)
        await allows(shared(count, index));
    }
  });

  test("at no other place, of no other size, by no other path", async () => {
    const { evidence, request } = await world.build(shared(6, 2));
    const { slot } = evidence.tpm;
    const wrong = [
      ...[0, 1, 3, 6, 7, 2 ** 32 + 2, 2 ** 53 - 1].map((index) => ({ ...slot, index })),
      ...[0, 1, 2, 3, 15, 65_536, 2 ** 32 + 7, 2 ** 53 - 1].map((size) => ({ ...slot, size })),
      { ...slot, path: [] },
      { ...slot, path: slot.path.slice(1) },
      { ...slot, path: [...slot.path, seeded("more")] },
      { ...slot, path: slot.path.toReversed() },
      { ...slot, ...auditPath([request], 0) },
    ];
    for (const changed of wrong) {
      const tpm = { ...evidence.tpm, slot: changed };
      await denies({ ...shared(6, 2), evidence: { tpm } }, "environment.quote-nonce");
    }
  });

  test("a node of the tree does not pass for a request", async () => {
    const two = others(2);
    const extraData = merkleRoot([merkleRoot(two), seeded("x")]);
    await denies({ attest: { extraData } }, "environment.quote-nonce");
  });
});

test("a case of another verifier is not this one's: role, pin and node are the context's", async () => {
  await denies({ context: { role: "plane" } }, "replay.nonce");
  await denies({ context: { charter: seeded("pin") } }, "governance.pin");
  const name = concat(Uint8Array.of(0, 0x0b), seeded("another machine"));
  await denies({ context: { node: { name, counters: null } } }, "identity.node");
});

test("plane mode cannot be chosen away by the caller", async () => {
  const asked: readonly CaseOverrides[] = [{ plane: true }, { grant: { decision: "plane" } }];
  for (const overrides of asked) {
    await denies(await world.withResult(overrides, () => null), "plane.missing");
  }
  await allows({ plane: true, grant: { decision: "plane" } });
  expect((await allows({})).request?.expires).toBeGreaterThan(NOW);
});
