/** PCR values of this machine's TPM, as `policy capture` reads them. */
import { BANK_NAMES, BANKS, type Pcrs } from "../core/banks.ts";
import type { HashName } from "../core/index.ts";
import { openTpm, pcrBanks, pcrRead } from "../tpm/index.ts";
import { UsageError } from "./error.ts";

/** What the firmware extends. */
export const FIRMWARE = [0, 1, 2, 3, 4, 5, 6, 7];

export async function readPcrs(
  address: string,
  bank: HashName,
  pcrs: readonly number[],
): Promise<Map<number, Uint8Array>> {
  await using tpm = await openTpm(address);
  const hash = BANKS[bank].id;
  const active = (await pcrBanks(tpm)).find((one) => one.hash === hash)?.pcrs ?? [];
  const absent = pcrs.filter((pcr) => !active.includes(pcr));
  if (absent.length > 0) {
    const what = active.length === 0 ? "The bank is" : `PCR ${absent.join(", ")} are`;
    throw new UsageError(`${what} not active in this TPM: choose another with --bank.`);
  }
  const read = await pcrRead(tpm, [{ hash, pcrs }]);
  return new Map(read.map(({ pcr, value }) => [pcr, value]));
}

/** Every PCR of every active bank. */
export async function readAllPcrs(address: string): Promise<Pcrs> {
  await using tpm = await openTpm(address);
  const active = await pcrBanks(tpm);
  const found: { [bank in HashName]?: { [pcr: number]: Uint8Array } } = {};
  for (const bank of BANK_NAMES) {
    const hash = BANKS[bank].id;
    const pcrs = active.find((one) => one.hash === hash)?.pcrs ?? [];
    if (pcrs.length === 0) continue;
    const read = await pcrRead(tpm, [{ hash, pcrs }]);
    found[bank] = Object.fromEntries(read.map(({ pcr, value }) => [pcr, value]));
  }
  return found;
}
