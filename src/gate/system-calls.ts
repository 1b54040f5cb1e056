import { ExecError } from "./error.ts";

/** The programs that confine a job, by absolute path: no PATH decides what runs here. */
export const PROGRAMS = {
  perl: "/usr/bin/perl",
  setpriv: "/usr/bin/setpriv",
  unshare: "/usr/bin/unshare",
} as const;

export type SystemCall =
  | "prctl"
  | "dup3"
  | "closeRange"
  | "execveat"
  | "setgroups"
  | "setresgid"
  | "setresuid"
  | "capset"
  | "clockGettime"
  | "memfdCreate"
  | "setsid"
  | "sigprocmask"
  | "signalfd";

/**
 * Numbers of Linux system calls: arch/x86/entry/syscalls/syscall_64.tbl,
 * include/uapi/asm-generic/unistd.h.
 */
const NUMBERS: { readonly [arch: string]: { readonly [call in SystemCall]: number } } = {
  x64: {
    prctl: 157,
    dup3: 292,
    closeRange: 436,
    execveat: 322,
    setgroups: 116,
    setresgid: 119,
    setresuid: 117,
    capset: 126,
    clockGettime: 228,
    memfdCreate: 319,
    setsid: 112,
    sigprocmask: 14,
    signalfd: 289,
  },
  arm64: {
    prctl: 167,
    dup3: 24,
    closeRange: 436,
    execveat: 281,
    setgroups: 159,
    setresgid: 149,
    setresuid: 147,
    capset: 91,
    clockGettime: 113,
    memfdCreate: 279,
    setsid: 157,
    sigprocmask: 135,
    signalfd: 74,
  },
};

/**
 * The numbers of these calls on this machine, in decimal and in this order.
 *
 * @throws ExecError exec.unsupported elsewhere than on Linux on x64 or arm64.
 */
export function systemCalls(names: readonly SystemCall[]): string[] {
  const numbers = process.platform === "linux" ? NUMBERS[process.arch] : undefined;
  if (numbers === undefined) {
    const here = `${process.platform} ${process.arch}`;
    throw new ExecError("exec.unsupported", `jobs run on Linux on x64 or arm64, not on ${here}`);
  }
  return names.map((name) => String(numbers[name]));
}
