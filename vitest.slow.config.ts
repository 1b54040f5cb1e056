import { defineConfig } from "vitest/config";
import quick from "./vitest.config.ts";

export default defineConfig({
  test: {
    ...quick.test,
    include: ["test/**/*.slow.test.ts"],
    exclude: [],
    testTimeout: 3_600_000,
  },
});
