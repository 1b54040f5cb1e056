/** A domain that is served, and renewed while it is. */
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { startRenewal } from "../../../src/cli/plane-renewal.ts";
import { nowSeconds } from "../../../src/clock.ts";
import { draftDomain, writeDomain } from "../../../src/domain/creation.ts";
import { Layout } from "../../../src/domain/layout.ts";
import { renewSnapshot } from "../../../src/domain/publication.ts";
import { PublishedDomain } from "../../../src/domain/published.ts";
import { keepIssued, reserveIndex } from "../../../src/domain/register.ts";
import { signersAtHand } from "../../../src/domain/signers.ts";
import { generateKey, signerOf } from "../../../src/wire/keys.ts";
import { signObject } from "../../../src/wire/objects.ts";
import { makeWorld } from "../../support/world.ts";
import { PLAN } from "./operator.ts";

const homes: string[] = [];
afterEach(async () => {
  for (const home of homes.splice(0)) await rm(home, { recursive: true });
});

/** A domain of one governance key, whose snapshot has been in force for some seconds. */
async function served(ageSeconds = 0) {
  const home = await mkdtemp(join(tmpdir(), "portcullis-served-"));
  homes.push(home);
  const plan = { ...PLAN, governance: { threshold: 1, keys: 1 } };
  await writeDomain(home, await draftDomain(plan, nowSeconds() - ageSeconds));
  const signers = await signersAtHand(new Layout(home), "governance");
  return { home, signers, published: new PublishedDomain(home, signers) };
}

describe("what is published", () => {
  test("is read once, until this process or another one publishes", async () => {
    const { home, signers, published } = await served();
    await sleep(250); // a folder that was just written may change unseen
    const first = await published.current();
    expect(await published.current()).toBe(first);
    expect(first).toMatchObject({ domain: "example.test", version: 1, freeze: "none" });
    await renewSnapshot(home, { signers, nowSeconds: nowSeconds() });
    expect((await published.current()).version).toBe(2);
    const changed = await published.change({ kind: "freeze", freeze: "all" });
    expect(changed).toMatchObject({ version: 3, freeze: "all", decision: "local" });
    expect(changed.expires - changed.issued).toBe(600);
    await published.change({ kind: "decision", decision: "plane" });
    await published.change({ kind: "renew" });
    const last = await published.change({ kind: "revoke", of: "grants", index: 2 });
    expect(last).toMatchObject({ version: 6, freeze: "all", decision: "plane" });
    expect(last.statusList).not.toEqual(changed.statusList);
    expect(last.charters).toHaveLength(last.charterDigests.length);
  });

  test("is changed by nobody whose keys are too few, or no governance keys", async () => {
    const { home } = await served();
    for (const signers of [[], [signerOf(generateKey("P-256"))]]) {
      const change = new PublishedDomain(home, signers).change({ kind: "renew" });
      await expect(change).rejects.toMatchObject({ code: "domain.signers" });
    }
    expect((await new PublishedDomain(home, []).current()).version).toBe(1);
  });

  test("nodes are those with a credential, and whether each is revoked", async () => {
    const { home, published } = await served();
    const world = makeWorld();
    const layout = new Layout(home);
    const keep = async (index: number) => {
      const signers = world.defaultSigners("node");
      const bytes = await signObject("node", world.node({ statusIndex: index }), signers);
      return keepIssued(layout, "nodes", index, bytes);
    };
    for (let i = 0; i < 3; i++) await reserveIndex(layout, "nodes");
    const file = await keep(0);
    await keep(2);
    const shown = async (from = 0, count = 10) =>
      (await published.nodes(from, count)).map(({ claims, revoked }) => [
        claims.statusIndex,
        revoked,
      ]);
    expect(await shown()).toEqual([
      [0, false],
      [2, false],
    ]);
    await published.change({ kind: "revoke", of: "nodes", index: 2 });
    await keep(1);
    // Each was read once: what is written over it later is nobody's credential.
    await writeFile(`${file}.new`, "no credential");
    await rename(`${file}.new`, file);
    expect(await shown()).toEqual([
      [0, false],
      [1, false],
      [2, true],
    ]);
    expect(await shown(1, 1)).toEqual([[1, false]]);
    expect(await shown(2, 2)).toEqual([[2, true]]);
    expect(await shown(3)).toEqual([]);
    await expect(new PublishedDomain(home, []).nodes(0, 1)).rejects.toThrow();
  });
});

describe("renewal", () => {
  const failures: unknown[] = [];
  const tell = (error: unknown) => failures.push(error);

  test("renews a snapshot whose life is half over, and leaves a younger one alone", async () => {
    for (const [age, version] of [
      [290, 1],
      [301, 2],
    ] as const) {
      const { published } = await served(age);
      const stop = startRenewal(published, tell);
      await expect.poll(async () => (await published.current()).version).toBe(version);
      await sleep(600); // it has looked once more
      stop();
      expect((await published.current()).version).toBe(version);
    }
    expect(failures).toEqual([]);
  });

  test("that fails is told once, and tried again after a pause", async () => {
    const { home } = await served(400);
    const stop = startRenewal(new PublishedDomain(home, []), tell);
    await expect.poll(() => failures.length).toBe(1);
    await sleep(1_100); // two more looks
    stop();
    expect(failures).toEqual([expect.objectContaining({ code: "domain.signers" })]);
  });
});
