/** The plane from a node's side. */
export { PlaneClient, type PlaneClientOptions } from "./client.ts";
export { ClientError, type ClientErrorCode } from "./error.ts";
