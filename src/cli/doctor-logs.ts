/** What `portcullis doctor` says of the logs: readable, and do they lead to the TPM's PCRs? */
import { EvidenceError, readEventLog, readImaList } from "../agent/index.ts";
import { BANK_NAMES } from "../core/banks.ts";
import { loadCore } from "../core/index.ts";
import { loadDomain, loadPolicies } from "../domain/domain.ts";
import { Complaint } from "./complaint.ts";
import { type Home, readConfig } from "./home.ts";
import { readAllPcrs } from "./pcr-values.ts";

const PCR_IMA = 10;
/** IMA's, and those that any program resets: no boot log explains them. */
const NO_BOOT_PCRS = [PCR_IMA, 16, 23];
/** The machine goes on executing while its list is read. */
const ATTEMPTS = 5;

/** Names of the active policies that have rules over a log. */
async function demanding(home: Home, log: "eventLog" | "ima"): Promise<string[]> {
  const all = await loadPolicies(await loadDomain(home.path));
  const own = all.filter(({ active, object }) => active && object.claims[log] !== undefined);
  return [...new Set(own.map(({ name }) => name))];
}

/** A fault is one only where a policy asks for the log. */
function verdict(names: readonly string[], fault: string): string | Complaint {
  if (names.length > 0)
    return new Complaint(`${fault} Active policies ask for it: ${names.join(", ")}`);
  return `${fault} No active policy asks for it.`;
}

export async function lookAtBootLog(home: Home, tpm: string): Promise<string | Complaint> {
  const names = await demanding(home, "eventLog");
  let log: Uint8Array;
  try {
    log = await readEventLog(readConfig(home).eventLog ?? undefined);
  } catch (error) {
    if (error instanceof EvidenceError) return verdict(names, error.message);
    throw error;
  }
  const { events, pcrs } = (await loadCore()).replayEventLog(log);
  const values = await readAllPcrs(tpm);
  const banks = BANK_NAMES.filter((bank) => pcrs[bank] !== undefined && values[bank] !== undefined);
  const wrong = banks.flatMap((bank) =>
    Object.entries(pcrs[bank] ?? {}).flatMap(([pcr, value]) => {
      const held = values[bank]?.[Number(pcr)] ?? new Uint8Array(0);
      const explained = NO_BOOT_PCRS.includes(Number(pcr)) || Buffer.compare(held, value) === 0;
      return explained ? [] : [`${bank} PCR ${pcr}`];
    }),
  );
  if (wrong.length > 0) {
    return verdict(names, `${events.length} events, which do not replay to ${wrong.join(", ")}.`);
  }
  if (banks.length === 0) return verdict(names, "The log has no event of an active bank.");
  return `${events.length} events, which replay to the PCRs of ${banks.join(", ")}`;
}

export async function lookAtIma(home: Home, tpm: string): Promise<string | Complaint> {
  const names = await demanding(home, "ima");
  const core = await loadCore();
  let told = "";
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const values = await readAllPcrs(tpm);
    let list: Uint8Array | null;
    try {
      list = await readImaList(readConfig(home).ima ?? undefined);
    } catch (error) {
      if (error instanceof EvidenceError) return verdict(names, error.message);
      throw error;
    }
    if (list === null) return verdict(names, "There is no list: the kernel measures nothing.");
    const bytes = list;
    const banks = BANK_NAMES.filter((bank) => values[bank] !== undefined);
    const replays = banks.map((bank) => [bank, core.replayIma(bytes, { bank })] as const);
    const wrong = replays.flatMap(([bank, { pcrs }]) => {
      const held = values[bank]?.[PCR_IMA] ?? new Uint8Array(0);
      const end = pcrs[PCR_IMA] ?? new Uint8Array(held.length);
      return Buffer.compare(end, held) === 0 ? [] : [bank];
    });
    const { entries = 0, violations = 0 } = replays[0]?.[1] ?? {};
    if (wrong.length === 0 && violations === 0) {
      return `${entries} entries, which lead to PCR ${PCR_IMA} of ${banks.join(", ")}`;
    }
    told =
      wrong.length > 0
        ? `${entries} entries, which do not lead to PCR ${PCR_IMA} of ${wrong.join(", ")}.`
        : `${entries} entries, ${violations} of them violations: they deny until the next boot.`;
  }
  return verdict(names, told);
}
