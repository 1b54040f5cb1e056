/**
 * `portcullis policy capture`: a reference policy from this machine as it is now, by its PCR values
 * or by the events of its boot.
 */
import type { Command } from "commander";
import { readEventLog } from "../agent/index.ts";
import { nowSeconds } from "../clock.ts";
import { loadCore } from "../core/index.ts";
import { loadDomain } from "../domain/domain.ts";
import { createFile } from "../domain/files.ts";
import { type PcrValues, policyQuorum, signPolicy } from "../domain/policies.ts";
import { activatePolicy } from "../domain/publication.ts";
import { openTpm, pcrBanks, pcrRead, TPM_ALG } from "../tpm/index.ts";
import { UsageError } from "./error.ts";
import { type Home, readConfig } from "./home.ts";
import { tpmAddress } from "./machine.ts";
import { draftPolicyText } from "./policy-draft.ts";
import { hex, pairs } from "./print.ts";
import { addSignerOption, publicationOf, type SignerOptions, signersOf } from "./publishing.ts";
import type { Session } from "./session.ts";
import { parseCount } from "./values.ts";
import { defineVerb } from "./verb.ts";

interface Options extends SignerOptions {
  readonly tpm?: string;
  readonly bank: keyof typeof BANKS;
  readonly pcrs?: readonly number[];
  readonly events?: true;
  readonly out?: string;
}

const BANKS = {
  sha1: TPM_ALG.SHA1,
  sha256: TPM_ALG.SHA256,
  sha384: TPM_ALG.SHA384,
  sha512: TPM_ALG.SHA512,
} as const;
const FIRMWARE = [0, 1, 2, 3, 4, 5, 6, 7];
/** What firmware, boot loaders and stubs extend; PCR 10 is IMA's. */
const BOOT = [...FIRMWARE, 8, 9, 11, 12, 13, 14, 15];
/** Any program can reset these. */
const UNTRUSTED = [16, 23];
const PCR_IMA = 10;

/** `0-7,10`, in any order. */
function pcrList(text: string): number[] {
  const at = "--pcrs";
  const numbers = text.split(",").flatMap((part) => {
    const [from = "", to = from, ...rest] = part.split("-");
    if (rest.length > 0) throw new UsageError(`${at}: "${part}" is no range: write 0-7,10.`);
    const [first, last] = [parseCount(from, 0, 23, at), parseCount(to, 0, 23, at)];
    return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
  });
  const untrusted = numbers.find((pcr) => UNTRUSTED.includes(pcr));
  if (untrusted !== undefined) {
    throw new UsageError(`${at}: any program can reset PCR ${untrusted}: it proves nothing.`);
  }
  return [...new Set(numbers)].sort((a, b) => a - b);
}

function bank(text: string): keyof typeof BANKS {
  if (Object.hasOwn(BANKS, text)) return text as keyof typeof BANKS;
  throw new UsageError(`--bank: "${text}" is none of ${Object.keys(BANKS).join(", ")}.`);
}

async function readPcrs(
  address: string,
  bank: Options["bank"],
  pcrs: readonly number[],
): Promise<Map<number, Uint8Array>> {
  await using tpm = await openTpm(address);
  const hash = BANKS[bank];
  const active = (await pcrBanks(tpm)).find((one) => one.hash === hash)?.pcrs ?? [];
  const absent = pcrs.filter((pcr) => !active.includes(pcr));
  if (absent.length > 0) {
    const what = active.length === 0 ? "The bank is" : `PCR ${absent.join(", ")} are`;
    throw new UsageError(`${what} not active in this TPM: choose another with --bank.`);
  }
  const read = await pcrRead(tpm, [{ hash, pcrs }]);
  return new Map(read.map(({ pcr, value }) => [pcr, value]));
}

async function capture(session: Session, options: Options, [name = ""]: string[]): Promise<void> {
  if (options.events === true) return captureEvents(session, options, name);
  if (options.out !== undefined) throw new UsageError("--out belongs to --events.");
  const home = session.home();
  const domain = await loadDomain(home.path);
  const signers = await signersOf(domain, "policy", policyQuorum(domain).keys, options);
  const address = tpmAddress(readConfig(home), options.tpm);
  const values = await readPcrs(address, options.bank, options.pcrs ?? FIRMWARE);
  const pcrs: PcrValues = {
    [options.bank]: new Map([...values].map(([pcr, digest]) => [pcr, [digest]])),
  };
  const signed = await signPolicy(domain, { name, pcrs }, signers, nowSeconds());
  const rows = [...values].map(([pcr, digest]) => [`${options.bank}:${pcr}`, hex(digest)] as const);
  const zero = [...values].filter(([, digest]) => digest.every((byte) => byte === 0));
  const unused = zero.map(([pcr]) => pcr).join(", ");
  const digest = hex(signed.digest);
  session.tell(
    { name, version: signed.version, digest, file: signed.file, pcrs: Object.fromEntries(rows) },
    [
      ...pairs([["policy", `${name}, version ${signed.version}`], ["digest", digest], ...rows]),
      ...(unused === "" ? [] : [`note: nothing was measured into PCR ${unused}: it is all zeros.`]),
      `next: portcullis policy activate ${name}`,
    ],
  );
}

/** Signs PCR 0 to 7 of this machine as they are now, and makes that the active policy. */
export async function captureActive(home: Home, name: string, tpm: string | undefined) {
  const domain = await loadDomain(home.path);
  const signers = await signersOf(domain, "policy", policyQuorum(domain).keys, {});
  const address = tpmAddress(readConfig(home), tpm);
  const values = await readPcrs(address, "sha256", FIRMWARE);
  const pcrs: PcrValues = {
    sha256: new Map([...values].map(([pcr, digest]) => [pcr, [digest]])),
  };
  const { digest } = await signPolicy(domain, { name, pcrs }, signers, nowSeconds());
  const publication = await publicationOf(home, {});
  await activatePolicy(home.path, publication, { name, digest }, { replace: true });
}

/** A draft for review, from a log that replays to the PCRs as they are. */
async function captureEvents(session: Session, options: Options, name: string): Promise<void> {
  if (options.signer !== undefined) throw new UsageError("--events signs nothing: review first.");
  const config = readConfig(session.home());
  const log = await readEventLog(config.eventLog ?? undefined);
  const { pcrs: replayed, events } = (await loadCore()).replayEventLog(log);
  const { bank } = options;
  const logged = BOOT.filter((pcr) => replayed[bank]?.[pcr] !== undefined);
  const chosen = options.pcrs ?? logged;
  if (chosen.includes(PCR_IMA))
    throw new UsageError("--pcrs: PCR 10 is IMA's, not the boot log's.");
  if (chosen.length === 0) throw new UsageError(`The boot event log has no event of bank ${bank}.`);
  const values = await readPcrs(tpmAddress(config, options.tpm), bank, chosen);
  const wrong = [...values].filter(([pcr, value]) => {
    const expected = replayed[bank]?.[pcr] ?? new Uint8Array(value.length);
    return Buffer.compare(expected, value) !== 0;
  });
  if (wrong.length > 0) {
    const which = wrong.map(([pcr]) => pcr).join(", ");
    throw new UsageError(
      `The boot event log does not replay to PCR ${which}: it is another boot's, or something ` +
        "extended it without an event. Leave it out with --pcrs.",
    );
  }
  const document = draftPolicyText({ name, bank, pcrs: chosen, events });
  const { out } = options;
  if (out === undefined) return session.tell({ name, document }, document.trimEnd().split("\n"));
  if (!(await createFile(out, Buffer.from(document)))) {
    throw new UsageError(`There is something at ${out} already.`);
  }
  session.tell({ name, document, file: out }, [
    ...pairs([
      ["draft", out],
      ["PCRs", `${bank}: ${chosen.join(", ")}`],
    ]),
    `next: review it, then: portcullis policy sign ${out}`,
  ]);
}

const CHOICE =
  "By PCR values (the default), the policy accepts this very state: it is short, and breaks with " +
  "the next update of firmware, boot loader, kernel or command line. By --events, it is a draft in " +
  "YAML that lists what this boot measured, event by event, for you to review and widen: an update " +
  "changes one line of it, `policy test` tells beforehand, and nodes send their boot event log.";

export function registerCapture(family: Command): void {
  defineVerb<Options>(family, {
    name: "capture",
    summary: "make a policy from this machine as it is now",
    examples: [
      "portcullis policy capture base",
      "portcullis policy capture base --pcrs 0-7,9",
      "portcullis policy capture base --events --out base.yaml",
    ],
    notes: [
      CHOICE,
      "JSON: {name, version, digest, file, pcrs: {bank:index: hex}}; with --events {name, document, file}",
    ],
    setup: (command) =>
      addSignerOption(command, "policy")
        .argument("<name>", "the policy's name")
        .option("--tpm <address>", "the TPM, as in config.yaml")
        .option("--bank <name>", "sha256, sha384, sha512 or sha1", bank, "sha256")
        .option(
          "--pcrs <list>",
          "PCR indexes such as 0-7,10; never 16 or 23 (default: 0-7; with --events what it covers)",
          pcrList,
        )
        .option("--events", "a draft of rules over the boot event log, instead of PCR values")
        .option("--out <file>", "where the draft goes, instead of standard output"),
    run: capture,
  });
}
