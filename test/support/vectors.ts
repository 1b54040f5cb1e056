import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe } from "vitest";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");

/**
 * The folder of third-party test vectors: $PORTCULLIS_VECTORS, else ../shared/vectors beside the
 * project; null where neither exists. They are not part of the repository.
 */
export function vectorsDir(): string | null {
  const dir = process.env.PORTCULLIS_VECTORS ?? join(root, "../shared/vectors");
  return existsSync(dir) ? dir : null;
}

/**
 * A describe() over the vectors in one folder, which is skipped, saying why, where they are absent.
 */
export function describeVectors(name: string, body: (dir: string) => void): void {
  const dir = vectorsDir();
  if (dir !== null) describe(name, () => body(dir));
  else describe.skip(`${name}: skipped, no vectors (set PORTCULLIS_VECTORS)`, () => undefined);
}
