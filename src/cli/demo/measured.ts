/** What IMA would measure on the demo's machine: a list of its own, and PCR 10 of the software TPM. */
import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import { sha256 } from "../../wire/digests.ts";
import type { ImaRules } from "../../wire/objects.ts";
import { tpmEvidence } from "../machine.ts";
import { BOOT_PCRS } from "./machine.ts";
import type { Scenario } from "./scenario.ts";
import type { Site } from "./site.ts";

const PCR_IMA = 10;
const LISTED = "/usr/sbin/sshd";
const text = (value: string): Buffer => Buffer.from(value, "latin1");
/** The digest of the demo's files is that of their names. */
const digestOf = (path: string): Uint8Array => sha256(text(path));

const RULES: ImaRules = {
  aggregate: false,
  stages: [{ from: 0, to: null, files: [{ digest: digestOf(LISTED), names: [text(LISTED)] }] }],
};
const READ = { sha256: new Map(BOOT_PCRS.map((pcr) => [pcr, []])) };
const listOf = (site: Site): string => join(site.home.path, "ima-list");

const word = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const field = (bytes: Uint8Array): Buffer => Buffer.concat([word(bytes.length), bytes]);

/** The machine executes a file: an entry of template ima-ng, with a digest of 32 bytes. */
async function execute(site: Site, path: string): Promise<void> {
  const digest = Buffer.concat([text("sha256:\0"), digestOf(path)]);
  const data = Buffer.concat([field(digest), field(text(`${path}\0`))]);
  const head = Buffer.concat([word(PCR_IMA), sha256(data), field(text("ima-ng"))]);
  await appendFile(listOf(site), Buffer.concat([head, field(data)]));
  await site.machine.extend(PCR_IMA, data);
}

const measured = (title: string, expected: Scenario["expected"], path: string): Scenario => ({
  title,
  expected,
  before: async (site) => {
    await execute(site, path);
    await site.capture(RULES);
  },
  evidence: (site) =>
    tpmEvidence(site.tpm, [{ pcrs: READ, ima: RULES }], site.open(), {
      eventLog: null,
      ima: listOf(site),
    }),
  after: (site) => site.capture(),
});

/** In this order: the list of the second is that of the first, and one file more. */
export const MEASURED: readonly Scenario[] = [
  measured("a file was executed that the policy lists", null, LISTED),
  measured("a file was executed that no policy lists", "environment.ima-file", "/tmp/miner"),
];
