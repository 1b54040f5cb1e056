/**
 * `portcullis checkquote`: whether a quote holds, by the core, from the files of tpm2_quote. It
 * needs no home, and permits nothing.
 */
import { type Command, Option } from "commander";
import type { Appraisal, Quote } from "../core/appraise.ts";
import { BANK_NAMES, type Pcrs } from "../core/banks.ts";
import { CODES } from "../core/codes.ts";
import { type Core, loadCore } from "../core/load.ts";
import type { HashName } from "../core/signature.ts";
import { EXIT } from "../gate/exit-codes.ts";
import { LIMITS } from "../limits.ts";
import { parseCose } from "../wire/cose.ts";
import { kindOf, parseSigned, type ReferencePolicy } from "../wire/objects.ts";
import { UsageError } from "./error.ts";
import { pcrLines, pcrShape } from "./eventlog.ts";
import { readInput } from "./input-file.ts";
import { explained } from "./policy-trial.ts";
import { pairs, reasonLines } from "./print.ts";
import {
  isTpmSignature,
  readPcrFile,
  readPcrList,
  readPublicFile,
  readSignatureFile,
  type SchemeName,
  type Selection,
  schemeOf,
  signedSelection,
  withoutSize,
} from "./quote-file.ts";
import type { Session } from "./session.ts";
import { defineVerb } from "./verb.ts";

export interface CheckquoteOptions {
  readonly public: string;
  readonly message: string;
  readonly signature: string;
  readonly pcrs?: string;
  readonly pcr?: string;
  readonly qualification: string;
  /** Of a key in PEM: sha256 where absent. */
  readonly hashAlgorithm?: HashName;
  /** What must be quoted, and the order of values that stand one behind another. */
  readonly pcrList?: Selection;
  readonly scheme?: SchemeName;
  readonly policy?: string;
  readonly eventlog?: string;
  readonly ima?: string;
}

const FILE_BYTES_MAX = 65_536;
/** Any program can reset these: their values are quoted, and nothing may rest on them. */
const UNTRUSTED = [16, 23];

/** Hexadecimal, or else a file, as tpm2-tools takes it. Empty data is answered by no quote. */
async function qualification(text: string): Promise<Uint8Array> {
  const isHex = /^([0-9a-f]{2})+$/i.test(text);
  const bytes = isHex ? new Uint8Array(Buffer.from(text, "hex")) : await readInput(text, 1_024);
  if (bytes.length > 0) return bytes;
  throw new UsageError(
    "--qualification: no data: a quote that answers nothing may be any old one.",
  );
}

async function policyFile(path: string): Promise<Uint8Array> {
  const bytes = await readInput(path, LIMITS.policyBytes + LIMITS.payloadBytes);
  let kind: string | null;
  try {
    kind = kindOf(parseCose(bytes));
  } catch (cause) {
    throw new UsageError(`--policy: ${path} is no signed object.`, { cause });
  }
  if (kind === "policy") return bytes;
  throw new UsageError(`--policy: ${path} holds ${kind ?? "no policy"}.`);
}

/**
 * Without a policy the quote is only asked whether it holds: what it says is accepted. What was
 * asked for and is not quoted has no value that could be.
 */
function asQuoted(signed: Selection, asked: Selection, pcrs: Pcrs): Quote["policy"] {
  const rules: { [bank in HashName]?: { [index: number]: Uint8Array[] } } = {};
  for (const [bank, index] of [...signed, ...asked]) {
    if (UNTRUSTED.includes(index)) continue;
    const value = pcrs[bank]?.[index];
    rules[bank] = { ...rules[bank], [index]: value === undefined ? [] : [value] };
  }
  return { pcrs: rules };
}

/** A TPM signs with the hash of the key's own scheme: another that is stated is a mistake. */
function requireHash(area: Uint8Array, stated: HashName | undefined): void {
  const own = schemeOf(area)?.hash ?? stated;
  if (stated === undefined || own === stated) return;
  throw new UsageError(`--hash-algorithm: the key signs with ${own}, not with ${stated}.`);
}

interface Read {
  readonly quote: Quote;
  readonly unchecked: readonly string[];
  /** The signed policy, where one is named. */
  readonly policy: Uint8Array | null;
}

async function quoteOf(options: CheckquoteOptions): Promise<Read> {
  const pcrFile = options.pcrs ?? options.pcr;
  if (pcrFile === undefined) throw new UsageError("--pcrs: name the file with the quoted values.");
  const [publicBytes, message, signature, values] = await Promise.all(
    [options.public, options.message, options.signature, pcrFile].map((file) =>
      readInput(file, FILE_BYTES_MAX),
    ),
  );
  if (!publicBytes || !message || !signature || !values) throw new RangeError("four files");
  const { hashAlgorithm = "sha256", pcrList = [] } = options;
  const key = readPublicFile(publicBytes, hashAlgorithm, options.scheme);
  requireHash(key.area, options.hashAlgorithm);
  const attest = withoutSize(message);
  const selection = signedSelection(attest);
  const pcrs = readPcrFile(values, pcrList.length > 0 ? pcrList : selection);
  const bare = options.scheme !== undefined && !isTpmSignature(signature);
  const policy = options.policy === undefined ? null : await policyFile(options.policy);
  const quote: Quote = {
    publicArea: key.area,
    attest,
    signature: readSignatureFile(signature, bare ? schemeOf(key.area) : null),
    pcrs,
    qualifyingData: await qualification(options.qualification),
    policy: policy === null ? asQuoted(selection, pcrList, pcrs) : parseCose(policy).payload,
    ...(options.eventlog && { eventLog: await readInput(options.eventlog, LIMITS.eventLogBytes) }),
    ...(options.ima && { ima: await readInput(options.ima, LIMITS.imaBytes) }),
  };
  const unchecked = [
    ...(key.attributesKnown ? [] : ["attributes"]),
    ...(policy === null ? ["policy"] : ["policy.signatures"]),
  ];
  return { quote, unchecked, policy };
}

/** Which PCR, event or file does not hold, as far as the files tell. */
function reasonsOf(core: Core, { quote, policy }: Read, appraisal: Appraisal): string[] {
  const { pcrs, eventLog = null, ima = null } = quote;
  const shown = { pcrs, eventLog, ima, imaPrefix: null };
  let claims: ReferencePolicy | null = null;
  try {
    claims = policy === null ? null : parseSigned("policy", policy).claims;
  } catch {
    // Malformed: the core says so.
    return [];
  }
  return explained(core, claims, shown, appraisal);
}

function linesOf({ appraisal, unchecked, reasons, pcrs }: CheckedQuote): string[] {
  const { ok, codes } = appraisal;
  return [
    ...pairs([
      ["quote", ok ? "holds" : "does not hold"],
      ["unchecked", unchecked.join(", ")],
    ]),
    ...codes.flatMap((code) => [`${code}: ${CODES[code].why}`]),
    ...reasonLines(reasons),
    ...(ok ? ["pcrs:", ...pcrLines(pcrs).map((line) => `  ${line}`)] : []),
  ];
}

/** The values that the signature covers; others in the file do not exist. */
function quotedValues(selection: Selection, pcrs: Pcrs): Pcrs {
  const quoted: { [bank in HashName]?: { [index: number]: Uint8Array } } = {};
  for (const [bank, index] of selection) {
    const value = pcrs[bank]?.[index];
    if (value !== undefined) quoted[bank] = { ...quoted[bank], [index]: value };
  }
  return quoted;
}

/** What the verb tells. */
export interface CheckedQuote {
  readonly appraisal: Appraisal;
  readonly unchecked: readonly string[];
  readonly reasons: readonly string[];
  /** The values that the signature covers; none where the quote does not hold. */
  readonly pcrs: Pcrs;
}

/** Appraises the quote of these files. Throws UsageError for a file that is not what it should be. */
export async function checkFiles(options: CheckquoteOptions): Promise<CheckedQuote> {
  const read = await quoteOf(options);
  const { quote } = read;
  const core = await loadCore();
  const appraisal = core.appraiseQuote(quote);
  const pcrs = appraisal.ok ? quotedValues(signedSelection(quote.attest), quote.pcrs) : {};
  const unchecked = [...read.unchecked, ...appraisal.unchecked];
  return { appraisal, unchecked, reasons: reasonsOf(core, read, appraisal), pcrs };
}

async function checkquote(session: Session, options: CheckquoteOptions): Promise<number> {
  const checked = await checkFiles(options);
  const { appraisal, unchecked, reasons, pcrs } = checked;
  const { ok, code, codes } = appraisal;
  const lists = { codes: [...codes], unchecked: [...unchecked], reasons: [...reasons] };
  session.tell({ ok, code, ...lists, pcrs: pcrShape(pcrs) }, linesOf(checked));
  return ok ? 0 : EXIT.denied;
}

export function register(program: Command): void {
  defineVerb<CheckquoteOptions>(program, {
    name: "checkquote",
    summary: "check a TPM quote from files, as tpm2_checkquote does",
    examples: [
      "portcullis checkquote -u ak.pub -m quote.msg -s quote.sig -f quote.pcrs -q 0123abcd",
      "portcullis checkquote -u ak.pem --scheme ecdsa -m q.msg -s q.der -f pcrs.json -q nonce.bin",
    ],
    notes: [
      "The signed selection is what counts: values outside it do not exist, and a quote over nothing, without " +
        "--qualification, by a key that is not restricted, or of any other type does not hold.",
      "A key in PEM says nothing of its attributes (unchecked: attributes), nor of its scheme: give --scheme where " +
        "it is not RSASSA or ECDSA. Without --policy any PCR values are accepted (unchecked: policy).",
      "Unlike tpm2_checkquote it needs --qualification and --pcrs. --pcr-list must be quoted, and tells the " +
        "order of values that stand one behind another; -F is ignored, as there.",
      "Exit code 0 if the quote holds, 77 if not, 64 if a file cannot be read as what it should be.",
      "JSON: {ok, code, codes, unchecked, reasons, pcrs: {bank: {index: hex}}}",
    ],
    setup: (command) =>
      command
        .requiredOption("-u, --public <file>", "the key: TPM2B_PUBLIC, TPMT_PUBLIC or PEM")
        .requiredOption("-m, --message <file>", "TPMS_ATTEST or TPM2B_ATTEST")
        .requiredOption("-s, --signature <file>", "TPMT_SIGNATURE, or bare with --scheme")
        .option("-f, --pcrs <file>", "the values: of tpm2_quote or tpm2_pcrread, or JSON")
        .addOption(new Option("--pcr <file>", "as --pcrs").hideHelp())
        .requiredOption("-q, --qualification <hex or file>", "what the quote must answer")
        .addOption(
          new Option(
            "-l, --pcr-list <banks>",
            "what must be quoted, such as sha256:0,1,7+sha1:all",
          ).argParser((text) => readPcrList(text)),
        )
        .addOption(
          new Option("-g, --hash-algorithm <hash>", "of a key in PEM (default: sha256)").choices(
            BANK_NAMES,
          ),
        )
        .addOption(
          new Option("-F, --format <format>", "ignored, as tpm2_checkquote does").hideHelp(),
        )
        .addOption(
          new Option("--scheme <scheme>", "of a key in PEM, or of a bare signature").choices([
            "rsassa",
            "rsapss",
            "ecdsa",
          ]),
        )
        .option("--policy <file>", "a reference policy that the values must meet")
        .option("-e, --eventlog <file>", "a boot event log that must replay to them")
        .option("--ima <file>", "an IMA list that must lead to PCR 10"),
    run: checkquote,
  });
}
