/**
 * `policy capture --events | --ima`: a draft in YAML of what this machine measured, event by event
 * and file by file, for people to review. It signs nothing.
 */
import { readEventLog, readImaList } from "../agent/index.ts";
import type { ImaEntry } from "../core/ima.ts";
import { type Core, type HashName, loadCore } from "../core/index.ts";
import { createFile } from "../domain/files.ts";
import { UsageError } from "./error.ts";
import { type Config, readConfig } from "./home.ts";
import { draftIma, type ImaDraft } from "./ima-draft.ts";
import { tpmAddress } from "./machine.ts";
import { FIRMWARE, readAllPcrs, readPcrs } from "./pcr-values.ts";
import { draftText, eventSection, valueSection } from "./policy-draft.ts";
import { pairs } from "./print.ts";
import type { SignerOptions } from "./publishing.ts";
import type { Session } from "./session.ts";

export interface CaptureOptions extends SignerOptions {
  readonly tpm?: string;
  readonly bank: HashName;
  readonly pcrs?: readonly number[];
  readonly events?: true;
  readonly ima?: true;
  readonly out?: string;
  readonly forSigning?: string;
}

interface Source {
  readonly core: Core;
  readonly config: Config;
  readonly tpm: string;
  readonly options: CaptureOptions;
}

/** What firmware, boot loaders and stubs extend; PCR 10 is IMA's. */
const BOOT = [...FIRMWARE, 8, 9, 11, 12, 13, 14, 15];
const PCR_IMA = 10;
/** The machine goes on executing while its list is read. */
const ATTEMPTS = 10;

export async function captureDraft(
  session: Session,
  options: CaptureOptions,
  name: string,
): Promise<void> {
  if (options.signer !== undefined || options.forSigning !== undefined) {
    throw new UsageError("--events and --ima sign nothing: review the draft first.");
  }
  if (options.pcrs?.includes(PCR_IMA)) {
    throw new UsageError("--pcrs: PCR 10 is IMA's: --ima drafts rules over its list.");
  }
  const config = readConfig(session.home());
  const tpm = tpmAddress(config, options.tpm);
  const source: Source = { core: await loadCore(), config, tpm, options };
  const booted = options.events ? await bootSection(source) : await pcrSection(source);
  const ima = options.ima ? await imaSection(source) : null;
  const document = draftText(name, [booted.lines, ima?.lines ?? []]);
  const { out } = options;
  if (out === undefined) return session.tell({ name, document }, document.trimEnd().split("\n"));
  if (!(await createFile(out, Buffer.from(document)))) {
    throw new UsageError(`There is something at ${out} already.`);
  }
  session.tell({ name, document, file: out, ...(ima && { left: [...ima.left] }) }, [
    ...pairs([
      ["draft", out],
      ["PCRs", `${options.bank}: ${booted.pcrs.join(", ")}`],
      ...(ima ? [["IMA", `${ima.files} files, ${ima.buffers} buffers`] as const] : []),
    ]),
    ...(ima?.left ?? []).map((line) => `left out: ${line}`),
    `next: review it, then: portcullis policy sign ${out}`,
  ]);
}

interface Section {
  readonly pcrs: readonly number[];
  readonly lines: readonly string[];
}

async function pcrSection({ tpm, options }: Source): Promise<Section> {
  const { bank, pcrs = FIRMWARE } = options;
  return { pcrs, lines: valueSection(bank, await readPcrs(tpm, bank, pcrs)) };
}

/** From a log that replays to the PCRs as they are. */
async function bootSection({ core, config, tpm, options }: Source): Promise<Section> {
  const log = await readEventLog(config.eventLog ?? undefined);
  const { pcrs: replayed, events } = core.replayEventLog(log);
  const { bank } = options;
  const logged = BOOT.filter((pcr) => replayed[bank]?.[pcr] !== undefined);
  const chosen = options.pcrs ?? logged;
  if (chosen.length === 0) throw new UsageError(`The boot event log has no event of bank ${bank}.`);
  const values = await readPcrs(tpm, bank, chosen);
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
  return { pcrs: chosen, lines: eventSection({ bank, pcrs: chosen, events }) };
}

async function imaSection(source: Source): Promise<ImaDraft> {
  const draft = draftIma(await provenList(source), await readAllPcrs(source.tpm));
  if (draft.files + draft.buffers > 0) return draft;
  throw new UsageError(
    `The IMA list holds nothing to allow: has the kernel an IMA policy (ima_policy=tcb)? ${draft.left.join("; ")}`,
  );
}

/** The list, where it leads to PCR 10 as it is: what it says is what was measured then. */
async function provenList({ core, config, tpm, options }: Source): Promise<readonly ImaEntry[]> {
  const { bank } = options;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const value = (await readPcrs(tpm, bank, [PCR_IMA])).get(PCR_IMA) ?? new Uint8Array(0);
    const bytes = await readImaList(config.ima ?? undefined);
    if (bytes === null) {
      throw new UsageError(
        "There is no IMA list: the kernel measures nothing, or securityfs is not mounted; `ima:` " +
          "in config.yaml names another place.",
      );
    }
    const leads = (zeroPadded: boolean) => {
      const replay = core.replayIma(bytes, { bank, zeroPadded, withEntries: true });
      const end = replay.pcrs[PCR_IMA] ?? new Uint8Array(value.length);
      return Buffer.compare(end, value) === 0 ? (replay.list ?? []) : null;
    };
    const list = leads(false);
    if (list !== null) return list;
    if (bank !== "sha1" && leads(true) !== null) {
      throw new UsageError(
        `This kernel extends bank ${bank} with SHA-1 and zeros (before Linux 5.8): take --bank sha1.`,
      );
    }
  }
  throw new UsageError(
    `The IMA list does not lead to PCR 10 of bank ${bank}: it is another boot's, or something ` +
      "else extended it.",
  );
}
