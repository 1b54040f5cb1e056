/**
 * How a verb is made with commander: its words, options, examples, and the function behind it.
 *
 *     export function register(program: Command): void {
 *       defineVerb(program, {
 *         name: "freeze", summary: "stop new jobs", examples: ["portcullis freeze --all"],
 *         setup: (command) => command.option("--all", "end leases too"),
 *         run: async (session, options: { all?: true }) => { ... },
 *       });
 *     }
 */
import { type Command, Option } from "commander";
import { type Globals, Session } from "./session.ts";

export interface VerbDefinition<O> {
  readonly name: string;
  readonly summary: string;
  /** At least one, as it would be typed. */
  readonly examples: readonly [string, ...string[]];
  /** Further paragraphs of the help, among them the shape that --json prints. */
  readonly notes?: readonly string[];
  /** Adds arguments and options. */
  readonly setup?: (command: Command) => unknown;
  /**
   * `words` are the arguments in order; a variadic one is spread. Gives the exit code, 0 where it
   * gives none.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: a verb may only succeed or throw.
  readonly run: (session: Session, options: O, words: string[]) => Promise<number | void>;
}

/** Where a finished verb leaves its exit code, and the options that stood before the verb. */
export interface Program {
  readonly globals: Globals;
  exitCode: number;
}

const programs = new WeakMap<Command, Program>();

/** Makes this command the root of what `defineVerb` adds to. */
export function attach(command: Command, program: Program): void {
  programs.set(command, program);
}

function programOf(command: Command): Program {
  for (let at: Command | null = command; at !== null; at = at.parent) {
    const program = programs.get(at);
    if (program !== undefined) return program;
  }
  throw new Error("a verb outside any program");
}

/** A verb that only groups others, such as `policy`. */
export function defineFamily(parent: Command, name: string, summary: string): Command {
  return parent.command(name).description(summary).summary(summary);
}

export function defineVerb<O extends object>(parent: Command, verb: VerbDefinition<O>): void {
  const command = parent.command(verb.name).description(verb.summary).summary(verb.summary);
  verb.setup?.(command);
  addGlobals(command);
  const examples = verb.examples.map((example) => `  ${example}`);
  const notes = (verb.notes ?? []).flatMap((note) => ["", note]);
  command.addHelpText("after", ["", "Examples:", ...examples, ...notes].join("\n"));
  command.action(async () => {
    const program = programOf(command);
    const options = command.opts<O & { home?: string; json?: true }>();
    const globals = {
      home: options.home ?? program.globals.home,
      json: options.json === true || program.globals.json,
    };
    program.exitCode = (await verb.run(new Session(globals), options, command.args)) ?? 0;
  });
}

function addGlobals(command: Command): void {
  command.addOption(new Option("--home <folder>", "where the trust domain lies"));
  command.addOption(new Option("--json", "print the result as JSON"));
}
