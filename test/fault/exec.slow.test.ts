/** The same as in exec.test.ts, at many more moments. */
import { describe, test } from "vitest";
import { everyone, killAtMoments } from "./clinging.ts";

describe.each(everyone)("when the gate of $name is killed", (user) => {
  test("at eighty moments from start to job, no process is left", () => killAtMoments(user, 80));
});
