/** The words of the benches: their help, and wrong ones told in a line, with exit code 64. */
import { Command, InvalidArgumentError } from "commander";
import { EXIT } from "../src/gate/exit-codes.ts";

export function benchCommand(name: string, about: string, examples: readonly string[]): Command {
  const lines = examples.map((words) => `\n  npm run ${name}${words && ` -- ${words}`}`);
  return new Command(`npm run ${name} --`)
    .description(about)
    .addHelpText("after", `\nExamples:${lines.join("")}`)
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : EXIT.usage));
}

/** A whole number from `least` on. */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${least} on.`);
  };
}
