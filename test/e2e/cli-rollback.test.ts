/**
 * An older copy of the home, put back while the TPM's counter has moved on, on a software TPM: what
 * it would give back is denied, until the machine is enrolled again.
 */
import { copyFile, cp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadAttestationKey } from "../../src/agent/attestation-key.ts";
import { findEndorsementKey, readAkFile } from "../../src/agent/index.ts";
import { certifyCounter, keepCounter, makeCounter } from "../../src/agent/state-counter.ts";
import { nvDefineSpace, nvIncrement, nvReadPublic, nvUndefineSpace } from "../../src/tpm/nv.ts";
import { openTpm } from "../../src/tpm/open.ts";
import { password } from "../../src/tpm/session.ts";
import { TPM_ALG, TPMA_NV } from "../../src/tpm/structures/constants.ts";
import { parseSigned } from "../../src/wire/objects.ts";
import { preparedMachines, SoftwareTpm } from "../../swtpm/index.ts";
import { Place } from "./cli-support.ts";

const JOB = ["--", "/bin/echo", "up"];
let place: Place;
let tpm: SoftwareTpm;
let enroll: string[];

beforeAll(async () => {
  place = await Place.make();
  const { states, root, issuer } = await preparedMachines();
  tpm = await SoftwareTpm.start({ template: states[0] ?? "" });
  const files = [await place.write("root.pem", root), await place.write("issuer.pem", issuer)];
  enroll = ["enroll", "--root", files[0] ?? "", "--intermediate", files[1] ?? ""];
  await place.json(["init", "example.org", "--tpm", tpm.uri]);
  await place.json(enroll);
  await place.json(["policy", "capture", "base"]);
  await place.json(["policy", "activate", "base"]);
});
afterAll(async () => {
  await tpm.stop();
  await place.remove();
});

async function grant(name: string, uses = 1): Promise<string> {
  const out = place.file(name);
  const job = ["--exec", "/bin/echo", "--arg=up", "--cwd", "/", "--uses", String(uses)];
  await place.json(["authorize", ...job, "--out", out]);
  return out;
}

const run = (file: string) => place.run(["run", "--grant", file, ...JOB]);

/** The whole home, as a backup or an image of the disk would hold it. */
const keep = (name: string) => cp(place.home, place.file(name), { recursive: true });
async function putBack(name: string): Promise<void> {
  await rm(place.home, { recursive: true });
  await cp(place.file(name), place.home, { recursive: true });
}

test("what an older copy would give back is denied, until the machine is enrolled again", async () => {
  const once = await grant("once.grant");
  await keep("older");
  // A new snapshot: the first claim under it raises the counter.
  await place.json(["snapshot", "renew"]);
  expect(await run(once)).toMatchObject({ code: 0, out: "up\n" });
  expect((await run(once)).err).toContain("replay.use");

  await keep("newest");
  await putBack("older");
  await place.json(["snapshot", "renew"]);
  const denied = await run(once);
  expect(denied.code).toBe(70);
  expect(denied.err).toContain("internal.rollback");
  expect(denied.err).toContain("portcullis enroll");
  expect((await place.run(["status"])).out).toMatch(/counter +0x01805043 at \d+/);

  // The newest copy is good; and so is the older one by the enroller's word.
  await putBack("newest");
  expect((await run(await grant("second.grant"))).code).toBe(0);
  await putBack("older");
  await place.json([...enroll, "--replace"]);
  await place.json(["snapshot", "renew"]);
  expect((await run(await grant("third.grant"))).code).toBe(0);
});

test("the credential names a counter that the state does not know", async () => {
  const file = await grant("fourth.grant");
  await keep("whole");
  await copyFile(join(place.file("older"), "state.db"), join(place.home, "state.db"));
  expect((await run(file)).err).toContain("internal.rollback");
  await putBack("whole");
  expect((await run(file)).code).toBe(0);
});

test("a counter that is not the node's: undefined, defined anew, or an ordinary index", async () => {
  const node = parseSigned("node", await readFile(join(place.home, "node/credential")));
  const name = node.claims.nvIndexName ?? new Uint8Array(0);
  await using machine = await openTpm(tpm.uri);
  const { key: ek } = await findEndorsementKey(machine);
  await using _ek = ek;
  const blob = await readAkFile(join(place.home, "node/ak"));
  await using ak = await loadAttestationKey(machine, ek, blob, password());
  const made = await makeCounter(machine);
  const held = await certifyCounter(machine, ak, made);
  expect(held).toBeGreaterThan(0n);
  expect(await keepCounter(machine, made)).toEqual(made);
  await expect(certifyCounter(machine, ak, { ...made, name })).rejects.toThrow("not this node's");

  const index = await nvReadPublic(machine, made.index);
  await nvUndefineSpace(machine, index);
  await expect(certifyCounter(machine, ak, made)).rejects.toThrow("TPM_RC_HANDLE");
  // The same area again: the same Name, but it starts above what any counter held.
  await nvDefineSpace(machine, { ...index.public, attributes: unwritten(index.public.attributes) });
  await nvIncrement(machine, await nvReadPublic(machine, made.index));
  expect(await certifyCounter(machine, ak, made)).toBeGreaterThan(held);

  // An ordinary index of the same size, which its owner can write at will.
  const again = await nvReadPublic(machine, made.index);
  await nvUndefineSpace(machine, again);
  const ordinary = TPMA_NV.AUTHWRITE | TPMA_NV.AUTHREAD | TPMA_NV.NO_DA;
  const area = { ...index.public, nameAlg: TPM_ALG.SHA256, attributes: ordinary };
  await nvDefineSpace(machine, area);
  await expect(certifyCounter(machine, ak, made)).rejects.toThrow("not this node's");
  expect((await keepCounter(machine, made)).index).not.toBe(made.index);
});

/** TPMA_NV_WRITTEN is the TPM's to set. */
const unwritten = (attributes: number): number => (attributes & ~(1 << 29)) >>> 0;
