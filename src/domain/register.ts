/**
 * Status indexes: each grant and each node credential gets one, never given twice. A reserved index
 * is an empty file; the object, once signed, takes its place. A crash between the two burns the
 * index and nothing else.
 */
import { LIMITS } from "../limits.ts";
import type { StatusBits } from "../wire/status.ts";
import { DomainError } from "./error.ts";
import { createFile, makeFolder, numbersIn, readBounded, replaceFile } from "./files.ts";
import { ISSUED_EXTENSION, type Layout } from "./layout.ts";

const INDEXES_MAX = LIMITS.statusBytes * 4; // half of the list's bits for each array

/**
 * Reserves the next index, durably. Throws DomainError `domain.input` where the status list can
 * grow no more.
 */
export async function reserveIndex(layout: Layout, bits: StatusBits): Promise<number> {
  await makeFolder(layout[bits]); // a backup holds no empty folders
  const issued = await numbersIn(layout[bits], ISSUED_EXTENSION[bits]);
  let index = (issued.at(-1) ?? -1) + 1;
  while (!(await createFile(layout.issuedFile(bits, index), new Uint8Array()))) index += 1;
  if (index < INDEXES_MAX) return index;
  throw new DomainError("domain.input", `All ${INDEXES_MAX} status indexes of ${bits} are taken.`);
}

/** Keeps what was issued under a reserved index, durably; returns its file. */
export async function keepIssued(
  layout: Layout,
  bits: StatusBits,
  index: number,
  bytes: Uint8Array,
): Promise<string> {
  const file = layout.issuedFile(bits, index);
  await replaceFile(file, bytes);
  return file;
}

/**
 * Keeps what was signed elsewhere under the index that was reserved for it here, durably. Throws
 * DomainError `domain.exists` where the index is not a reserved one, or taken: two objects of one
 * index could only be revoked together.
 */
export async function keepReserved(
  layout: Layout,
  bits: StatusBits,
  index: number,
  bytes: Uint8Array,
): Promise<string> {
  const file = layout.issuedFile(bits, index);
  const there = await readBounded(file, LIMITS.chainBytes);
  if (there?.length === 0) return keepIssued(layout, bits, index, bytes);
  const why = there === null ? "was not reserved here" : "bears another already";
  throw new DomainError("domain.exists", `The status index ${index} ${why}: see ${file}.`);
}
