/** `run` and `check`: decide; and, for `run`, start what was admitted. */
import { nowSeconds } from "../clock.ts";
import { type Code, loadCore } from "../core/index.ts";
import { PortcullisError } from "../errors.ts";
import { reopenStatus, writeStatus } from "../gate/descriptors.ts";
import { EXIT } from "../gate/exit-codes.ts";
import {
  type Admitted,
  type Circumstances,
  type Decision,
  type Ended,
  failed,
  type Gate,
} from "../gate/gate.ts";
import { exitCodeOf as exitCodeOfJob } from "../gate/outcome.ts";
import type { PlaneSource } from "../gate/plane.ts";
import { makeReceipt, type ReceiptFacts } from "../gate/receipt.ts";
import { codeOfFailure } from "../gate/refusal.ts";
import { forwardSignals } from "../gate/signals.ts";
import type { Recorded } from "../log/journal.ts";
import type { ReferencePolicy } from "../wire/objects.ts";
import { askFor, parentRunOf } from "./ask.ts";
import { exitCodeOf } from "./error.ts";
import { type Home, homeAt, requireHome, resolveHome } from "./home.ts";
import { helpOf, type JobWords, parseJobWords } from "./job-words.ts";
import { type Machine, openMachine, pinnedNumber } from "./machine.ts";
import {
  complain,
  denialExit,
  denialLines,
  denialShape,
  hex,
  type Json,
  print,
  printJson,
  printLines,
  reasonLines,
} from "./print.ts";
import type { Globals } from "./session.ts";

type VerbName = "run" | "check";

/** What is told in the end, on standard output with --json and in receipts. */
interface Told {
  readonly facts: ReceiptFacts;
  readonly recorded: Recorded | null;
  readonly failure: string | null;
}

export function main(words: readonly string[], globals: Globals): Promise<number> {
  return decideAndAct("run", words, globals);
}

export async function decideAndAct(
  verb: VerbName,
  rest: readonly string[],
  globals: Globals,
): Promise<number> {
  const words = parseJobWords(rest, globals);
  if (words.help) {
    print(helpOf(verb));
    return 0;
  }
  // First of all: what is inherited must not reach any program that is started from here on.
  const status = words.statusFd === undefined ? null : reopenStatus(words.statusFd);
  const home = requireHome(homeAt(resolveHome(words.globals.home)));
  const plane = await openPlane(home, words);
  const question = await questionOf(home, words);
  try {
    return await judge(verb, home, words, { ...question, plane }, status);
  } finally {
    await question.close();
    plane?.close();
  }
}

/** What is put before the gate. */
interface Question {
  readonly circumstances: Circumstances;
  readonly unverifiedPolicies: readonly ReferencePolicy[];
  decide(gate: Gate): Promise<Decision>;
  close(): Promise<void>;
}

/**
 * Wrong words are told and nothing more. Where it is this machine that cannot read or stage what they
 * name, that is a denial, to be recorded as any other.
 */
async function questionOf(home: Home, words: JobWords): Promise<Question> {
  try {
    const { asked, unverifiedPolicies } = await askFor(home, words, await pinnedNumber(home));
    return {
      circumstances: asked,
      unverifiedPolicies,
      decide: (gate) => gate.decide(asked),
      close: () => asked.prepared.close(),
    };
  } catch (error) {
    if (error instanceof PortcullisError && exitCodeOf(error) !== EXIT.internal) throw error;
    return {
      circumstances: { parentRun: parentRunOf(words), prepared: { warnings: [] } },
      unverifiedPolicies: [],
      decide: async () => failed(error),
      close: async () => undefined,
    };
  }
}

/**
 * The plane, where one is named; what it publishes is taken first. Where that fails, what lies here
 * is judged, by the plane too: it denies what is no longer in force.
 */
async function openPlane(home: Home, { plane, planeCa }: JobWords) {
  if (plane === undefined) return null;
  const { fetchGovernance, openClient } = await import("./plane-client.ts");
  const client = await openClient(plane, planeCa);
  await fetchGovernance(home, client).catch((error: unknown) => {
    complain(`portcullis: nothing was fetched: ${messageOf(error)}`);
  });
  return client;
}

async function judge(
  verb: VerbName,
  home: Home,
  words: JobWords,
  question: Question & { readonly plane: PlaneSource | null },
  status: number | null,
): Promise<number> {
  const { circumstances, unverifiedPolicies, plane } = question;
  let machine: Machine;
  try {
    machine = await openMachine(home, words.tpm, unverifiedPolicies, plane);
  } catch (error) {
    // Without state there is no log to record in: the denial is printed, and told nowhere else.
    return deny(words, codeOfFailure(error), messageOf(error), null);
  }
  await using opened = machine;
  const tell = async (told: Told): Promise<void> => {
    if (status !== null) writeStatus(status, JSON.stringify(await receiptLine(opened, told)));
  };
  await opened.journal.abortOpenRuns(nowSeconds()).catch(noteUnwritten);
  const decision = await question.decide(opened.gate);
  if (verb === "check") {
    return await conclude(opened, words, circumstances, decision, "checked", tell);
  }
  if (!decision.verdict.allow) return await refuse(opened, words, circumstances, decision, tell);
  let admitted: Admitted;
  try {
    admitted = await opened.gate.claim(decision.verdict);
  } catch (error) {
    const refused = { ...decision, code: codeOfFailure(error), failure: messageOf(error) };
    return await refuse(opened, words, circumstances, refused, tell);
  }
  return await execute(opened, words, admitted, tell);
}

type Tell = (told: Told) => Promise<void>;

/** Tells what is over, and recorded: a reader that went away changes nothing about it. */
async function tellAfter(tell: Tell, told: Told): Promise<void> {
  await tell(told).catch((error: unknown) => complain(`portcullis: ${messageOf(error)}`));
}

async function execute(
  machine: Machine,
  words: JobWords,
  admitted: Admitted,
  tell: Tell,
): Promise<number> {
  const { runId, intent: recorded, warnings } = admitted;
  const facts = { event: "intent", code: null, runId, exit: null, warnings } as const;
  let stopForwarding = (): void => undefined;
  try {
    const ended = await machine.gate.execute(admitted, async (pending) => {
      await tell({ facts, recorded, failure: null });
      stopForwarding = forwardSignals(pending);
    });
    return await finishRun(words, ended, runId, warnings, tell);
  } catch (error) {
    // The job has ended, and its end could not be recorded: the run stays open, and becomes
    // aborted.
    const told = `it was admitted, and its end could not be recorded: ${messageOf(error)}`;
    return deny(words, codeOfFailure(error), told, null);
  } finally {
    stopForwarding();
  }
}

async function finishRun(
  words: JobWords,
  ended: Ended,
  runId: Uint8Array,
  warnings: readonly string[],
  tell: Tell,
): Promise<number> {
  const { outcome, code, failure, recorded } = ended;
  const exit = outcome === null ? denialExit(code ?? "internal.exec") : exitCodeOfJob(outcome);
  const facts = { event: "outcome", code, runId, exit, warnings } as const;
  await tellAfter(tell, { facts, recorded, failure });
  if (code !== null) return deny(words, code, failure, recorded);
  if (outcome?.kind === "not-executable") complain(`portcullis: ${outcome.reason}`);
  return exit;
}

/** Records a denial; where even that fails, its own code is told instead. */
async function refuse(
  machine: Machine,
  words: JobWords,
  circumstances: Circumstances,
  decision: Decision,
  tell: Tell,
): Promise<number> {
  const code = decision.code ?? "internal.undecided";
  return await conclude(machine, words, circumstances, { ...decision, code }, "denied", tell);
}

/** Records a decision that starts nothing, and tells it. */
async function conclude(
  machine: Machine,
  words: JobWords,
  circumstances: Circumstances,
  decision: Decision,
  event: "denied" | "checked",
  tell: Tell,
): Promise<number> {
  const { code, failure } = decision;
  const exit = code === null ? 0 : denialExit(code);
  let recorded: Recorded;
  try {
    recorded = await machine.gate.record(circumstances, decision, event);
  } catch (error) {
    return deny(words, codeOfFailure(error), messageOf(error), null);
  }
  const { warnings } = circumstances.prepared;
  await tellAfter(tell, { facts: { event, code, runId: null, exit, warnings }, recorded, failure });
  if (code !== null) {
    return deny(words, code, failure, recorded, await reasonsOf(decision, code));
  }
  if (words.globals.json) printJson({ allow: true, leaf: recorded.index });
  else printLines(["It would be admitted."]);
  return exit;
}

/** Which PCR, boot event or file was denied, as far as the evidence tells. */
async function reasonsOf({ caseBytes }: Decision, code: Code): Promise<readonly string[]> {
  if (caseBytes === null || !code.startsWith("environment.")) return [];
  const { denialReasons } = await import("./policy-trial.ts");
  return denialReasons(await loadCore(), caseBytes);
}

/** Tells a denial to people, or with --json to programs, and gives the exit code. */
function deny(
  words: JobWords,
  code: Code,
  failure: string | null,
  recorded: Recorded | null,
  reasons: readonly string[] = [],
): number {
  if (words.globals.json) {
    const leaf = recorded === null ? null : recorded.index;
    printJson({ allow: false, ...denialShape(code), detail: failure, reasons, leaf });
  } else {
    const [head = "", ...rest] = denialLines(code, failure ?? undefined);
    complain([head, ...reasonLines(reasons), ...rest].join("\n"));
  }
  return denialExit(code);
}

/** A receipt as one JSON line: what it says, and the signed bytes. */
async function receiptLine(machine: Machine, { facts, recorded, failure }: Told): Promise<Json> {
  const signed =
    recorded && (await makeReceipt(facts, recorded, machine.coreDigest, machine.signer));
  return {
    event: facts.event,
    code: facts.code,
    run: facts.runId && hex(facts.runId),
    exit: facts.exit,
    warnings: facts.warnings,
    mark: recorded?.mark ?? null,
    detail: failure,
    leaf: recorded?.index ?? null,
    receipt: signed && Buffer.from(signed).toString("base64"),
  };
}

/**
 * Runs that died stay open until the log can be written again; this decision will say so by itself.
 */
function noteUnwritten(error: unknown): void {
  complain(`portcullis: open runs were not closed: ${messageOf(error)}`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
