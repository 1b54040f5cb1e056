/** The machine's side: evidence, and the node's part of enrollment. */
export { Agent, type AgentOptions, firmwareVersion, openAgent } from "./agent.ts";
export { findEndorsementKey } from "./endorsement-key.ts";
export { NodeEnrollment, type NodeEnrollmentOptions } from "./enrollment.ts";
export { readEventLog } from "./event-log.ts";
export { EvidenceError, type QuoteEvidence, quotePcrs } from "./evidence.ts";
export { readImaList } from "./ima.ts";
export { KeyFileError, readAkFile, writeAkFile } from "./key-file.ts";
export { AgentError, type CounterPlace } from "./messages.ts";
export { AgentServer, type AgentServerOptions } from "./server.ts";
