/**
 * Asks the agent that runs beside this program, if one does (server.ts). Loads nothing of the TPM's
 * library: that is what the agent is for.
 */
import { createConnection, type Socket } from "node:net";
import {
  decodeQuoted,
  decodeRaised,
  encodeQuestion,
  noAnswer,
  type Question,
  type Quoted,
  receive,
  send,
} from "./messages.ts";

type QuoteQuestion = Extract<Question, { readonly kind: "quote" }>;
type RaiseQuestion = Extract<Question, { readonly kind: "raise" }>;

/** Longer than any gate waits for evidence. */
const ANSWER_MS = 10_000;
/** Nobody made the socket, or whoever did is gone. */
const ABSENT = ["ENOENT", "ECONNREFUSED"];

/** A quote that serves this request; null where no agent runs. @throws AgentError */
export async function askQuote(path: string, question: QuoteQuestion): Promise<Quoted | null> {
  const answer = await ask(path, question);
  return answer && decodeQuoted(answer);
}

/** What the counter holds afterwards; null where no agent runs. @throws AgentError */
export async function askRaise(path: string, question: RaiseQuestion): Promise<bigint | null> {
  const answer = await ask(path, question);
  return answer && decodeRaised(answer);
}

async function ask(path: string, question: Question): Promise<Uint8Array | null> {
  const socket = await connect(path);
  if (socket === null) return null;
  // What breaks the connection ends it, and with it the answer.
  socket.on("error", () => undefined);
  send(socket, encodeQuestion(question));
  const answer = await receive(socket, ANSWER_MS);
  socket.destroy();
  if (answer === null) throw noAnswer();
  return answer;
}

/** sockaddr_un.sun_path holds 108 bytes with the terminating zero: unix(7). */
const PATH_BYTES_MAX = 107;

/** Whether a socket may have this address. */
export const fitsSocket = (path: string): boolean => Buffer.byteLength(path) <= PATH_BYTES_MAX;

/** Null where nobody listens, or can. */
export async function connect(path: string): Promise<Socket | null> {
  if (!fitsSocket(path)) return null;
  return new Promise((done, fail) => {
    const socket = createConnection(path);
    socket.once("connect", () => {
      socket.removeAllListeners("error");
      done(socket);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      if (ABSENT.includes(error.code ?? "")) done(null);
      else fail(error);
    });
  });
}
