import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { SEALER } from "../../../src/gate/sealer.ts";
import { PROGRAMS, systemCalls } from "../../../src/gate/system-calls.ts";

/** What the sealer says of a file of more than a block, under a limit of so many blocks. */
function said(blocks: string): string {
  const script = `trap '' XFSZ; ulimit -f ${blocks}; exec "$@" 3</usr/bin/perl`;
  const calls = systemCalls(["memfdCreate", "prctl"]);
  const args = ["-fe", SEALER, "--", ...calls, "1000000000"];
  const { stdout } = spawnSync("sh", ["-c", script, "sh", PROGRAMS.perl, ...args]);
  return stdout.toString();
}

test("where a copy does not fit, what was read of its source is lost: that is no reason to go on", () => {
  expect(said("unlimited")).toMatch(/^sealed \d+ \d+\n$/);
  expect(said("1")).toMatch(/^unwritable File too large\n$/);
});
