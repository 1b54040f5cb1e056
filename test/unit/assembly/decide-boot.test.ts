/** Event-log rules in a case: allowed is what the digests prove, and nothing that the log merely says. */
import { describe, expect, test } from "vitest";
import { type Code, loadCore } from "../../../src/core/index.ts";
import type { CborValue } from "../../../src/wire/cbor-value.ts";
import { WireError } from "../../../src/wire/error.ts";
import { parseSigned } from "../../../src/wire/objects.ts";
import { concat } from "../../support/ak.ts";
import {
  application,
  type Boot,
  bootCase,
  COMMAND,
  command,
  DBX,
  EV_EFI_ACTION,
  EV_EFI_BOOT_SERVICES_APPLICATION,
  EV_EFI_VARIABLE_DRIVER_CONFIG,
  EV_IPL,
  EVENTS,
  GLOBAL,
  maybe,
  oneOf,
  pcrRules,
  RULES,
  SECURE_BOOT_ON,
  SECURITY,
  SHIM,
  separator,
  variable,
  variableData,
  withPcr,
} from "../../support/boots.ts";
import { agileLog, EV_NO_ACTION, EV_SEPARATOR, le32, measured } from "../../support/event-logs.ts";
import { makeWorld } from "../../support/world.ts";

const cores = await Promise.all([loadCore({ build: "checked" }), loadCore({ build: "auto" })]);
const world = makeWorld();

async function codesOf(boot: Boot): Promise<readonly Code[]> {
  const bytes = await bootCase(world, boot);
  const [first, ...others] = cores.map((core) => {
    const verdict = core.decide(bytes);
    const { codes } = core.decide(bytes, { explain: true });
    expect(verdict.allow).toBe(codes.length === 0);
    expect(verdict.code).toBe(codes[0] ?? null);
    return codes;
  });
  for (const other of others) expect(other).toEqual(first);
  return first ?? [];
}

const replace = (from: object, to: (typeof EVENTS)[number]) =>
  EVENTS.map((event) => (event === from ? to : event));
const without = (...gone: readonly object[]) => EVENTS.filter((event) => !gone.includes(event));
const OFF = variable(GLOBAL, "SecureBoot", Uint8Array.of(0));
const action = measured(4, EV_EFI_ACTION, new TextEncoder().encode("Calling EFI Application"));

describe("allowed", () => {
  const cases: readonly (readonly [string, Boot])[] = [
    ["what the rules require", {}],
    [
      "another value of a variable of any value",
      { events: replace(DBX, variable(SECURITY, "dbx", Uint8Array.of(9))) },
    ],
    [
      "one of several command lines",
      {
        events: replace(COMMAND, command("linux")),
        rules: withPcr(8, { events: [oneOf(COMMAND, command("linux"))] }),
      },
    ],
    [
      "an event that only may occur, and does not",
      { rules: withPcr(8, { events: [oneOf(COMMAND), maybe(command("b"))] }) },
    ],
    ["a required event twice", { events: [...EVENTS, COMMAND] }],
    ["any event of a type", { rules: withPcr(8, { types: [EV_IPL] }) }],
    [
      "an event of a type that promises its data, and keeps it",
      {
        events: [...EVENTS, action],
        rules: withPcr(4, { separator: "one", events: [oneOf(SHIM)], types: [EV_EFI_ACTION] }),
      },
    ],
    [
      "the other separator, and a log that calls it something else",
      { events: replace(EVENTS[2] ?? {}, measured(7, EV_IPL, new Uint8Array(4).fill(255))) },
    ],
    ["no event where none is asked for", { rules: withPcr(3, {}) }],
    [
      "a digest, whatever type and data the log gives it",
      { events: replace(SHIM, { ...SHIM, type: EV_IPL, data: new Uint8Array() }) },
    ],
    [
      "rules of another policy's PCRs as values",
      { policy: { pcrs: { sha256: new Map([[0, [new Uint8Array(32)]]]) } } },
    ],
  ];
  test.each(cases)("%s", async (_, boot) => expect(await codesOf(boot)).toEqual([]));
});

const le64 = (value: bigint): Uint8Array =>
  concat(le32(Number(BigInt.asUintN(32, value))), le32(Number(BigInt.asUintN(32, value >> 32n))));
/** Instead of dbx this as a variable; then EV_NO_ACTION with a PCR that reads as the name "d", which is required. */
function behind(data: Uint8Array, pcr: number): Boot {
  const event = measured(7, EV_EFI_VARIABLE_DRIVER_CONFIG, data);
  const next = { pcr, type: EV_NO_ACTION, data, digests: {} };
  const d = { need: "required", guid: SECURITY, name: "d" } as const;
  return {
    events: EVENTS.flatMap((one) => (one === DBX ? [event, next] : [one])),
    rules: withPcr(7, { separator: "one", events: [oneOf(SECURE_BOOT_ON)], variables: [d] }),
  };
}

describe("denied", () => {
  const long = variableData(SECURITY, "dbx", Uint8Array.of(1));
  const cases: readonly (readonly [string, Boot, readonly Code[]])[] = [
    ["no log", { log: null }, ["environment.eventlog-absent"]],
    [
      "a log of another boot",
      { log: agileLog(["sha256"], replace(COMMAND, command("x"))) },
      ["environment.eventlog-mismatch"],
    ],
    [
      "secure boot off",
      { events: replace(SECURE_BOOT_ON, OFF) },
      ["environment.eventlog-event", "environment.eventlog-required"],
    ],
    ["secure boot on, and off again", { events: [...EVENTS, OFF] }, ["environment.eventlog-event"]],
    [
      "another image",
      { events: replace(SHIM, application("evil")) },
      ["environment.eventlog-event", "environment.eventlog-required"],
    ],
    [
      "one image more",
      { events: [...EVENTS, application("evil")] },
      ["environment.eventlog-event"],
    ],
    [
      "another command line",
      { events: replace(COMMAND, command("linux init=/bin/sh")) },
      ["environment.eventlog-event", "environment.eventlog-required"],
    ],
    [
      "a command line that the log words like the good one",
      { events: replace(COMMAND, { ...command("linux init=/bin/sh"), data: COMMAND.data }) },
      ["environment.eventlog-event", "environment.eventlog-required"],
    ],
    ["no command line", { events: without(COMMAND) }, ["environment.eventlog-required"]],
    ["no variable", { events: without(DBX) }, ["environment.eventlog-required"]],
    [
      "a variable whose data another digest hides",
      { events: replace(DBX, { ...DBX, digests: OFF.digests }) },
      ["environment.eventlog-event", "environment.eventlog-required"],
    ],
    [
      "a variable of another GUID",
      { events: replace(DBX, variable(GLOBAL, "dbx", Uint8Array.of(1))) },
      ["environment.eventlog-event", "environment.eventlog-required"],
    ],
    [
      "a variable of another name",
      { events: replace(DBX, variable(SECURITY, "dbxx", Uint8Array.of(1))) },
      ["environment.eventlog-event", "environment.eventlog-required"],
    ],
    [
      "a variable of another name as long",
      { events: replace(DBX, variable(SECURITY, "dby", Uint8Array.of(1))) },
      ["environment.eventlog-event", "environment.eventlog-required"],
    ],
    [
      "a variable whose name lies behind its data, in the next event",
      behind(concat(SECURITY, le64(1n), le64(-2n)), 0x64),
      ["environment.eventlog-event", "environment.eventlog-required"],
    ],
    [
      "a variable that ends inside its lengths, which the next event completes",
      behind(concat(SECURITY, le64(1n), le64(2n ** 32n - 3n)).subarray(0, -1), 0x6400),
      ["environment.eventlog-event", "environment.eventlog-required"],
    ],
    [
      "a variable cut short",
      { events: replace(DBX, measured(7, EV_EFI_VARIABLE_DRIVER_CONFIG, long.subarray(0, -1))) },
      ["environment.eventlog-event", "environment.eventlog-required"],
    ],
    [
      "a variable of 2^63 characters",
      { events: replace(DBX, measured(7, EV_EFI_VARIABLE_DRIVER_CONFIG, long.with(23, 0x80))) },
      ["environment.eventlog-event", "environment.eventlog-required"],
    ],
    ["no separator", { events: without(EVENTS[2] ?? {}) }, ["environment.eventlog-separator"]],
    [
      "a second separator",
      { events: [...EVENTS, separator(7)] },
      ["environment.eventlog-separator"],
    ],
    [
      "a second separator under another name",
      { events: [...EVENTS, { ...separator(7), type: EV_EFI_VARIABLE_DRIVER_CONFIG }] },
      ["environment.eventlog-separator"],
    ],
    [
      "a separator that reports an error",
      { events: [...EVENTS, measured(7, EV_SEPARATOR, Uint8Array.of(1, 0, 0, 0))] },
      ["environment.eventlog-separator"],
    ],
    [
      "a separator where none is asked for",
      { events: [...EVENTS, separator(8)] },
      ["environment.eventlog-event"],
    ],
    ["an event where none may be", { rules: withPcr(8, {}) }, ["environment.eventlog-event"]],
    [
      "a type that the rules do not have",
      { rules: withPcr(8, { types: [EV_EFI_ACTION] }) },
      ["environment.eventlog-event"],
    ],
    [
      "a type that promises its data, over other data",
      {
        events: [...EVENTS, { ...action, data: SHIM.data }],
        rules: withPcr(4, {
          separator: "one",
          events: [oneOf(SHIM)],
          types: [EV_EFI_ACTION, EV_EFI_BOOT_SERVICES_APPLICATION],
        }),
      },
      ["environment.eventlog-unbound"],
    ],
    [
      "a PCR that is not quoted",
      { rules: withPcr(14, { events: [oneOf(COMMAND)] }) },
      ["environment.pcr-uncovered"],
    ],
    [
      "a PCR that is not quoted, without a log",
      { log: null, rules: withPcr(14, { events: [oneOf(COMMAND)] }) },
      ["environment.eventlog-absent", "environment.pcr-uncovered"],
    ],
    [
      "a PCR that was extended without events",
      { log: agileLog(["sha256"], without(COMMAND)) },
      ["environment.eventlog-missing"],
    ],
    [
      "values besides rules",
      { policy: { pcrs: { sha256: new Map([[0, [new Uint8Array(32).fill(1)]]]) } } },
      ["environment.pcr-mismatch"],
    ],
  ];
  test.each(cases)("%s", async (_, boot, codes) => expect(await codesOf(boot)).toEqual(codes));
});

test("every bank of the rules is judged", async () => {
  const bank = { sha1: new Map([[4, pcrRules({ separator: "one" })]]), sha256: RULES };
  expect(await codesOf({ rules: bank })).toEqual(["environment.pcr-uncovered"]);
});

describe("rules of another form are refused, by the core and by the wire format", () => {
  const digest = new Uint8Array(32);
  const set: CborValue = [1, [digest], null];
  const dbx: CborValue = [1, SECURITY, "dbx"];
  const good: CborValue[] = [1, [set], [dbx], [4]];
  const rules = (at: number, value: CborValue): CborValue => good.with(at, value);
  const pcr = (value: CborValue, index = 7): CborValue =>
    new Map([[0x0b, new Map([[index, value]])]]);
  const cases: readonly (readonly [string, CborValue])[] = [
    ["bytes", new Uint8Array(4)],
    ["no bank", new Map()],
    ["an unknown bank", new Map([[0x12, new Map([[7, good]])]])],
    ["no PCR", new Map([[0x0b, new Map()]])],
    ["PCR 24", pcr(good, 24)],
    ["PCR 10", pcr(good, 10)],
    ["PCR 16", pcr(good, 16)],
    ["PCR 23", pcr(good, 23)],
    ["three items", pcr(good.slice(0, 3))],
    ["a separator of 2", pcr(rules(0, 2))],
    ["257 sets", pcr(rules(1, Array<CborValue>(257).fill(set)))],
    ["a set without a need", pcr(rules(1, [[[digest], null]]))],
    ["a need of 2", pcr(rules(1, [[2, [digest], null]]))],
    ["no digest", pcr(rules(1, [[1, [], null]]))],
    ["a digest of another bank", pcr(rules(1, [[1, [new Uint8Array(20)], null]]))],
    ["one digest twice", pcr(rules(1, [[1, [digest, digest], null]]))],
    ["digests out of order", pcr(rules(1, [[1, [digest.with(0, 1), digest], null]]))],
    ["an empty label", pcr(rules(1, [[1, [digest], new Uint8Array()]]))],
    ["a label that is text", pcr(rules(1, [[1, [digest], "label"]]))],
    ["a long label", pcr(rules(1, [[1, [digest], new Uint8Array(4_097)]]))],
    ["a GUID of 15 bytes", pcr(rules(2, [[1, new Uint8Array(15), "dbx"]]))],
    ["a name with a space", pcr(rules(2, [[1, SECURITY, "d b"]]))],
    ["one variable twice", pcr(rules(2, [dbx, dbx]))],
    ["variables out of order", pcr(rules(2, [dbx, [1, SECURITY, "db"]]))],
    ["variables out of order by their GUIDs", pcr(rules(2, [dbx, [1, GLOBAL, "a"]]))],
    ["a type of 33 bits", pcr(rules(3, [2 ** 32]))],
    ["one type twice", pcr(rules(3, [4, 4]))],
    ["types out of order", pcr(rules(3, [4, 3]))],
    ["rules that demand nothing", pcr([0, [[0, [digest], null]], [[0, SECURITY, "dbx"]], [4]])],
  ];
  const caseOf = (eventLog: CborValue) =>
    world.build({
      policies: [{ pcrs: undefined, eventLog: { sha256: RULES } }],
      edit: { claims: { policy: (map) => map.set(-70503, eventLog) } },
    });
  test("the good one", async () => {
    const { bytes, policies } = await caseOf(pcr(good));
    for (const core of cores) expect(core.decide(bytes).code).toBe("environment.eventlog-absent");
    expect(() => parseSigned("policy", policies[0]?.bytes ?? digest)).not.toThrow();
  });
  test.each(cases)("%s", async (_, eventLog) => {
    const { bytes, policies } = await caseOf(eventLog);
    for (const core of cores) expect(core.decide(bytes).code).toBe("policy.malformed");
    expect(() => parseSigned("policy", policies[0]?.bytes ?? digest)).toThrow(WireError);
  });
});
