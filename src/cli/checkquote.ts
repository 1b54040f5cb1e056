/**
 * `portcullis checkquote`: whether a quote holds, by the core, from the files of tpm2_quote. It
 * needs no home, and permits nothing.
 */
import { type Command, Option } from "commander";
import type { Appraisal, Quote } from "../core/appraise.ts";
import { BANK_NAMES, type Pcrs } from "../core/banks.ts";
import { CODES } from "../core/codes.ts";
import { loadCore } from "../core/load.ts";
import type { HashName } from "../core/signature.ts";
import { EXIT } from "../gate/exit-codes.ts";
import { LIMITS } from "../limits.ts";
import { parseCose } from "../wire/cose.ts";
import { kindOf } from "../wire/objects.ts";
import { UsageError } from "./error.ts";
import { pcrLines, pcrShape } from "./eventlog.ts";
import { readInput } from "./input-file.ts";
import { pairs } from "./print.ts";
import {
  isTpmSignature,
  readPcrFile,
  readPublicFile,
  readSignatureFile,
  type SchemeName,
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
  readonly hashAlgorithm: HashName;
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

async function policyPayload(path: string): Promise<Uint8Array> {
  const message = parseCose(await readInput(path, LIMITS.policyBytes + LIMITS.payloadBytes));
  const kind = kindOf(message);
  if (kind !== "policy") throw new UsageError(`--policy: ${path} holds ${kind ?? "no policy"}.`);
  return message.payload;
}

/** Without a policy the quote is only asked whether it holds: what it says is accepted. */
function asQuoted(selection: ReturnType<typeof signedSelection>, pcrs: Pcrs): Quote["policy"] {
  const rules: { [bank in HashName]?: { [index: number]: Uint8Array[] } } = {};
  for (const [bank, index] of selection) {
    const value = pcrs[bank]?.[index];
    if (value === undefined || UNTRUSTED.includes(index)) continue;
    rules[bank] = { ...rules[bank], [index]: [value] };
  }
  return { pcrs: rules };
}

async function quoteOf(options: CheckquoteOptions): Promise<{ quote: Quote; unchecked: string[] }> {
  const pcrFile = options.pcrs ?? options.pcr;
  if (pcrFile === undefined) throw new UsageError("--pcrs: name the file with the quoted values.");
  const [publicBytes, message, signature, values] = await Promise.all(
    [options.public, options.message, options.signature, pcrFile].map((file) =>
      readInput(file, FILE_BYTES_MAX),
    ),
  );
  if (!publicBytes || !message || !signature || !values) throw new RangeError("four files");
  const key = readPublicFile(publicBytes, options.hashAlgorithm, options.scheme);
  const attest = withoutSize(message);
  const selection = signedSelection(attest);
  const pcrs = readPcrFile(values, selection);
  const bare = options.scheme !== undefined && !isTpmSignature(signature);
  const quote: Quote = {
    publicArea: key.area,
    attest,
    signature: readSignatureFile(signature, bare ? schemeOf(key.area) : null),
    pcrs,
    qualifyingData: await qualification(options.qualification),
    policy: options.policy ? await policyPayload(options.policy) : asQuoted(selection, pcrs),
    ...(options.eventlog && { eventLog: await readInput(options.eventlog, LIMITS.eventLogBytes) }),
    ...(options.ima && { ima: await readInput(options.ima, LIMITS.imaBytes) }),
  };
  const unchecked = [
    ...(key.attributesKnown ? [] : ["attributes"]),
    ...(options.policy === undefined ? ["policy"] : ["policy.signatures"]),
  ];
  return { quote, unchecked };
}

function linesOf({ ok, codes }: Appraisal, unchecked: readonly string[], pcrs: Pcrs): string[] {
  return [
    ...pairs([
      ["quote", ok ? "holds" : "does not hold"],
      ["unchecked", unchecked.join(", ")],
    ]),
    ...codes.flatMap((code) => [`${code}: ${CODES[code].why}`]),
    ...(ok ? ["pcrs:", ...pcrLines(pcrs).map((line) => `  ${line}`)] : []),
  ];
}

/** The values that the signature covers; others in the file do not exist. */
function quotedValues(selection: ReturnType<typeof signedSelection>, pcrs: Pcrs): Pcrs {
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
  /** The values that the signature covers; none where the quote does not hold. */
  readonly pcrs: Pcrs;
}

/** Appraises the quote of these files. Throws UsageError for a file that is not what it should be. */
export async function checkFiles(options: CheckquoteOptions): Promise<CheckedQuote> {
  const { quote, unchecked } = await quoteOf(options);
  const appraisal = (await loadCore()).appraiseQuote(quote);
  const pcrs = appraisal.ok ? quotedValues(signedSelection(quote.attest), quote.pcrs) : {};
  return { appraisal, unchecked: [...unchecked, ...appraisal.unchecked], pcrs };
}

async function checkquote(session: Session, options: CheckquoteOptions): Promise<number> {
  const { appraisal, unchecked, pcrs } = await checkFiles(options);
  const { ok, code, codes } = appraisal;
  session.tell(
    { ok, code, codes: [...codes], unchecked: [...unchecked], pcrs: pcrShape(pcrs) },
    linesOf(appraisal, unchecked, pcrs),
  );
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
      "Exit code 0 if the quote holds, 77 if not, 64 if a file cannot be read as what it should be.",
      "JSON: {ok, code, codes, unchecked, pcrs: {bank: {index: hex}}}",
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
          new Option("-g, --hash-algorithm <hash>", "of a key in PEM")
            .choices(BANK_NAMES)
            .default("sha256"),
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
