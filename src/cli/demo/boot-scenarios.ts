/** The demo's attested boots: what its policy lists, what it does not, and an update. */
import { nowSeconds } from "../../clock.ts";
import type { Code } from "../../core/index.ts";
import { draftPolicy } from "../../domain/policies.ts";
import { CaseFolder } from "../../log/cases.ts";
import { evidenceOf, tryPolicy } from "../policy-trial.ts";
import { BOOT_POLICY, bootPolicy, COMMAND_LINE } from "./boot.ts";
import type { Scenario } from "./scenario.ts";
import type { Site } from "./site.ts";

/** What `policy test` says of the case recorded last, under a policy with these command lines. */
async function predict(site: Site, commandLines: readonly string[]): Promise<readonly Code[]> {
  const { size } = await site.open().tree();
  const [leaf] = await site.leavesFrom(size - 1);
  if (!leaf?.case) throw new Error("no case was recorded");
  const bytes = await new CaseFolder(site.home.cases).read(leaf.case);
  const request = bootPolicy(commandLines);
  const policy = await draftPolicy(await site.domain(), request, nowSeconds());
  return tryPolicy(site.core, policy, evidenceOf(bytes, "the case")).codes;
}

/** A command line that comes with an update. */
const UPDATED = "root=/dev/vda1 ro quiet mitigations=auto";

/** Throws where a recorded case would not fare so under a policy with these command lines. */
async function foretell(site: Site, lines: readonly string[], code: Code | null): Promise<void> {
  const [first = null] = await predict(site, lines);
  if (first !== code) throw new Error(`\`policy test\` foretells ${first ?? "admitted"}`);
}

export const BOOT_SCENARIOS: readonly Scenario[] = [
  {
    title: "a boot that its policy lists event by event",
    policies: [BOOT_POLICY],
    expected: null,
  },
  {
    title: "a boot loader that the policy does not list",
    policies: [BOOT_POLICY],
    expected: "environment.eventlog-event",
    before: (site) => site.machine.reboot({ loader: "another boot loader" }),
  },
  {
    title: "a command line that the policy does not list",
    policies: [BOOT_POLICY],
    expected: "environment.eventlog-event",
    before: (site) => site.machine.reboot({ commandLine: UPDATED }),
  },
  {
    title: "the same, once a second active policy lists it, as `policy test` foretold",
    policies: [BOOT_POLICY],
    expected: null,
    before: async (site) => {
      await foretell(site, [COMMAND_LINE], "environment.eventlog-event");
      await foretell(site, [COMMAND_LINE, UPDATED], null);
      await site.activateBoot([COMMAND_LINE, UPDATED]);
    },
    after: (site) => site.machine.reboot(),
  },
];
