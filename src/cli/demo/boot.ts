/** What the demo's machine measures when it boots: the log of its firmware, made by hand. */
import type { LogEvent } from "../../core/eventlog.ts";
import type { PolicyRequest } from "../../domain/policies.ts";
import { sha256 } from "../../wire/digests.ts";
import { parseYaml } from "../document.ts";
import { variableData } from "../event-facts.ts";
import { policyOf } from "../policy-document.ts";
import { draftText, eventSection } from "../policy-draft.ts";
import { guidOf } from "../uefi-names.ts";

/** What may differ from one boot to the next. */
export interface BootChange {
  readonly loader?: string;
  readonly commandLine?: string;
}

export const COMMAND_LINE = "root=/dev/vda1 ro quiet";

interface Measured {
  readonly pcr: number;
  readonly type: number;
  readonly data: Uint8Array;
  readonly digest: Uint8Array;
}

const EV_NO_ACTION = 3;
const EV_SEPARATOR = 4;
const EV_S_CRTM_VERSION = 8;
const EV_IPL = 0x0d;
const EV_EFI_VARIABLE_DRIVER_CONFIG = 0x8000_0001;
const EV_EFI_BOOT_SERVICES_APPLICATION = 0x8000_0003;
const SHA256 = 0x000b;
const FIRMWARE = [0, 1, 2, 3, 4, 5, 6, 7];

const bound = (pcr: number, type: number, data: Uint8Array): Measured => ({
  ...{ pcr, type, data },
  digest: sha256(data),
});

/** The events of a boot, in their order. */
export function bootEvents(change: BootChange = {}): Measured[] {
  const { loader = "loader 1", commandLine = COMMAND_LINE } = change;
  const guid = guidOf("SecureBoot") ?? new Uint8Array(16);
  const secureBoot = variableData({ guid, name: "SecureBoot", value: Uint8Array.of(1) });
  return [
    bound(0, EV_S_CRTM_VERSION, Buffer.from("1.0\0", "utf16le")),
    bound(7, EV_EFI_VARIABLE_DRIVER_CONFIG, secureBoot),
    ...FIRMWARE.map((pcr) => bound(pcr, EV_SEPARATOR, new Uint8Array(4))),
    // An image by its digest, then a command line as GRUB measures it: without its prefix.
    {
      ...{
        pcr: 4,
        type: EV_EFI_BOOT_SERVICES_APPLICATION,
        data: Buffer.from("\\EFI\\BOOT\\BOOTX64.EFI"),
      },
      digest: sha256(Buffer.from(loader)),
    },
    {
      ...{ pcr: 8, type: EV_IPL, data: Buffer.from(`kernel_cmdline: ${commandLine}\0`) },
      digest: sha256(Buffer.from(commandLine)),
    },
  ];
}

const le32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const le16 = (value: number): Buffer => Buffer.from([value & 0xff, value >> 8]);

/** A crypto-agile log of SHA-256: PC Client PFP §10.2.2, §10.4.5.1. */
export function encodeBootLog(events: readonly Measured[]): Uint8Array {
  const specId = Buffer.concat([
    Buffer.from("Spec ID Event03\0"),
    le32(0), // platform class: client
    Buffer.from([0, 2, 0, 2]), // version 2.0, errata 0, UINTN of 8 bytes
    ...[le32(1), le16(SHA256), le16(32)],
    Buffer.from([0]), // no vendor information
  ]);
  const head = [le32(0), le32(EV_NO_ACTION), Buffer.alloc(20), le32(specId.length), specId];
  const rows = events.flatMap(({ pcr, type, data, digest }) => [
    ...[le32(pcr), le32(type), le32(1), le16(SHA256), digest],
    ...[le32(data.length), data],
  ]);
  return new Uint8Array(Buffer.concat([...head, ...rows]));
}

/** The demo's other policy: what its machine may measure when it boots, event by event. */
export const BOOT_POLICY = "boot";

/** A policy that lists the usual boot, with these command lines, as `policy capture` drafts it. */
export function bootPolicy(commandLines: readonly string[]): PolicyRequest {
  const events = listedEvents(bootEvents());
  const section = eventSection({ bank: "sha256", pcrs: [0, 4, 7, 8], events });
  const draft = draftText(BOOT_POLICY, [section]);
  const one = `text: ${JSON.stringify(COMMAND_LINE)}`;
  const text = draft.replace(one, `text: ${JSON.stringify(commandLines)}`);
  return policyOf(parseYaml(Buffer.from(text), "boot.yaml"));
}

/** As a replay of the log lists them. */
function listedEvents(events: readonly Measured[]): LogEvent[] {
  return events.map(({ pcr, type, data, digest }, index) => {
    return { index, pcr, type, data, digests: { sha256: digest }, dataBound: false };
  });
}
