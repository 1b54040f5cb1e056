/**
 * `portcullis policy capture`: a reference policy from this machine as it is now, by its PCR values
 * or by the events of its boot.
 */
import type { Command } from "commander";
import { nowSeconds } from "../clock.ts";
import { BANK_NAMES } from "../core/banks.ts";
import type { HashName } from "../core/index.ts";
import { type Domain, loadDomain } from "../domain/domain.ts";
import {
  draftPolicy,
  type PcrValues,
  type PolicyRequest,
  policyQuorum,
  signPolicy,
} from "../domain/policies.ts";
import { activatePolicy } from "../domain/publication.ts";
import { draftObject, parseDraft } from "../wire/draft.ts";
import { type CaptureOptions, captureDraft } from "./capture-draft.ts";
import { writeDraft } from "./draft-files.ts";
import { UsageError } from "./error.ts";
import { type Home, readConfig } from "./home.ts";
import { tpmAddress } from "./machine.ts";
import { FIRMWARE, readPcrs } from "./pcr-values.ts";
import { hex, pairs } from "./print.ts";
import { addSignerOption, FOR_SIGNING, publicationOf, signersOf } from "./publishing.ts";
import type { Session } from "./session.ts";
import { parseCount } from "./values.ts";
import { defineVerb } from "./verb.ts";

/** Any program can reset these. */
const UNTRUSTED = [16, 23];
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

function bank(text: string): HashName {
  const known = BANK_NAMES.find((name) => name === text);
  return known ?? refuse(`--bank: "${text}" is none of ${BANK_NAMES.join(", ")}.`);
}

function refuse(message: string): never {
  throw new UsageError(message);
}

async function capture(
  session: Session,
  options: CaptureOptions,
  [name = ""]: string[],
): Promise<void> {
  if (options.events === true || options.ima === true) return captureDraft(session, options, name);
  if (options.out !== undefined) throw new UsageError("--out belongs to --events and --ima.");
  const { forSigning, signer } = options;
  if (forSigning !== undefined && signer !== undefined) {
    throw new UsageError("--for-signing and --signer exclude each other.");
  }
  const home = session.home();
  const domain = await loadDomain(home.path);
  // Keys that are absent are told before the TPM is asked.
  const { keys } = policyQuorum(domain);
  const signers = forSigning ? [] : await signersOf(domain, "policy", keys, options);
  const address = tpmAddress(readConfig(home), options.tpm);
  const values = await readPcrs(address, options.bank, options.pcrs ?? FIRMWARE);
  const pcrs: PcrValues = {
    [options.bank]: new Map([...values].map(([pcr, digest]) => [pcr, [digest]])),
  };
  const request = { name, pcrs };
  const made = forSigning
    ? await proposePolicy(domain, request, forSigning)
    : await signPolicy(domain, request, signers, nowSeconds());
  const rows = [...values].map(([pcr, digest]) => [`${options.bank}:${pcr}`, hex(digest)] as const);
  const zero = [...values].filter(([, digest]) => digest.every((byte) => byte === 0));
  const unused = zero.map(([pcr]) => pcr).join(", ");
  const { version, file } = made;
  const digest = hex(made.digest);
  const shape = { name, version, digest, pcrs: Object.fromEntries(rows) };
  session.tell(forSigning ? { ...shape, proposal: file } : { ...shape, file }, [
    ...pairs([["policy", `${name}, version ${version}`], ["digest", digest], ...rows]),
    ...(unused === "" ? [] : [`note: nothing was measured into PCR ${unused}: it is all zeros.`]),
    forSigning
      ? `next: portcullis governance show ${file}`
      : `next: portcullis policy activate ${name}`,
  ]);
}

/** Writes the policy as it would be signed, for `governance sign`. */
async function proposePolicy(domain: Domain, request: PolicyRequest, out: string) {
  const claims = await draftPolicy(domain, request, nowSeconds());
  const bytes = draftObject("policy", claims);
  const file = await writeDraft(out, bytes);
  return { version: claims.version, digest: parseDraft(bytes).digest, file };
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

const CHOICE =
  "By PCR values (the default), the policy accepts this very state: it is short, and breaks with " +
  "the next update of firmware, boot loader, kernel or command line. By --events, it is a draft in " +
  "YAML that lists what this boot measured, event by event, for you to review and widen: an update " +
  "changes one line of it, `policy test` tells beforehand, and nodes send their boot event log. With " +
  "--ima the draft also lists each file that ran since the boot, by path and digest, as an allowlist: " +
  "what a package update replaces is denied until a version of the policy lists it.";

export function registerCapture(family: Command): void {
  defineVerb<CaptureOptions>(family, {
    name: "capture",
    summary: "make a policy from this machine as it is now",
    examples: [
      "portcullis policy capture base",
      "portcullis policy capture base --pcrs 0-7,9",
      "portcullis policy capture base --for-signing base.draft",
      "portcullis policy capture base --events --out base.yaml",
      "portcullis policy capture base --events --ima --out base.yaml",
    ],
    notes: [
      CHOICE,
      "JSON: {name, version, digest, file, pcrs: {bank:index: hex}}; with --for-signing proposal " +
        "instead of file; with --events or --ima {name, document, file, left: [text]}",
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
        .option("--for-signing <file>", FOR_SIGNING)
        .option("--events", "a draft of rules over the boot event log, instead of PCR values")
        .option("--ima", "a draft with an allowlist of what IMA measured since the boot")
        .option("--out <file>", "where the draft goes, instead of standard output"),
    run: capture,
  });
}
