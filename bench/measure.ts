/**
 * Interleaved measurement: subjects take turns in short slices, so that what disturbs the machine
 * disturbs them all, and each slice gives its own ratio to the baseline. Time is the process's CPU
 * time, which other processes on the same cores inflate far less than the clock on the wall.
 */
export interface Subject {
  readonly name: string;
  /** Does the work once; may be asynchronous (WebCrypto). */
  readonly run: () => void | Promise<void>;
  /** How many operations one run is. */
  readonly operations: number;
  /** How many times as fast as the first subject it has to be. */
  readonly budget?: number;
}

/** Subjects that do the same work; the first is what the others are compared with. */
export interface Suite {
  readonly name: string;
  readonly subjects: readonly Subject[];
  /** In microseconds; this process's CPU time where none is given. */
  readonly clock?: () => number;
  /** Where the usual one is too quick. */
  readonly pace?: Pace;
  /** Called when it has been measured, or is not wanted. */
  readonly end?: () => Promise<void>;
}

export interface Result {
  readonly name: string;
  readonly budget: number | null;
  /** CPU microseconds an operation: the median slice. */
  readonly us: number;
  /** How many times as fast as the first subject: the median slice, and the quartiles. */
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
}

/** How much a run measures: `once` is for the tests of the harness itself. */
export type Scale = "full" | "quick" | "once";

export interface Pace {
  readonly slices: number;
  readonly sliceMs: number;
}

function cpuMicroseconds(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

async function slice(subject: Subject, sliceMs: number, clock: () => number): Promise<number> {
  const start = clock();
  let operations = 0;
  let spent: number;
  do {
    const pending = subject.run();
    if (pending !== undefined) await pending;
    operations += subject.operations;
    spent = clock() - start;
  } while (spent < sliceMs * 1000);
  return spent / operations;
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.round((sorted.length - 1) * share)] ?? Number.NaN;
}

/** Measures the subjects against the first of them. */
export async function measure(
  subjects: readonly Subject[],
  pace: Pace,
  clock = cpuMicroseconds,
): Promise<Result[]> {
  const times = subjects.map((): number[] => []);
  // One slice each to warm up: tables are made, and the engine's better compiler has its turn.
  for (const subject of subjects) await slice(subject, pace.sliceMs, clock);
  for (let round = 0; round < pace.slices; round++) {
    for (const [index, subject] of subjects.entries()) {
      times[index]?.push(await slice(subject, pace.sliceMs, clock));
    }
  }
  return subjects.map(({ name, budget = null }, index) => {
    const own = times[index] ?? [];
    const ratios = own.map((us, round) => (times[0]?.[round] ?? Number.NaN) / us);
    const [ratio, low, high] = [0.5, 0.25, 0.75].map((share) => quantile(ratios, share));
    const spread = { ratio: ratio ?? 0, low: low ?? 0, high: high ?? 0 };
    return { name, budget, us: quantile(own, 0.5), ...spread };
  });
}
