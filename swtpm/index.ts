/** Software TPMs for the demo, the tests and CI. */
export { type Machines, manufacture, preparedMachines } from "./manufacture.ts";
export { reboot, SoftwareTpm, type SoftwareTpmOptions } from "./software-tpm.ts";
