/** A small boot: its log, the PCRs that it gives, and policies with rules over it. */
import type { ReferencePolicy } from "../../src/wire/objects.ts";
import type { EventLogRules, PcrEventRules } from "../../src/wire/policy-shapes.ts";
import type { Bank, PcrBanks } from "./ak.ts";
import { concat } from "./ak.ts";
import {
  agileLog,
  EV_SEPARATOR,
  HASH,
  le32,
  type MadeEvent,
  measured,
  replayed,
} from "./event-logs.ts";
import type { CaseOverrides, World } from "./world.ts";

export const EV_IPL = 0x0d;
export const EV_EFI_VARIABLE_DRIVER_CONFIG = 0x8000_0001;
export const EV_EFI_BOOT_SERVICES_APPLICATION = 0x8000_0003;
export const EV_EFI_ACTION = 0x8000_0007;

const ascii = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));
const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));
/** EFI_GLOBAL_VARIABLE and EFI_IMAGE_SECURITY_DATABASE_GUID, as they lie in memory. */
export const GLOBAL = hex("61dfe48bca93d211aa0d00e098032b8c");
export const SECURITY = hex("cbb219d73a3d9645a3bcdad00e67656f");

/** UEFI_VARIABLE_DATA. */
export function variableData(guid: Uint8Array, name: string, value: Uint8Array): Uint8Array {
  const utf16 = new Uint8Array(Buffer.from(name, "utf16le"));
  const sizes = concat(le32(name.length), le32(0), le32(value.length), le32(0));
  return concat(guid, sizes, utf16, value);
}

export const variable = (guid: Uint8Array, name: string, value: Uint8Array): MadeEvent =>
  measured(7, EV_EFI_VARIABLE_DRIVER_CONFIG, variableData(guid, name, value));
export const separator = (pcr: number): MadeEvent => measured(pcr, EV_SEPARATOR, new Uint8Array(4));
/** As GRUB does it: the digest is of the text behind the prefix. */
export const command = (text: string): MadeEvent => ({
  ...{ pcr: 8, type: EV_IPL, data: ascii(`kernel_cmdline: ${text}\0`) },
  digests: { sha256: HASH.sha256(ascii(text)) },
});
/** An image by its Authenticode digest; the data is a device path. */
export const application = (name: string): MadeEvent => ({
  ...{ pcr: 4, type: EV_EFI_BOOT_SERVICES_APPLICATION, data: ascii(`path of ${name}`) },
  digests: { sha256: HASH.sha256(ascii(`image ${name}`)) },
});

export const SECURE_BOOT_ON = variable(GLOBAL, "SecureBoot", Uint8Array.of(1));
export const DBX = variable(SECURITY, "dbx", ascii("a list"));
export const SHIM = application("shim");
export const COMMAND = command("linux quiet");
export const EVENTS: readonly MadeEvent[] = [
  ...[SECURE_BOOT_ON, DBX, separator(7)],
  ...[separator(4), SHIM],
  COMMAND,
];

const digestOf = (event: MadeEvent): Uint8Array => event.digests.sha256 ?? new Uint8Array(32);

/** Rules over one PCR, of what is given. */
export const pcrRules = (rules: Partial<PcrEventRules>): PcrEventRules => ({
  ...{ separator: "none", events: [], variables: [], types: [] },
  ...rules,
});
/** One of these events. */
export const oneOf = (...events: readonly MadeEvent[]) =>
  ({ need: "required", digests: events.map(digestOf), label: null }) as const;
export const maybe = (...events: readonly MadeEvent[]) =>
  ({ need: "allowed", digests: events.map(digestOf), label: null }) as const;

/** What EVENTS satisfy: secure boot on, any dbx, this shim, this command line. */
export const RULES: ReadonlyMap<number, PcrEventRules> = new Map([
  [4, pcrRules({ separator: "one", events: [oneOf(SHIM)] })],
  [
    7,
    pcrRules({
      separator: "one",
      events: [oneOf(SECURE_BOOT_ON)],
      variables: [{ need: "required", guid: SECURITY, name: "dbx" }],
    }),
  ],
  [8, pcrRules({ events: [oneOf(COMMAND)] })],
]);

/** The rules with those of one PCR replaced. */
export const withPcr = (pcr: number, rules: Partial<PcrEventRules>): EventLogRules => ({
  sha256: new Map([...RULES, [pcr, pcrRules(rules)]]),
});

export interface Boot {
  readonly events?: readonly MadeEvent[];
  readonly rules?: EventLogRules;
  /** The log that is presented, null for none; that of the events where absent. */
  readonly log?: Uint8Array | null;
  /** PCRs of the quote beyond those that have events. */
  readonly banks?: readonly Bank[];
  readonly policy?: Partial<ReferencePolicy>;
}

/** PCR 0 to 9 of a machine that measured this. */
export function pcrsAfter(events: readonly MadeEvent[], banks: readonly Bank[] = ["sha256"]) {
  const after = replayed(banks, events);
  const maps = banks.map((bank) => {
    const initial = Array.from({ length: 10 }, (_, i): [number, Uint8Array] => [
      i,
      after[bank]?.[i] ?? new Uint8Array(HASH[bank].outputLen),
    ]);
    return [bank, new Map(initial)] as const;
  });
  return Object.fromEntries(maps) as PcrBanks;
}

/** A machine that booted like this, under a policy of these rules. */
export async function bootCase(world: World, boot: Boot = {}): Promise<Uint8Array> {
  const { events = EVENTS, rules = { sha256: RULES }, banks = ["sha256"] } = boot;
  const { pcrs: _, ...claims } = world.policy({ eventLog: rules, ...boot.policy });
  const overrides: CaseOverrides = {
    pcrs: pcrsAfter(events, banks),
    policies: [{ pcrs: undefined, ...claims, ...boot.policy }],
  };
  const { evidence } = await world.build(overrides);
  const eventLog = boot.log === undefined ? agileLog(banks, events) : boot.log;
  return world.caseBytes({ ...overrides, evidence: { tpm: { ...evidence.tpm, eventLog } } });
}
