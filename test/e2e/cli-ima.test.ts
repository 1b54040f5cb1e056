/**
 * `run` and `check` under a policy with IMA rules: a list of our own, extended into PCR 10 of a
 * software TPM as the kernel would.
 */
import { appendFile, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadDomain, loadPolicies } from "../../src/domain/domain.ts";
import { pcrExtend } from "../../src/tpm/integrity.ts";
import { openTpm } from "../../src/tpm/open.ts";
import { TPM_ALG } from "../../src/tpm/structures/constants.ts";
import { preparedMachines, SoftwareTpm } from "../../swtpm/index.ts";
import { HASH } from "../support/event-logs.ts";
import { fileDigest } from "../support/ima-cases.ts";
import { encodeEntry, IMA_PCR, ngEntry } from "../support/ima-lists.ts";
import { Place } from "./cli-support.ts";

const JOB = ["--", "/bin/echo", "up"];
let place: Place;
let tpm: SoftwareTpm;
let list: string;
let grant: string;
/** PCR 0 to 7 of the machine, as rows of a document. */
let pcrs: readonly string[];

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
/** The machine's PCRs, and these files. */
function policy(paths: readonly string[]): string {
  const files = paths.map((path) => `    ${path}: ${hexOf(fileDigest(path))}`);
  const ima = ["ima:", "  aggregate: false", "  files:", ...files];
  return ["name: base", "pcrs:", "  sha256:", ...pcrs, ...ima, ""].join("\n");
}

/** The machine executes a file: its list grows, and PCR 10. */
async function measure(path: string): Promise<void> {
  const entry = ngEntry(path);
  await appendFile(list, encodeEntry(entry));
  await using machine = await openTpm(tpm.uri);
  await pcrExtend(machine, IMA_PCR, [
    { hash: TPM_ALG.SHA256, digest: HASH.sha256(entry.data) },
    { hash: TPM_ALG.SHA384, digest: HASH.sha384(entry.data) },
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
  const [captured] = await loadPolicies(await loadDomain(place.home));
  const values = captured?.object.claims.pcrs?.sha256 ?? new Map<number, Uint8Array[]>();
  pcrs = [...values].map(([pcr, [value]]) => `    ${pcr}: ${hexOf(value ?? new Uint8Array())}`);
  await place.write("base.yaml", policy(["/sbin/init", "/bin/echo"]));
  await place.json(["policy", "sign", "base.yaml"]);
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
  const miner = `/tmp/miner with sha256:${hexOf(fileDigest("/tmp/miner"))}`;
  expect(denied.err).toContain(`  policy base: IMA entry 2: not allowed: ${miner}\n`);
  const checked = await place.run(["check", "--json", "--grant", grant, ...JOB]);
  expect(JSON.parse(checked.out)).toMatchObject({
    code: "environment.ima-file",
    reasons: [`policy base: IMA entry 2: not allowed: ${miner}`],
  });
});

test("the list becomes a draft; with it, what ran is told before it is allowed, and then runs", async () => {
  const cases = join(place.home, "cases");
  const before = await place.run(["policy", "test", "base", cases]);
  expect(before.code).toBe(77);
  expect(before.out).toContain("IMA entry 2: not allowed: /tmp/miner with sha256:");
  const drafted = await place.run(["policy", "capture", "base", "--ima", "--out", "next.yaml"]);
  expect([drafted.code, drafted.err]).toEqual([0, ""]);
  expect(drafted.out).toMatch(/^IMA +3 files, 0 buffers$/m);
  const yaml = await readFile(place.file("next.yaml"), "utf8");
  const miner = `"/tmp/miner": ${hexOf(fileDigest("/tmp/miner"))}`;
  expect(yaml).toContain(`    ${miner}  # in a folder that programs write to\n`);
  expect(yaml).toContain("  aggregate: false  # the list does not begin with a boot_aggregate\n");
  const told = await place.json<object>(["policy", "diff", "base", "next.yaml"]);
  const added = `IMA: may occur /tmp/miner with ${hexOf(fileDigest("/tmp/miner"))}`;
  expect(told).toEqual({ added: [added], removed: [], changed: [] });
  const after = await place.run(["policy", "test", "next.yaml", cases]);
  // The case without a list stays denied, by any policy over it.
  const verdicts = after.out.split("\n").filter((line) => /^(allowed|denied)/.test(line));
  expect(verdicts.filter((line) => line.startsWith("denied"))).toHaveLength(1);
  expect(after.out).toContain("environment.ima-missing");
  await place.json(["policy", "sign", "next.yaml"]);
  await place.json(["policy", "activate", "base"]);
  expect(await run()).toMatchObject({ code: 0, out: "up\n" });
  const { out } = await place.run(["policy", "show", "base"]);
  expect(out).toContain(added);
});

test("a list that does not lead to PCR 10, or is not there, is no draft", async () => {
  const whole = await readFile(list);
  await writeFile(list, whole.subarray(0, -1));
  const draft = () => place.run(["policy", "capture", "base", "--ima"]);
  expect(await draft()).toMatchObject({ code: 64, err: expect.stringMatching(/lead to PCR 10/) });
  await writeFile(list, "not a list");
  expect((await draft()).code).not.toBe(0);
  await rm(list);
  expect((await draft()).err).toMatch(/There is no IMA list/);
  await writeFile(list, whole);
  const both = await place.run(["policy", "capture", "base", "--ima", "--pcrs", "0,10"]);
  expect(both).toMatchObject({ code: 64, err: expect.stringMatching(/PCR 10 is IMA's/) });
});

test("doctor says whether the list leads to PCR 10", async () => {
  const look = async () => {
    const { out } = await place.run(["doctor", "--json"]);
    const { checks } = JSON.parse(out) as {
      checks: { name: string; ok: boolean; detail: string }[];
    };
    const found = checks.find(({ name }) => name === "IMA list");
    return [found?.ok, found?.detail];
  };
  const whole = await readFile(list);
  expect(await look()).toEqual([true, "3 entries, which lead to PCR 10 of sha256, sha384"]);
  await writeFile(list, encodeEntry(ngEntry("/bin/echo")));
  const [ok, detail] = await look();
  expect([ok, detail]).toEqual([
    false,
    "1 entries, which do not lead to PCR 10 of sha256, sha384. Active policies ask for it: base",
  ]);
  await writeFile(list, whole);
});

test("rules over files alone quote what they need", async () => {
  const files = ["/sbin/init", "/bin/echo", "/tmp/miner"];
  const [head = ""] = policy(files).split("pcrs:");
  const ima = policy(files).slice(policy(files).indexOf("ima:"));
  await place.write("alone.yaml", `${head}${ima}`);
  await place.json(["policy", "sign", "alone.yaml"]);
  await place.json(["policy", "activate", "base", "--replace"]);
  expect(await run()).toMatchObject({ code: 0, out: "up\n" });
});
