/** Runs one verb with commander, whose refusals become UsageError: one line, exit 64. */
import { Command, CommanderError } from "commander";
import { UsageError } from "./error.ts";
import { print } from "./print.ts";
import type { Globals } from "./session.ts";
import { attach, type Program } from "./verb.ts";
import type { CommandModule } from "./verbs.ts";

const SHOWN = ["commander.helpDisplayed", "commander.help"];

/** `words` begin with the verb. Gives the exit code; throws what the verb throws. */
export async function runProgram(
  module: CommandModule,
  words: string[],
  globals: Globals,
): Promise<number> {
  // What these verbs write is private, yet their own to read, whatever the caller's umask.
  process.umask(0o077);
  const root = new Command("portcullis");
  const program: Program = { globals, exitCode: 0 };
  attach(root, program);
  module.register(root);
  eachCommand(root, (command) => {
    command.exitOverride().allowExcessArguments(false).showSuggestionAfterError(true);
    // What commander would print as an error is thrown as well, and printed once, by main.
    command.configureOutput({
      writeOut: print,
      outputError: () => undefined,
      writeErr: () => undefined,
    });
    command.helpCommand(false);
  });
  try {
    await root.parseAsync(words, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (SHOWN.includes(error.code) && error.exitCode === 0) return 0;
    throw usageOf(error, words);
  }
  return program.exitCode;
}

function eachCommand(command: Command, visit: (command: Command) => void): void {
  visit(command);
  for (const inner of command.commands) eachCommand(inner, visit);
}

function usageOf(error: CommanderError, words: readonly string[]): UsageError {
  const verb = words.find((word) => !word.startsWith("-")) ?? "";
  if (error.code === "commander.help") {
    return new UsageError(
      `${verb} needs one of its verbs; \`portcullis ${verb} --help\` lists them.`,
    );
  }
  const said = error.message.replace(/^error: /, "").replaceAll(/\s*\n\s*/g, " ");
  return new UsageError(`${said}; \`portcullis ${verb} --help\` shows its usage.`, {
    cause: error,
  });
}
