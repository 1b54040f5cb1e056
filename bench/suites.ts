/** Every suite, in groups that are made one after the other: fixtures take memory and time. */
import type { Core } from "../src/core/index.ts";
import { appraisalSuites } from "./appraisals.ts";
import { decisionSuites } from "./decisions.ts";
import { hashSuites } from "./hashing.ts";
import { eventLogSuites, imaSuites } from "./logs.ts";
import type { Scale, Suite } from "./measure.ts";
import { processSuites } from "./processes.ts";
import { otherSuites, p256Suites, scalingSuites } from "./signatures.ts";

export interface Group {
  /** With what the names of its suites begin, so that others need not be made. */
  readonly names: readonly string[];
  readonly make: (core: Core, scale: Scale) => Suite[] | Promise<Suite[]>;
}

export const groups: readonly Group[] = [
  { names: ["ECDSA P-256"], make: p256Suites },
  { names: ["ECDSA P-384", "Ed25519", "RSASSA 2048", "RSASSA 3072"], make: otherSuites },
  { names: ["P-256, enrolled keys"], make: scalingSuites },
  { names: ["Decision"], make: decisionSuites },
  { names: ["Quote over"], make: appraisalSuites },
  { names: ["Quote with a boot log"], make: eventLogSuites },
  { names: ["IMA list"], make: imaSuites },
  { names: ["SHA-256"], make: hashSuites },
  { names: ["Whole process"], make: processSuites },
];
