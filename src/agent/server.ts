/**
 * The agent as a program that stays: it owns the TPM, and requests that arrive while it quotes share
 * its next quote, so that a TPM that takes hundreds of milliseconds serves many jobs. What it says
 * decides nothing.
 */
import { unlink } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { boottimeMs } from "../clock.ts";
import { PortcullisError } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import { auditPath, merkleRoot } from "../wire/merkle.ts";
import type { Agent } from "./agent.ts";
import { connect, fitsSocket } from "./client.ts";
import {
  decodeQuestion,
  encodeQuestion,
  encodeQuoted,
  encodeRaised,
  encodeRefusal,
  type Question,
  receive,
  send,
} from "./messages.ts";

/**
 * How long the TPM is kept open: whatever was changed beside the agent (another key, a TPM that was
 * reset) is taken up within this time, and a TPM that has one user at a time is free for others.
 */
const KEPT_MS = 2_000;
const QUESTION_MS = 5_000;
const CONNECTIONS_MAX = 1_024;
const SHARED_MAX = 2 ** LIMITS.pathHashes;

export interface AgentServerOptions {
  /** Where it listens: in a folder that its own user alone can enter. */
  readonly socket: string;
  readonly open: () => Promise<Agent>;
  /** What went wrong beside any answer. */
  readonly onFailure: (error: unknown) => void;
}

interface Waiting {
  readonly question: Question;
  readonly answer: (bytes: Uint8Array) => void;
}

type Shared = Extract<Question, { readonly kind: "quote" }>;

export class AgentServer implements AsyncDisposable {
  readonly #options: AgentServerOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #waiting: Waiting[] = [];
  #busy: Promise<void> | null = null;
  #agent: Agent | null = null;
  #openedMs = 0;
  #timer: NodeJS.Timeout | undefined;

  /** Use `listen`. */
  private constructor(options: AgentServerOptions) {
    this.#options = options;
    this.#server = createServer((socket) => void this.#hear(socket));
    this.#server.maxConnections = CONNECTIONS_MAX;
  }

  /**
   * @throws PortcullisError `agent.running` where another agent listens there, `agent.path` where a
   *   socket cannot have this address.
   */
  static async listen(options: AgentServerOptions): Promise<AgentServer> {
    if (!fitsSocket(options.socket)) {
      const message =
        `An agent cannot listen at ${options.socket}: a socket's path has 107 bytes at most. ` +
        "Move the home to a shorter path.";
      throw new PortcullisError("agent.path", message);
    }
    const other = await connect(options.socket);
    other?.destroy();
    if (other !== null) {
      const message = `An agent listens at ${options.socket} already.`;
      throw new PortcullisError("agent.running", message);
    }
    // What is left of one that was killed.
    await unlink(options.socket).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
    const made = new AgentServer(options);
    await new Promise<void>((done, fail) => {
      made.#server.once("error", fail);
      made.#server.listen(options.socket, done);
    });
    return made;
  }

  /** Answers what was asked, and ends. */
  async close(): Promise<void> {
    const closed = new Promise((done) => this.#server.close(done));
    await this.#busy;
    for (const socket of this.#sockets) socket.destroySoon();
    await closed;
    clearTimeout(this.#timer);
    await this.#drop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #hear(socket: Socket): Promise<void> {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    // Whoever asked is gone: nothing is lost but its answer.
    socket.on("error", () => undefined);
    const bytes = await receive(socket, QUESTION_MS);
    const question = bytes && decodeQuestion(bytes);
    if (question === null) {
      socket.destroy();
      return;
    }
    this.#waiting.push({
      question,
      answer: (answer) => {
        send(socket, answer);
        socket.end();
      },
    });
    this.#busy ??= this.#serve();
  }

  async #serve(): Promise<void> {
    clearTimeout(this.#timer);
    while (this.#waiting.length > 0) {
      const group = this.#take();
      try {
        await this.#answer(group);
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        const name = error instanceof Error && "rcName" in error ? error.rcName : null;
        const refusal = encodeRefusal(why, typeof name === "string" ? name : null);
        for (const { answer } of group) answer(refusal);
      }
    }
    this.#busy = null;
    const leftMs = this.#openedMs + KEPT_MS - boottimeMs();
    this.#timer = setTimeout(() => void this.#drop(), Math.max(0, leftMs));
  }

  /** The first that waits, and all whom the same quote can serve. */
  #take(): Waiting[] {
    const [first] = this.#waiting;
    if (first === undefined) return [];
    const key = keyOf(first.question);
    const group =
      key === null
        ? [first]
        : this.#waiting.filter((other) => keyOf(other.question) === key).slice(0, SHARED_MAX);
    this.#waiting = this.#waiting.filter((waiting) => !group.includes(waiting));
    return group;
  }

  async #answer(group: readonly Waiting[]): Promise<void> {
    const [first] = group;
    if (first?.question.kind === "raise") {
      const { counter, value } = first.question;
      first.answer(encodeRaised(await this.#do((agent) => agent.raiseCounter(counter, value))));
      return;
    }
    const asked = group.flatMap(({ question }) => (question.kind === "quote" ? [question] : []));
    const requests = asked.map(({ request }) => request);
    const { quoted, counter } = await this.#do((agent) => quoteOnce(agent, asked, requests));
    const { attest, signature, values } = quoted;
    for (const [i, { answer }] of group.entries()) {
      answer(encodeQuoted({ attest, signature, values, counter, ...auditPath(requests, i) }));
    }
  }

  /** Does it with the TPM that is open; once more with one opened anew, where that fails. */
  async #do<T>(work: (agent: Agent) => Promise<T>): Promise<T> {
    if (boottimeMs() - this.#openedMs > KEPT_MS) await this.#drop();
    const kept = this.#agent !== null;
    try {
      return await work(await this.#opened());
    } catch (error) {
      await this.#drop();
      if (!kept) throw error;
      return await work(await this.#opened());
    }
  }

  async #opened(): Promise<Agent> {
    if (this.#agent === null) {
      this.#agent = await this.#options.open();
      this.#openedMs = boottimeMs();
    }
    return this.#agent;
  }

  async #drop(): Promise<void> {
    const agent = this.#agent;
    this.#agent = null;
    await agent?.close().catch(this.#options.onFailure);
  }
}

/** Equal where one quote serves both; null for what no quote serves. */
function keyOf(question: Question): string | null {
  if (question.kind !== "quote") return null;
  const same = { ...question, request: new Uint8Array(32) };
  return Buffer.from(encodeQuestion(same)).toString("latin1");
}

async function quoteOnce(
  agent: Agent,
  [first]: readonly Shared[],
  requests: readonly Uint8Array[],
) {
  const quoted = await agent.quote(merkleRoot(requests), first?.selection ?? []);
  const place = first?.counter ?? null;
  return { quoted, counter: place && (await agent.counter(place)) };
}
