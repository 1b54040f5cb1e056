/**
 * `run` and `check` under a policy with IMA rules: a list of our own, extended into PCR 10 of a
 * software TPM as the kernel would.
 */
import { appendFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadDomain, loadPolicies } from "../../src/domain/domain.ts";
import { signPolicy } from "../../src/domain/policies.ts";
import { signersAtHand } from "../../src/domain/signers.ts";
import { pcrExtend } from "../../src/tpm/integrity.ts";
import { openTpm } from "../../src/tpm/open.ts";
import { TPM_ALG } from "../../src/tpm/structures/constants.ts";
import { preparedMachines, SoftwareTpm } from "../../swtpm/index.ts";
import { HASH } from "../support/event-logs.ts";
import { rulesOf, stageOf } from "../support/ima-cases.ts";
import { encodeEntry, IMA_PCR, ngEntry } from "../support/ima-lists.ts";
import { Place } from "./cli-support.ts";

const JOB = ["--", "/bin/echo", "up"];
let place: Place;
let tpm: SoftwareTpm;
let list: string;
let grant: string;

/** The machine executes a file: its list grows, and PCR 10. */
async function measure(path: string): Promise<void> {
  const entry = ngEntry(path);
  await appendFile(list, encodeEntry(entry));
  await using machine = await openTpm(tpm.uri);
  await pcrExtend(machine, IMA_PCR, [
    { hash: TPM_ALG.SHA1, digest: HASH.sha1(entry.data) },
    { hash: TPM_ALG.SHA256, digest: HASH.sha256(entry.data) },
  ]);
}

beforeAll(async () => {
  place = await Place.make();
  list = place.file("ima list");
  const { states, root, issuer } = await preparedMachines();
  tpm = await SoftwareTpm.start({ template: states[0] ?? "" });
  const files = [await place.write("root.pem", root), await place.write("issuer.pem", issuer)];
  await place.json(["init", "example.org", "--tpm", tpm.uri]);
  const config = join(place.home, "config.yaml");
  const configured = `${await readFile(config, "utf8")}ima: ${list}\n`;
  await writeFile(config, configured, { mode: 0o600 });
  await place.json(["enroll", "--root", files[0] ?? "", "--intermediate", files[1] ?? ""]);
  await place.json(["policy", "capture", "base"]);
  const domain = await loadDomain(place.home);
  const [captured] = await loadPolicies(domain);
  if (captured === undefined) throw new Error("nothing was captured");
  const { pcrs } = captured.object.claims;
  const ima = rulesOf([stageOf(["/sbin/init", "/bin/echo"])]);
  const signers = await signersAtHand(domain.layout, "policy");
  const now = Math.floor(Date.now() / 1000);
  await signPolicy(domain, { name: "base", pcrs, ima }, signers, now);
  await place.json(["policy", "activate", "base"]);
  grant = place.file("a grant");
  const job = ["--exec", "/bin/echo", "--arg=up", "--cwd", "/", "--uses", "9"];
  await place.json(["authorize", ...job, "--out", grant]);
});
afterAll(async () => {
  await tpm.stop();
  await place.remove();
});

const run = (verb = "run") => place.run([verb, "--grant", grant, ...JOB]);

test("a machine that ran only what is listed runs a job; what else it runs denies the next", async () => {
  const missing = await run("check");
  expect(missing.err).toContain("environment.ima-missing");
  await measure("/sbin/init");
  expect(await run()).toMatchObject({ code: 0, out: "up\n" });
  await measure("/bin/echo");
  expect((await run("check")).code).toBe(0);
  // What was proven lies in the state: the list may lose its beginning only together with it.
  expect(await run()).toMatchObject({ code: 0, out: "up\n" });
  await measure("/tmp/miner");
  const denied = await run();
  expect([denied.code, denied.out]).toEqual([77, ""]);
  expect(denied.err).toContain("environment.ima-file");
});
