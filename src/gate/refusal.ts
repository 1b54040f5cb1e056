/**
 * How the host's own failures are named. The host only adds reasons to deny: there is no path from
 * here to allow.
 */
import type { Code } from "../core/codes.ts";
import type { Verdict } from "../core/index.ts";
import { PortcullisError } from "../errors.ts";
import { LedgerConflict, LogError } from "../log/error.ts";
import { StoreError } from "../store/contract.ts";
import { StateRollback } from "./anchor.ts";
import { ExecError } from "./error.ts";
import { AttestationKeyLost } from "./evidence.ts";
import { PlaneFailure } from "./plane.ts";

/** The evidence did not come in time. */
export class EvidenceTimeout extends Error {
  constructor(seconds: number) {
    super(`No quote came within ${seconds} seconds.`);
    this.name = "EvidenceTimeout";
  }
}

/** The evidence source failed: the TPM or the agent did not answer. `cause` says how. */
export class EvidenceFailure extends Error {
  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.name = "EvidenceFailure";
  }
}

/** The code under which an error of the host is recorded. */
export function codeOfFailure(error: unknown): Code {
  if (error instanceof PlaneFailure) return "plane.missing";
  if (error instanceof EvidenceTimeout) return "internal.timeout";
  if (error instanceof EvidenceFailure) {
    const lost = error.cause instanceof AttestationKeyLost;
    return lost ? "internal.attestation-key" : "internal.tpm-unavailable";
  }
  if (error instanceof StateRollback) return "internal.rollback";
  if (error instanceof LedgerConflict) {
    return error.code === "ledger.clock" ? "internal.clock" : "internal.ledger";
  }
  if (error instanceof LogError) return "internal.log";
  if (error instanceof StoreError) return "internal.store";
  if (error instanceof ExecError) {
    return error.code === "exec.deadline" ? "internal.deadline" : "internal.exec";
  }
  // A file that is there, and cannot be read, or is not what it should be.
  if (
    error instanceof PortcullisError ||
    isSystems(error) ||
    (error instanceof Error && isSystems(error.cause))
  ) {
    return "internal.evidence";
  }
  return "internal.undecided";
}

/** Whether it is the system's own refusal. */
const isSystems = (error: unknown): boolean => error instanceof Error && "syscall" in error;

/**
 * What the host could not do explains a quote that is missing; any other code of the core stands by
 * itself.
 */
export function reasonOf(
  verdict: Pick<Verdict, "code">,
  failure: { readonly error: unknown } | null,
  missing: string | undefined,
): { readonly code: Code | null; readonly failure: string | null } {
  if (failure === null) {
    const explained = verdict.code === "environment.eventlog-absent" ? missing : undefined;
    return { code: verdict.code, failure: explained ?? null };
  }
  const explains = verdict.code === "environment.quote-missing";
  const code = explains ? codeOfFailure(failure.error) : verdict.code;
  return { code, failure: messageOf(failure.error) };
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
