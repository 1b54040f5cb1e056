/** The control plane's rules, without HTTP. */
export { type EnrollmentParts, Enrollments, type NodeRegister } from "./enrollment.ts";
export { PlaneError, type PlaneErrorCode } from "./error.ts";
export type { Governance, GovernanceChange, Published, RegisteredNode } from "./governance.ts";
export { Nonces } from "./nonces.ts";
export { ALLOWED, Observations, type Observed } from "./observations.ts";
export { type Judge, type Opinion, Plane, type PlaneParts } from "./plane.ts";
export { type NodeView, PlaneService, type ServiceParts, type StateView } from "./service.ts";
export {
  makeToken,
  mayAct,
  ROLES,
  type Role,
  type TokenRecord,
  type TokenSource,
  verifyToken,
} from "./tokens.ts";
