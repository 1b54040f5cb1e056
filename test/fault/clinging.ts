/** Gates that are killed while their job clings to life: what exec.test.ts and its slow half share. */
import { randomUUID } from "node:crypto";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect } from "vitest";
import {
  bareUser,
  eventually,
  familyOf,
  type GateRun,
  processesWith,
  startGate,
  type User,
  usable,
  users,
} from "./exec-support.ts";

export const everyone: readonly User[] = [...users, ...(usable(bareUser) ? [bareUser] : [])];

export const dir = mkdtempSync(join(tmpdir(), "portcullis-death-"));
chmodSync(dir, 0o777);
afterAll(() => rmSync(dir, { recursive: true }));

/** A job that leaves children behind in every way it can, then stays. */
const CLINGING =
  "trap '' TERM HUP INT; echo ran > \"$RAN\"; setsid sleep 600 & (setsid sh -c 'trap \"\" HUP TERM; sleep 600' &) & " +
  'sleep 600 & echo all >> "$RAN"; while :; do sleep 0.02; done';

export interface Clinging {
  readonly mark: string;
  /** Written once the job has run. */
  readonly ran: string;
  readonly gate: GateRun;
}
export function cling(
  user: User,
  config: { hold?: string; runtimeSeconds?: number } = {},
): Clinging {
  const mark = `portcullis-mark-${randomUUID()}`;
  const ran = join(dir, mark);
  const environment = { MARK: mark, RAN: ran };
  const argv = ["sh", "-c", CLINGING];
  const gate = startGate(user, { executable: "/bin/sh", argv, environment, ...config });
  return { mark, ran, gate };
}

/** Whether the job has started all that it starts. */
export const started = (ran: string): boolean =>
  existsSync(ran) && readFileSync(ran, "utf8").includes("all");
const alive = (pid: number): boolean => existsSync(`/proc/${pid}/environ`) && !zombie(pid);
function zombie(pid: number): boolean {
  try {
    return /\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return true;
    throw error;
  }
}

/**
 * Kills the gate alone, as the kernel's OOM killer would, and returns all processes it had then.
 */
export function killGate({ child }: GateRun): number[] {
  const family = familyOf(child.pid ?? -1);
  child.kill("SIGKILL");
  return family;
}

export async function expectNothingLeft(mark: string, family: readonly number[]): Promise<void> {
  await eventually(() => !family.some(alive) && processesWith(mark).length === 0);
  expect([family.filter(alive), processesWith(mark)]).toEqual([[], []]);
}

/** Kills gates at so many moments from their start to their job; a multiple of four. */
export async function killAtMoments(user: User, count: number): Promise<void> {
  const outcomes = { before: 0, after: 0 };
  const kill = async (i: number): Promise<void> => {
    const { mark, ran, gate } = cling(user);
    const from = (["inputs", "ready", "released", null] as const)[i % 4];
    if (from) await gate.said(from);
    const spread = (i * 40) / count;
    await new Promise((done) => setTimeout(done, from ? spread / 4 : spread * 4));
    await expectNothingLeft(mark, killGate(gate));
    outcomes[existsSync(ran) ? "after" : "before"]++;
  };
  for (let i = 0; i < count; i += 4) await Promise.all([0, 1, 2, 3].map((j) => kill(i + j)));
  expect(outcomes.before + outcomes.after).toBe(count);
  expect(Math.min(outcomes.before, outcomes.after)).toBeGreaterThan(0);
}
