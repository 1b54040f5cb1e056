/**
 * Cases with a boot event log: what ties it to the quote, and rules over its events. Each log is made by hand; what
 * is extended is what the case says, so that nothing but the fault can be refused.
 */
import type { Quote } from "../../src/core/index.ts";
import { concat, TPM_ALG } from "../../test/support/ak.ts";
import {
  application,
  COMMAND,
  command,
  DBX,
  EV_EFI_ACTION,
  EVENTS,
  GLOBAL,
  pcrsAfter,
  SECURE_BOOT_ON,
  SHIM,
  separator,
  variable,
} from "../../test/support/boots.ts";
import {
  agileEvent,
  agileLog,
  EV_NO_ACTION,
  EV_SEPARATOR,
  HASH,
  le32,
  type MadeEvent,
  measured,
  replayed,
  sha1Event,
  specId,
  startupLocality,
} from "../../test/support/event-logs.ts";
import { UNREADABLE } from "./boot-log-bytes.ts";
import type { CorpusCase, Rules } from "./case.ts";
import { acceptedRows, type LogRow, quoteOver, refusals } from "./log-rows.ts";

const ascii = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const sha256 = ({ digests }: MadeEvent): string => hex(digests.sha256 ?? new Uint8Array());
const ZEROS = new Uint8Array(32);
const ONES = new Uint8Array(32).fill(0xff);

/** A machine that measured `events`, and shows a log. */
const booted = (events: readonly MadeEvent[], eventLog = agileLog(["sha256"], events)): Quote =>
  quoteOver(pcrsAfter(events), { eventLog });

const withValue = (events: readonly MadeEvent[], pcr: number, value: Uint8Array): Quote => {
  const { sha256: values = new Map() } = pcrsAfter(events);
  const pcrs = { sha256: new Map([...values, [pcr, value] as const]) };
  return quoteOver(pcrs, { eventLog: agileLog(["sha256"], events) });
};

type Row = LogRow<readonly MadeEvent[]>;

const whole = agileLog(["sha256"], EVENTS);
const VENDOR = measured(0, 8, ascii("vendor"));
const NO_ACTION = { ...measured(4, EV_NO_ACTION, ascii("an event of no action")), pcr: 4 };
const mismatch = "environment.eventlog-mismatch";
const missing = "environment.eventlog-missing";

const REPLAY: readonly Row[] = [
  [
    "boot-event-missing",
    "The log leaves out an event of PCR 7.",
    booted(
      EVENTS,
      agileLog(
        ["sha256"],
        EVENTS.filter((event) => event !== DBX),
      ),
    ),
    mismatch,
  ],
  [
    "boot-event-added",
    "The log has an event that was not extended.",
    booted(EVENTS, agileLog(["sha256"], [...EVENTS, application("another")])),
    mismatch,
  ],
  [
    "boot-events-swapped",
    "Two events of one PCR stand in another order.",
    booted(EVENTS, agileLog(["sha256"], [DBX, SECURE_BOOT_ON, ...EVENTS.slice(2)])),
    mismatch,
  ],
  [
    "boot-digest-replaced",
    "An event has the digest of its nice data, not the one that was extended.",
    booted(
      EVENTS.map((event) => (event === COMMAND ? command("linux init=/bin/sh") : event)),
      whole,
    ),
    mismatch,
  ],
  [
    "boot-pcr-unexplained",
    "PCR 9 was extended, and the log has no event of it.",
    withValue(EVENTS, 9, ONES),
    missing,
    ["PCR 9 events absent from the firmware log"],
  ],
  [
    "boot-launch-unexplained",
    "PCR 17 is zero: a dynamic launch, of which the log says nothing.",
    withValue(EVENTS, 17, ZEROS),
    missing,
  ],
  [
    "boot-bank-absent",
    "SHA-1 is quoted too, and the log carries SHA-256 alone.",
    quoteOver(
      { ...pcrsAfter(EVENTS), sha1: new Map([[4, new Uint8Array(20).fill(1)]]) },
      { eventLog: whole },
    ),
    missing,
    ["SHA-1 fallback"],
  ],
  [
    "boot-no-action",
    "PCR 4 is as if an EV_NO_ACTION event had been extended, which it never is.",
    quoteOver(pcrsAfter([...EVENTS, { ...NO_ACTION, type: EV_SEPARATOR }]), {
      eventLog: agileLog(["sha256"], [...EVENTS, NO_ACTION]),
    }),
    mismatch,
  ],
  [
    "boot-locality-other",
    "The log says that PCR 0 started at 3; it started at 0.",
    booted([VENDOR, ...EVENTS], agileLog(["sha256"], [startupLocality(3), VENDOR, ...EVENTS])),
    mismatch,
  ],
  [
    "boot-vendor-events",
    "Events stand in the vendor's bytes of the log's header, and nowhere else.",
    quoteOver(
      { sha256: new Map([[0, HASH.sha256(concat(ZEROS, VENDOR.digests.sha256 ?? ZEROS))]]) },
      { eventLog: specId([[TPM_ALG.sha256, 32]], agileEvent(VENDOR)) },
    ),
    ["environment.eventlog-uncovered", missing],
    ["GHSA-9r4w-jg96-92mv"],
  ],
  [
    "boot-uncovered",
    "The quote covers no PCR of which the log has events.",
    quoteOver({ sha256: new Map([[2, ZEROS]]) }, { eventLog: whole }),
    "environment.eventlog-uncovered",
    ["no comparison made, reported as success"],
  ],
];

/** Secure boot on, any dbx, this shim, this command line: docs/policies.md. */
const PCR4 = { separator: "one", events: [{ digest: sha256(SHIM), label: "shim" }] };
const PCR7 = { separator: "one", events: [{ "secure-boot": "on" }, { variable: "dbx" }] };
const PCR8 = { events: [{ text: "linux quiet" }] };
const eventRules = (pcrs: object): Rules => ({ "event-log": { sha256: pcrs } });
const RULES = eventRules({ 4: PCR4, 7: PCR7, 8: PCR8 });
const event = "environment.eventlog-event";
const required = "environment.eventlog-required";
const parted = "environment.eventlog-separator";
const bytesOf = (made: MadeEvent, data: Uint8Array): MadeEvent => ({ ...made, data });
const instead = (of: MadeEvent, made: MadeEvent): readonly MadeEvent[] =>
  EVENTS.map((one) => (one === of ? made : one));
const without = (of: MadeEvent): readonly MadeEvent[] => EVENTS.filter((one) => one !== of);
const error = measured(4, EV_SEPARATOR, le32(1));

const RULED: readonly Row[] = [
  [
    "boot-rules-absent",
    "The policy has rules over events, and there is no log.",
    quoteOver(pcrsAfter(EVENTS)),
    "environment.eventlog-absent",
    ["no comparison made, reported as success"],
  ],
  [
    "boot-rules-uncovered",
    "The policy has rules over events of PCR 8, which is not quoted.",
    quoteOver(
      { sha256: new Map([...(pcrsAfter(EVENTS).sha256 ?? [])].filter(([pcr]) => pcr !== 8)) },
      { eventLog: whole },
    ),
    "environment.pcr-uncovered",
    ["values of unselected PCRs trusted"],
  ],
  [
    "boot-event-unlisted",
    "An application that the policy does not list was loaded besides.",
    [...EVENTS, application("a boot kit")],
    event,
  ],
  [
    "boot-event-other",
    "Another boot loader was loaded instead of the listed one.",
    instead(SHIM, application("another shim")),
    [event, required],
  ],
  [
    "boot-event-type",
    "The unlisted application is called EV_EFI_ACTION: the type is the log's to choose.",
    [...EVENTS, { ...application("a boot kit"), type: EV_EFI_ACTION }],
    event,
    ["new event types after a hypervisor update"],
  ],
  [
    "boot-text-lies",
    "The data says the listed command line, the digest is of another one.",
    instead(COMMAND, bytesOf(command("linux init=/bin/sh"), COMMAND.data)),
    [event, required],
  ],
  [
    "boot-required-missing",
    "The listed command line was not measured.",
    without(COMMAND),
    required,
  ],
  [
    "boot-secure-boot-off",
    "SecureBoot is 0.",
    instead(SECURE_BOOT_ON, variable(GLOBAL, "SecureBoot", Uint8Array.of(0))),
    [event, required],
  ],
  [
    "boot-variable-unbound",
    "The data says dbx; the digest is of something else.",
    instead(DBX, { ...DBX, digests: { sha256: HASH.sha256(ascii("no dbx")) } }),
    [event, required],
  ],
  [
    "boot-variable-elsewhere",
    "A variable dbx of another vendor's GUID.",
    instead(DBX, variable(new Uint8Array(16).fill(7), "dbx", ascii("a list"))),
    [event, required],
  ],
  [
    "boot-data-unbound",
    "An event that is allowed by its type has other data than its digest, which the type promises.",
    [...EVENTS, bytesOf(measured(5, EV_EFI_ACTION, ascii("Exit Boot Services")), ascii("nice"))],
    "environment.eventlog-unbound",
    [],
    eventRules({ 4: PCR4, 5: { types: ["EV_EFI_ACTION"] }, 7: PCR7, 8: PCR8 }),
  ],
  [
    "boot-separator-missing",
    "PCR 4 has no separator.",
    EVENTS.filter((one) => one.pcr !== 4 || one.type !== EV_SEPARATOR),
    parted,
  ],
  [
    "boot-separator-twice",
    "PCR 4 has two separators: what stands between them?",
    [...EVENTS, separator(4)],
    parted,
  ],
  ["boot-separator-error", "A separator of PCR 4 reports an error.", [...EVENTS, error], parted],
  [
    "boot-separator-lies",
    "An application is called EV_SEPARATOR.",
    [...EVENTS, { ...application("a boot kit"), type: EV_SEPARATOR }],
    parted,
  ],
];

/** What a verifier must accept, though it is unusual. */
function accepted(): CorpusCase[] {
  const both = ["sha1", "sha256"] as const;
  const old = [VENDOR, ...EVENTS].map((event) => measured(event.pcr, event.type, event.data, both));
  const partial = old.map((event) =>
    event.pcr === 8 ? { ...event, digests: { sha256: event.digests.sha256 ?? ZEROS } } : event,
  );
  const { sha1: after = {} } = replayed(["sha1"], old);
  const sha1 = new Map(Object.entries(after).map(([pcr, value]) => [Number(pcr), value] as const));
  const started = replayed(["sha256"], [VENDOR, ...EVENTS], 3).sha256?.[0] ?? ZEROS;
  const from3 = new Map([...(pcrsAfter(EVENTS).sha256 ?? []), [0, started] as const]);
  const vendor = specId([[TPM_ALG.sha256, 32]], ascii("vendor"));
  const cases: readonly (readonly [string, string, Quote, Rules?])[] = [
    ["accepted-boot-log", "A boot event log that replays to the quoted PCRs.", booted(EVENTS)],
    ["accepted-boot-rules", "The same, under rules over its events.", booted(EVENTS), RULES],
    [
      "accepted-boot-sha1-format",
      "A log in the format without a Spec ID event, and a quote over SHA-1.",
      quoteOver({ sha1 }, { eventLog: concat(...old.map(sha1Event)) }),
    ],
    [
      "accepted-boot-partial-digests",
      "One event carries SHA-256 alone, the others SHA-1 too: each bank has its own.",
      quoteOver(pcrsAfter(partial, both), { eventLog: agileLog(both, partial) }),
    ],
    [
      "accepted-boot-locality",
      "PCR 0 starts at 3, as StartupLocality says.",
      quoteOver(
        { sha256: from3 },
        { eventLog: agileLog(["sha256"], [startupLocality(3), VENDOR, ...EVENTS]) },
      ),
    ],
    [
      "accepted-boot-vendor-bytes",
      "The header of the log has bytes of its vendor.",
      booted(EVENTS, concat(vendor, ...EVENTS.map(agileEvent))),
    ],
    [
      "accepted-boot-padding",
      "The log is an area that is filled up with 0xFF.",
      booted(EVENTS, concat(whole, new Uint8Array(300).fill(0xff))),
    ],
    [
      "accepted-boot-alternatives",
      "The policy lists the boot loader and the command line of before and after an update.",
      booted(EVENTS),
      eventRules({
        4: { separator: "one", events: [{ digest: [sha256(application("next")), sha256(SHIM)] }] },
        7: PCR7,
        8: { events: [{ text: ["linux quiet splash", "linux quiet"] }] },
      }),
    ],
  ];
  return acceptedRows(cases);
}

export function bootLogCases(): CorpusCase[] {
  const unreadable = UNREADABLE.map(
    ([name, about, log, mistakes = []]): Row => [
      ...([name, about, booted(EVENTS, log), "environment.eventlog-malformed"] as const),
      mistakes,
    ],
  );
  const refused = refusals<readonly MadeEvent[]>(booted);
  return [
    ...accepted(),
    ...[...unreadable, ...REPLAY].map(refused("accepted-boot-log")),
    ...RULED.map(refused("accepted-boot-rules", RULES)),
  ];
}
