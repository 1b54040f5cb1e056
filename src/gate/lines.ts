/** Lines as they arrive, for one reader: what comes before it asks is kept for it. */
export class Lines {
  readonly #lines: string[] = [];
  #rest = "";
  #ended = false;
  #reader: ((line: string | null) => void) | null = null;

  push(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    this.#lines.push(...lines);
    this.#serve();
  }

  /** Nothing more will come. A last line that was cut off is dropped. */
  end(): void {
    this.#ended = true;
    this.#serve();
  }

  /** The next line; null after the last. One call at a time. */
  next(): Promise<string | null> {
    return new Promise((done) => {
      this.#reader = done;
      this.#serve();
    });
  }

  #serve(): void {
    const line = this.#lines[0] ?? null;
    if (this.#reader === null || (line === null && !this.#ended)) return;
    const reader = this.#reader;
    this.#reader = null;
    this.#lines.shift();
    reader(line);
  }
}
