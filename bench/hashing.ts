/** Hashing, against node:crypto and @noble/hashes. */
import { hash as nativeHash, randomBytes } from "node:crypto";
import { sha256 } from "@noble/hashes/sha2.js";
import type { Core } from "../src/core/index.ts";
import type { Suite } from "./measure.ts";

/** `core.hash` of one message; four lanes are at work inside of batches alone. */
export function hashSuites(core: Core): Suite[] {
  return [145, 65_536].map((bytes) => {
    const message = new Uint8Array(randomBytes(bytes));
    const subjects = [
      { name: "crypto.hash", run: () => void nativeHash("sha256", message, "buffer") },
      { name: "core.hash", run: () => void core.hash("sha256", message) },
      { name: "@noble/hashes", run: () => void sha256(message) },
    ];
    const name = `SHA-256 of ${bytes} bytes`;
    return { name, subjects: subjects.map((subject) => ({ ...subject, operations: 1 })) };
  });
}
