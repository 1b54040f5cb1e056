import { PortcullisError } from "../errors.ts";
import { EXIT } from "../gate/exit-codes.ts";

/** The command line itself is wrong: unknown flags, missing or unfit files. Exit 64. */
export class UsageError extends PortcullisError {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super("usage", message, options);
  }
}

/**
 * What a verb could not do, for a reason that is the operator's to mend: wrong input, wrong files,
 * wrong permissions.
 */
const USAGE = [
  "usage",
  "agent.running",
  "agent.path",
  "domain.input",
  "domain.missing",
  "domain.exists",
  "domain.malformed",
  "domain.signers",
  "wire.",
  "private.",
  "store.missing",
  "store.exists",
  "store.private",
  "store.newer",
  "log.case",
  "log.signature",
  "log.malformed",
  "eventlog.malformed",
  "ima.malformed",
  "client.address",
  "exec.request",
  "exec.file",
  "exec.user",
];
const RETRY = [
  "domain.conflict",
  "store.busy",
  "client.unreachable",
  "client.timeout",
  "client.answer",
];
/** The enroller did not believe the machine. */
const DENIED = ["enroll.", "client.refused"];

/**
 * The documented exit code of an error that this project throws on purpose; 70 where nothing else
 * is said.
 */
export function exitCodeOf(error: PortcullisError): number {
  const among = (codes: readonly string[]) =>
    codes.some((code) => (code.endsWith(".") ? error.code.startsWith(code) : error.code === code));
  if (among(USAGE)) return EXIT.usage;
  if (among(DENIED)) return EXIT.denied;
  return among(RETRY) ? EXIT.retry : EXIT.internal;
}
