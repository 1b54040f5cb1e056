import { PortcullisError } from "../errors.ts";

/** Why the plane did not come to a decision; nothing was claimed, unless the code says so. */
export type PlaneErrorCode =
  | "plane.evidence" // what was sent is no evidence of docs/wire-format.md
  | "plane.busy" // more decisions are under way than the plane takes
  | "plane.unready" // its state, its governance or its key cannot be used
  | "plane.unwritten" // the decision could not be made durable; perhaps it was
  | "plane.enrollment"; // that enrollment is unknown, was answered, or has timed out

export class PlaneError extends PortcullisError {
  declare readonly code: PlaneErrorCode;

  constructor(code: PlaneErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(code, message, options);
  }
}
