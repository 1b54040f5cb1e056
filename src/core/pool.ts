/**
 * Cores in threads, for a plane: one instance a worker, and what arrives while a worker decides is
 * gathered into its next batch. A worker that dies or hangs denies what it had, and is replaced.
 */
import { Worker } from "node:worker_threads";
import { PortcullisError } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import type { Code } from "./codes.ts";
import { type BatchMessage, type Packed, pack, type ResultMessage, unpack } from "./packing.ts";
import { denied, type Verdict, verdictOf } from "./verdict.ts";

export interface PoolOptions {
  readonly workers: number;
  /** Cases in one batch. */
  readonly batchMax?: number;
  /** Cases that wait for a worker, and their bytes; beyond either the pool is busy. */
  readonly waitingMax?: number;
  readonly waitingBytesMax?: number;
  /** How long a batch may take before its worker is given up. */
  readonly batchMs?: number;
  /** The module that each worker runs; by default the one beside this. */
  readonly entry?: URL;
}

interface Waiting {
  readonly caseBytes: Uint8Array;
  readonly done: (verdict: Verdict) => void;
}

interface Seat {
  readonly worker: Worker;
  ready: boolean;
  batch: readonly Waiting[];
  timer: NodeJS.Timeout | null;
}

/** Sources run as .ts, the package as .js. */
const EXTENSION = import.meta.url.slice(import.meta.url.lastIndexOf("."));
const ENTRY = new URL(`./pool-worker${EXTENSION}`, import.meta.url);
const DEATHS_MAX = 16;

export class Pool {
  readonly #batchMax: number;
  readonly #waitingMax: number;
  readonly #waitingBytesMax: number;
  readonly #batchMs: number;
  readonly #entry: URL;
  readonly #seats = new Set<Seat>();
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #closed = false;
  readonly #expecting: (() => void)[] = [];
  /** Workers that died before any answer since the last one that gave one. */
  #deaths = 0;

  /** Use `createPool`. */
  constructor(options: PoolOptions) {
    this.#batchMax = options.batchMax ?? 32;
    this.#waitingMax = options.waitingMax ?? 1_024;
    this.#waitingBytesMax = options.waitingBytesMax ?? 16 * LIMITS.caseBytes;
    this.#batchMs = options.batchMs ?? 5_000;
    this.#entry = options.entry ?? ENTRY;
    for (let i = 0; i < Math.max(1, options.workers); i++) this.#hire();
  }

  /** The threads that are at work now. */
  get threads(): readonly number[] {
    return [...this.#seats].map(({ worker }) => worker.threadId);
  }

  /**
   * As Core.decide, later. What a dead worker had is denied, `internal.undecided`.
   *
   * @throws PortcullisError `pool.busy`, or `pool.failed` where no worker is hired any more: nothing
   * was decided.
   */
  async decide(caseBytes: Uint8Array): Promise<Verdict> {
    if (caseBytes.length > LIMITS.caseBytes) return denied("internal.case");
    if (this.#deaths > DEATHS_MAX) throw failed();
    const bytes = this.#waitingBytes + caseBytes.length;
    const full = this.#waiting.length >= this.#waitingMax || bytes > this.#waitingBytesMax;
    if (this.#closed || full) {
      throw new PortcullisError("pool.busy", "More cases wait than the plane takes: ask again.");
    }
    this.#waitingBytes = bytes;
    return new Promise((done) => {
      this.#waiting.push({ caseBytes, done });
      // What is asked for in the same breath goes together: the first must not leave alone.
      if (this.#waiting.length === 1) queueMicrotask(() => this.#assign());
    });
  }

  /** Ends the workers; what waits is denied. */
  async close(): Promise<void> {
    this.#closed = true;
    const seats = [...this.#seats];
    this.#seats.clear();
    for (const seat of seats) this.#abandon(seat, "internal.undecided");
    settle(this.#waiting, "internal.undecided");
    this.#waiting = [];
    await Promise.all(seats.map(({ worker }) => worker.terminate()));
  }

  #hire(): void {
    const seat: Seat = { worker: new Worker(this.#entry), ready: false, batch: [], timer: null };
    this.#seats.add(seat);
    const gone = (): void => this.#replace(seat, "internal.undecided");
    seat.worker.on("error", gone);
    seat.worker.on("exit", gone);
    seat.worker.on("message", ({ results }: ResultMessage) => {
      if (results === null) this.#seat(seat);
      else this.#finish(seat, results);
    });
  }

  #seat(seat: Seat): void {
    seat.ready = true;
    seat.worker.unref(); // idle, it keeps no process alive
    for (const done of this.#expecting.splice(0)) done();
    this.#assign();
  }

  /** Once a worker is ready, or no more are hired. */
  async ready(): Promise<void> {
    if ([...this.#seats].some(({ ready }) => ready)) return;
    await new Promise<void>((done) => this.#expecting.push(done));
    if (this.#deaths > DEATHS_MAX) throw failed();
  }

  #replace(seat: Seat, code: Code): void {
    if (!this.#seats.delete(seat)) return;
    this.#deaths += 1;
    this.#abandon(seat, code);
    void seat.worker.terminate();
    if (this.#deaths <= DEATHS_MAX) this.#hire();
    else {
      settle(this.#waiting.splice(0), "internal.undecided");
      for (const done of this.#expecting.splice(0)) done();
    }
    this.#assign();
  }

  #abandon(seat: Seat, code: Code): void {
    if (seat.timer !== null) clearTimeout(seat.timer);
    settle(seat.batch, code);
    seat.batch = [];
  }

  #finish(seat: Seat, packed: Packed): void {
    const results = unpack(packed);
    this.#deaths = 0;
    if (seat.timer !== null) clearTimeout(seat.timer);
    seat.worker.unref();
    for (const [i, { caseBytes, done }] of seat.batch.entries()) {
      const result = results[i];
      const trapped = result === undefined || result.length === 0;
      done(trapped ? denied("internal.trap") : verdictOf(result, caseBytes));
    }
    seat.batch = [];
    this.#assign();
  }

  #assign(): void {
    for (const seat of this.#seats) {
      if (this.#waiting.length === 0) return;
      if (!seat.ready || seat.batch.length > 0) continue;
      seat.batch = this.#waiting.splice(0, this.#batchMax);
      const cases = pack(seat.batch.map(({ caseBytes }) => caseBytes));
      this.#waitingBytes -= cases.bytes.length;
      seat.timer = setTimeout(() => this.#replace(seat, "internal.timeout"), this.#batchMs);
      seat.worker.ref();
      const message: BatchMessage = { cases };
      seat.worker.postMessage(message, [cases.bytes.buffer]);
    }
  }
}

function failed(): PortcullisError {
  const why = "One thread with a core after the other has died: the plane must be started again.";
  return new PortcullisError("pool.failed", why);
}

function settle(batch: readonly Waiting[], code: Code): void {
  for (const { done } of batch) done(denied(code));
}

/**
 * Starts the workers; each loads the core that comes with this package. One of them is ready then.
 *
 * @throws PortcullisError `pool.failed`
 */
export async function createPool(options: PoolOptions): Promise<Pool> {
  const pool = new Pool(options);
  await pool.ready();
  return pool;
}
