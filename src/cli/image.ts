/**
 * The identity of a program as the gate will compute it: its digest, and that of the interpreter
 * that `#!` names.
 */
import { EXEC_BOUNDS } from "../gate/bounds.ts";
import { HEAD_BYTES, parseInterpreter } from "../gate/interpreter.ts";
import { closeAsync, digestOf, type FileKind, headOf, openRegular } from "../gate/stage.ts";
import type { Image } from "../wire/objects.ts";

export interface Program {
  readonly image: Image;
  /** Null where the program is no script. */
  readonly interpreter: Image | null;
}

interface Hashed {
  readonly digest: Uint8Array;
  readonly head: Buffer;
}

async function hashed(path: Buffer, what: string, kind: FileKind): Promise<Hashed> {
  const source = openRegular(path, what, kind);
  try {
    const digest = await digestOf(source, "sha256");
    return { digest: new Uint8Array(digest), head: headOf(source.fd, HEAD_BYTES) };
  } finally {
    await closeAsync(source.fd);
  }
}

const PROGRAM: FileKind = { executable: true, bytesMax: EXEC_BOUNDS.imageBytes };
const INPUT: FileKind = { executable: false, bytesMax: EXEC_BOUNDS.inputBytes };

export function sha256Image(digest: Uint8Array): Image {
  return { kind: "file", algorithm: "sha256", digest };
}

/** Hashes a program and its interpreter. Throws ExecError `exec.file`. */
export async function hashProgram(path: Uint8Array): Promise<Program> {
  const { digest, head } = await hashed(Buffer.from(path), "executable", PROGRAM);
  const script = parseInterpreter(head);
  const interpreter =
    script === null
      ? null
      : sha256Image((await hashed(script.path, "interpreter", PROGRAM)).digest);
  return { image: sha256Image(digest), interpreter };
}

/** SHA-256 of an input file. Throws ExecError `exec.file`. */
export async function hashInput(path: Uint8Array): Promise<Uint8Array> {
  return (await hashed(Buffer.from(path), "input file", INPUT)).digest;
}
