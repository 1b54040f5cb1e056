/**
 * Gathers what arrives in one turn of the event loop, or while the last batch is under way, so that
 * many share one way to the disk. Nothing waits longer for company.
 */
export class Batch<I, O> {
  readonly #work: (items: readonly I[]) => Promise<readonly O[]>;
  readonly #itemsMax: number;
  #waiting: { item: I; done: (out: O) => void; fail: (error: unknown) => void }[] = [];
  #running = false;

  constructor(work: (items: readonly I[]) => Promise<readonly O[]>, itemsMax: number) {
    this.#work = work;
    this.#itemsMax = itemsMax;
  }

  add(item: I): Promise<O> {
    return new Promise((done, fail) => {
      this.#waiting.push({ item, done, fail });
      if (this.#running) return;
      this.#running = true;
      setImmediate(() => void this.#run());
    });
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const taken = this.#waiting.splice(0, this.#itemsMax);
      try {
        const outs = await this.#work(taken.map(({ item }) => item));
        for (const [i, { done, fail }] of taken.entries()) {
          const out = outs[i];
          if (out === undefined) fail(new Error("The batch gave too few answers."));
          else done(out);
        }
      } catch (error) {
        for (const { fail } of taken) fail(error);
      }
    }
    this.#running = false;
  }
}
