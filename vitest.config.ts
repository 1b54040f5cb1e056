import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

// Workers, and the hundreds of processes that tests start: what Node makes of the sources serves all.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(
  new URL("node_modules/.cache/node", import.meta.url),
);

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/**/*.slow.test.ts"],
    pool: "forks",
    // Two cores, and one more, as many a test waits for a process.
    maxWorkers: 3,
    // For what hangs; a machine that is busy otherwise may be ten times as slow as an idle one.
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
