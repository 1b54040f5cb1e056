import { trapLine as line } from "./abi";
import { Code } from "./generated";

/** Line of the last failed assertion, 0 if none. */
export function trapLine(): u32 {
  return line;
}
export function first(): u32 { return Code.GOVERNANCE_MISSING; }
