/** A gate that slept through more rotations than it can follow, and goes on by its operator's word. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { judgeCandidate, signatureCheck } from "../../src/cli/candidate.ts";
import { nowSeconds } from "../../src/clock.ts";
import { loadCore } from "../../src/core/index.ts";
import { loadDomain } from "../../src/domain/domain.ts";
import { ratify } from "../../src/domain/ratification.ts";
import { draftCharter } from "../../src/domain/rotation.ts";
import { signersAtHand } from "../../src/domain/signers.ts";
import { LIMITS } from "../../src/limits.ts";
import { draftObject, parseDraft, signDraft } from "../../src/wire/draft.ts";
import { Place, POLICY, UEID } from "./cli-support.ts";

let place: Place;
beforeAll(async () => {
  place = await Place.make();
  await place.json(["init", "example.org"]);
  await place.json(["policy", "sign", await place.write("base.yaml", POLICY)]);
  await place.json(["policy", "activate", "base"]);
});
afterAll(() => place.remove());

/** As many rotations as it takes, all by the keys in the home. */
async function rotate(times: number): Promise<void> {
  const core = await loadCore();
  for (let i = 0; i < times; i++) {
    const { layout, ...domain } = await loadDomain(place.home);
    const change = { keysets: {}, classes: new Map(), bounds: {} };
    let bytes = draftObject("charter", draftCharter({ layout, ...domain }, change, nowSeconds()));
    for (const root of (await signersAtHand(layout, "root")).slice(0, 2)) {
      bytes = await signDraft(bytes, root);
    }
    await ratify(place.home, [{ file: "", draft: parseDraft(bytes) }], {
      check: signatureCheck(core),
      judge: (candidate) => judgeCandidate(core, candidate),
      governance: await signersAtHand(layout, "governance"),
      lists: [],
      nowSeconds: nowSeconds(),
    });
  }
}

async function chartersSaid(): Promise<{ ok: boolean; detail: string; next: string | null }> {
  const { out } = await place.run(["doctor", "--json"]);
  const { checks } = JSON.parse(out);
  return checks.find(({ name }: { name: string }) => name === "charters");
}

async function codeOfCheck(): Promise<string> {
  const { out } = await place.run([
    ...["check", "--json", "--grant", place.file("one.grant")],
    ...["--", "/bin/true"],
  ]);
  return JSON.parse(out).code;
}

const pin = (digest: string) => place.run(["governance", "pin", "--digest", digest]);

test("it denies, doctor says why, and a later charter is pinned by its digest alone", async () => {
  await rotate(LIMITS.charters - 1);
  const job = ["--exec", "/bin/true", "--node", UEID];
  await place.json(["authorize", ...job, "--out", place.file("one.grant")]);
  expect(await chartersSaid()).toMatchObject({ ok: true, detail: "1 pinned, 16 in force" });

  await rotate(1);
  const said = await chartersSaid();
  expect(said).toMatchObject({ ok: false });
  expect(said.detail).toContain("at most 15 rotations");
  expect(said.next).toContain("portcullis governance pin");
  expect(await codeOfCheck()).toBe("governance.charter");

  const { charters } = await loadDomain(place.home);
  const digestOf = (number: number): string =>
    Buffer.from(charters[number - 1]?.digest ?? []).toString("hex");
  const stranger = await pin("00".repeat(32));
  expect(stranger.code).toBe(64);
  expect(stranger.err).toContain("none of the 17 charters");
  expect((await pin(digestOf(1))).err).toContain("the pin moves forward only");
  const pinned = await pin(digestOf(9));
  expect(pinned).toMatchObject({ code: 0, err: "" });
  expect(pinned.out).toContain("charter 9, before it 1");
  expect(await chartersSaid()).toMatchObject({ ok: true, detail: "9 pinned, 17 in force" });
  // From there it follows by itself, and what it proved is its pin.
  expect(await codeOfCheck()).not.toMatch(/^governance/);
  expect(await chartersSaid()).toMatchObject({ ok: true, detail: "17 pinned, 17 in force" });
  expect((await pin(digestOf(16))).err).toContain("not to 16");
});
