/** `portcullis policy capture`: a reference policy from this machine's PCRs as they are now. */
import type { Command } from "commander";
import { nowSeconds } from "../clock.ts";
import { loadDomain } from "../domain/domain.ts";
import { type PcrValues, policyQuorum, signPolicy } from "../domain/policies.ts";
import { activatePolicy } from "../domain/publication.ts";
import { openTpm, pcrBanks, pcrRead, TPM_ALG } from "../tpm/index.ts";
import { UsageError } from "./error.ts";
import { type Home, readConfig } from "./home.ts";
import { tpmAddress } from "./machine.ts";
import { hex, pairs } from "./print.ts";
import { addSignerOption, publicationOf, type SignerOptions, signersOf } from "./publishing.ts";
import type { Session } from "./session.ts";
import { parseCount } from "./values.ts";
import { defineVerb } from "./verb.ts";

interface Options extends SignerOptions {
  readonly tpm?: string;
  readonly bank: keyof typeof BANKS;
  readonly pcrs: readonly number[];
}

const BANKS = {
  sha1: TPM_ALG.SHA1,
  sha256: TPM_ALG.SHA256,
  sha384: TPM_ALG.SHA384,
  sha512: TPM_ALG.SHA512,
} as const;
const FIRMWARE = [0, 1, 2, 3, 4, 5, 6, 7];
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

function bank(text: string): keyof typeof BANKS {
  if (Object.hasOwn(BANKS, text)) return text as keyof typeof BANKS;
  throw new UsageError(`--bank: "${text}" is none of ${Object.keys(BANKS).join(", ")}.`);
}

async function readPcrs(address: string, options: Options): Promise<Map<number, Uint8Array>> {
  await using tpm = await openTpm(address);
  const hash = BANKS[options.bank];
  const active = (await pcrBanks(tpm)).find((one) => one.hash === hash)?.pcrs ?? [];
  const absent = options.pcrs.filter((pcr) => !active.includes(pcr));
  if (absent.length > 0) {
    const what = active.length === 0 ? "The bank is" : `PCR ${absent.join(", ")} are`;
    throw new UsageError(`${what} not active in this TPM: choose another with --bank.`);
  }
  const read = await pcrRead(tpm, [{ hash, pcrs: options.pcrs }]);
  return new Map(read.map(({ pcr, value }) => [pcr, value]));
}

async function capture(session: Session, options: Options, [name = ""]: string[]): Promise<void> {
  const home = session.home();
  const domain = await loadDomain(home.path);
  const signers = await signersOf(domain, "policy", policyQuorum(domain).keys, options);
  const values = await readPcrs(tpmAddress(readConfig(home), options.tpm), options);
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
  const values = await readPcrs(address, { bank: "sha256", pcrs: FIRMWARE });
  const pcrs: PcrValues = {
    sha256: new Map([...values].map(([pcr, digest]) => [pcr, [digest]])),
  };
  const { digest } = await signPolicy(domain, { name, pcrs }, signers, nowSeconds());
  const publication = await publicationOf(home, {});
  await activatePolicy(home.path, publication, { name, digest }, { replace: true });
}

export function registerCapture(family: Command): void {
  defineVerb<Options>(family, {
    name: "capture",
    summary: "sign a policy that accepts this machine's PCRs as they are now",
    examples: ["portcullis policy capture base", "portcullis policy capture base --pcrs 0-7,9"],
    notes: ["JSON: {name, version, digest, file, pcrs: {bank:index: hex}}"],
    setup: (command) =>
      addSignerOption(command, "policy")
        .argument("<name>", "the policy's name")
        .option("--tpm <address>", "the TPM, as in config.yaml")
        .option("--bank <name>", "sha256, sha384, sha512 or sha1", bank, "sha256")
        .option("--pcrs <list>", "PCR indexes such as 0-7,10; never 16 or 23", pcrList, FIRMWARE),
    run: capture,
  });
}
