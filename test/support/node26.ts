/** Node 26, which `scripts/setup --tests` installs under a prefix of its own. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Engine, nodeEngine } from "./engine.ts";

const path = join(
  dirname(fileURLToPath(import.meta.url)),
  "../../scripts/node26/node_modules/.bin/node",
);

/** Where its binary is. @throws where it was not installed. */
export function node26(): string {
  if (!existsSync(path)) {
    throw new Error("Node 26 is not installed: `sh scripts/setup --tests` installs it.");
  }
  return path;
}

/** @throws where it was not installed. */
export function openNode26(): Promise<Engine> {
  return nodeEngine(node26());
}
