/** A `portcullis` process that stays (warm-cli.ts), for the commands of one test file. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Command, Performed } from "./warm-cli.ts";

const SCRIPT = fileURLToPath(new URL("warm-cli.ts", import.meta.url));

let child: ChildProcess | null = null;
/** Answers come in the order of the commands. */
const waiting: { done: (performed: Performed) => void; fail: (error: Error) => void }[] = [];

function started(): ChildProcess {
  if (child !== null) return child;
  const made = fork(SCRIPT, { stdio: ["ignore", "inherit", "inherit", "ipc"], execArgv: [] });
  made.on("message", (performed: Performed) => waiting.shift()?.done(performed));
  made.on("exit", (code, signal) => {
    child = null;
    const died = new Error(`portcullis ended amid a command: ${code ?? signal}`);
    for (const { fail } of waiting.splice(0)) fail(died);
  });
  // It ends with its parent, and keeps it from nothing.
  made.unref();
  made.channel?.unref();
  child = made;
  return made;
}

/** One command, as a process of its own would perform it. */
export async function performWarm(command: Command): Promise<Performed> {
  const performer = started();
  performer.channel?.ref();
  try {
    return await new Promise((done, fail) => {
      waiting.push({ done, fail });
      performer.send(command);
    });
  } finally {
    if (waiting.length === 0) performer.channel?.unref();
  }
}
