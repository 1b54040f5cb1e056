/** Hashing, against node:crypto and @noble/hashes. */
import { hash as nativeHash, randomBytes } from "node:crypto";
import { sha256 } from "@noble/hashes/sha2.js";
import type { Core } from "../src/core/index.ts";
import { compile, Instance } from "../test/support/assembly.ts";
import type { Subject, Suite } from "./measure.ts";

const DIGEST_BYTES = 32;

/**
 * Four messages in four lanes, as batches of signatures hash them. The core exports no such call:
 * this is its file on its own, with messages copied in and digests copied out each time.
 */
async function inLanes(message: Uint8Array): Promise<Subject> {
  const core = new Instance(await compile("simd", ["assembly/hash/sha256-lanes.ts"]));
  const run = (): void => {
    core.reset();
    const out = core.room(4 * DIGEST_BYTES);
    for (let lane = 0; lane < 4; lane++) {
      core.call("setMessage", lane, core.put(message), message.length);
    }
    core.call("hashFour", out, DIGEST_BYTES);
    core.get(out, 4 * DIGEST_BYTES);
  };
  return { name: "four in lanes, each", operations: 4, run, budget: 2.5 };
}

/** `core.hash` of one message; four lanes are at work inside of batches alone. */
export async function hashSuites(core: Core): Promise<Suite[]> {
  const lanes = await Promise.all(
    [32, 145].map(async (bytes): Promise<Suite> => {
      const message = new Uint8Array(randomBytes(bytes));
      const run = (): void => void nativeHash("sha256", message, "buffer");
      const subjects = [{ name: "crypto.hash", run, operations: 1 }, await inLanes(message)];
      return { name: `SHA-256 in four lanes, ${bytes} bytes`, subjects };
    }),
  );
  const alone = [145, 65_536].map((bytes) => {
    const message = new Uint8Array(randomBytes(bytes));
    const subjects = [
      { name: "crypto.hash", run: () => void nativeHash("sha256", message, "buffer") },
      { name: "core.hash", run: () => void core.hash("sha256", message) },
      { name: "@noble/hashes", run: () => void sha256(message) },
    ];
    const name = `SHA-256 of ${bytes} bytes`;
    return { name, subjects: subjects.map((subject) => ({ ...subject, operations: 1 })) };
  });
  return [...lanes, ...alone];
}
