/**
 * What can go wrong between us and a TPM: it refuses (TpmError), it cannot be reached
 * (TpmTransportError), or what came back is not what Part 2 says (TpmFormatError).
 */
import { PortcullisError } from "../../errors.ts";

/**
 * The connection to the TPM could not be made, broke, or timed out. Nothing is known about the last
 * command.
 */
export class TpmTransportError extends PortcullisError {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super("tpm.transport", message, options);
  }
}

/** Bytes that do not follow Part 2: truncated, oversized, trailing, or of an unknown kind. */
export class TpmFormatError extends PortcullisError {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super("tpm.format", message, options);
  }
}

type Names = Readonly<Record<number, readonly [name: string, sentence: string]>>;

/** Format-one codes, Part 2 §6.6.3 (RC_FMT1). */
const FORMAT_ONE: Names = {
  1: ["TPM_RC_ASYMMETRIC", "the asymmetric algorithm is not supported or not correct"],
  2: ["TPM_RC_ATTRIBUTES", "the attributes are inconsistent"],
  3: ["TPM_RC_HASH", "the hash algorithm is not supported or not appropriate"],
  4: ["TPM_RC_VALUE", "the value is out of range or not correct for the context"],
  5: ["TPM_RC_HIERARCHY", "the hierarchy is disabled or not correct for the use"],
  7: ["TPM_RC_KEY_SIZE", "the key size is not supported"],
  8: ["TPM_RC_MGF", "the mask generation function is not supported"],
  9: ["TPM_RC_MODE", "the mode of operation is not supported"],
  10: ["TPM_RC_TYPE", "the type is not appropriate for the use"],
  11: ["TPM_RC_HANDLE", "the handle is not correct for the use"],
  12: ["TPM_RC_KDF", "the key derivation function is not supported or not appropriate"],
  13: ["TPM_RC_RANGE", "the value is out of the allowed range"],
  14: [
    "TPM_RC_AUTH_FAIL",
    "the authorization failed and counted towards the dictionary-attack lockout",
  ],
  15: ["TPM_RC_NONCE", "the nonce size or value is not correct"],
  16: ["TPM_RC_PP", "the authorization needs physical presence"],
  18: ["TPM_RC_SCHEME", "the scheme is not supported or does not match the key"],
  21: ["TPM_RC_SIZE", "the structure has the wrong size"],
  22: ["TPM_RC_SYMMETRIC", "the symmetric algorithm or key size is not supported"],
  23: ["TPM_RC_TAG", "the structure tag is not correct"],
  24: ["TPM_RC_SELECTOR", "the union selector is not correct"],
  26: ["TPM_RC_INSUFFICIENT", "the buffer holds fewer bytes than the value needs"],
  27: ["TPM_RC_SIGNATURE", "the signature is not valid"],
  28: ["TPM_RC_KEY", "the key fields are not compatible with the use"],
  29: ["TPM_RC_POLICY_FAIL", "a policy check failed"],
  31: ["TPM_RC_INTEGRITY", "the integrity check failed: the bytes were changed, or made elsewhere"],
  32: ["TPM_RC_TICKET", "the ticket is not valid"],
  33: ["TPM_RC_RESERVED_BITS", "reserved bits are set"],
  34: ["TPM_RC_BAD_AUTH", "the authorization value is wrong"],
  35: ["TPM_RC_EXPIRED", "the policy has expired"],
  36: ["TPM_RC_POLICY_CC", "the policy does not allow this command"],
  37: ["TPM_RC_BINDING", "the public and sensitive parts do not belong together"],
  38: ["TPM_RC_CURVE", "the curve is not supported"],
  39: ["TPM_RC_ECC_POINT", "the point is not on the curve"],
};

/** Format-zero errors, Part 2 §6.6.3 (RC_VER1). */
const FORMAT_ZERO: Names = {
  0: ["TPM_RC_INITIALIZE", "the TPM is not initialized by TPM2_Startup, or already is"],
  1: ["TPM_RC_FAILURE", "the TPM is in failure mode; it must be reset"],
  3: ["TPM_RC_SEQUENCE", "the sequence handle is used improperly"],
  11: ["TPM_RC_PRIVATE", "not currently used"],
  25: ["TPM_RC_HMAC", "not currently used"],
  32: ["TPM_RC_DISABLED", "the command is disabled"],
  33: ["TPM_RC_EXCLUSIVE", "the command needs an exclusive audit session"],
  36: ["TPM_RC_AUTH_TYPE", "the authorization handle is not correct for the command"],
  37: ["TPM_RC_AUTH_MISSING", "the command needs an authorization session"],
  38: ["TPM_RC_POLICY", "the policy failed or its PCRs changed"],
  39: ["TPM_RC_PCR", "the PCR check failed"],
  40: ["TPM_RC_PCR_CHANGED", "PCRs changed since they were checked"],
  45: ["TPM_RC_UPGRADE", "the TPM is in field upgrade mode"],
  46: ["TPM_RC_TOO_MANY_CONTEXTS", "the context counter is exhausted"],
  47: ["TPM_RC_AUTH_UNAVAILABLE", "no authorization value or policy is available"],
  48: ["TPM_RC_REBOOT", "the TPM needs a restart"],
  49: ["TPM_RC_UNBALANCED", "the hash and symmetric key strengths are unbalanced"],
  66: ["TPM_RC_COMMAND_SIZE", "the command's size does not match its bytes"],
  67: ["TPM_RC_COMMAND_CODE", "the TPM does not implement this command"],
  68: ["TPM_RC_AUTHSIZE", "the authorization area has the wrong size"],
  69: ["TPM_RC_AUTH_CONTEXT", "this command takes no session"],
  70: ["TPM_RC_NV_RANGE", "the offset and size exceed the NV index"],
  71: ["TPM_RC_NV_SIZE", "the NV size is larger than the TPM allows"],
  72: ["TPM_RC_NV_LOCKED", "the NV index is locked"],
  73: ["TPM_RC_NV_AUTHORIZATION", "the NV index may not be accessed this way"],
  74: ["TPM_RC_NV_UNINITIALIZED", "the NV index has not been written yet"],
  75: ["TPM_RC_NV_SPACE", "the TPM's NV memory is full"],
  76: ["TPM_RC_NV_DEFINED", "the NV index or persistent object already exists"],
  80: ["TPM_RC_BAD_CONTEXT", "the saved context is not valid"],
  81: ["TPM_RC_CPHASH", "the cpHash is already set or not correct"],
  82: ["TPM_RC_PARENT", "the parent handle is not valid for the object"],
  83: ["TPM_RC_NEEDS_TEST", "a function needs testing first"],
  84: ["TPM_RC_NO_RESULT", "an internal function failed without a result"],
  85: ["TPM_RC_SENSITIVE", "the sensitive area did not unmarshal after decryption"],
};

/** Warnings, Part 2 §6.6.3 (RC_WARN): the command was not executed. */
const WARNINGS: Names = {
  1: ["TPM_RC_CONTEXT_GAP", "the gap between saved session contexts is too large"],
  2: ["TPM_RC_OBJECT_MEMORY", "no object slot is free; flush a transient object"],
  3: ["TPM_RC_SESSION_MEMORY", "no session slot is free; flush a session"],
  4: ["TPM_RC_MEMORY", "the TPM is out of memory"],
  5: ["TPM_RC_SESSION_HANDLES", "no session handle is free; flush a session"],
  6: ["TPM_RC_OBJECT_HANDLES", "no object handle is free"],
  7: ["TPM_RC_LOCALITY", "the locality is not allowed"],
  8: ["TPM_RC_YIELDED", "the TPM suspended the command; it must be sent again"],
  9: ["TPM_RC_CANCELED", "the command was cancelled"],
  10: ["TPM_RC_TESTING", "the TPM is still testing itself; the command must be sent again"],
  32: ["TPM_RC_NV_RATE", "NV memory is written too often; wait"],
  33: ["TPM_RC_LOCKOUT", "the dictionary-attack lockout is active; wait or clear it"],
  34: ["TPM_RC_RETRY", "the TPM was busy; the command must be sent again"],
  35: ["TPM_RC_NV_UNAVAILABLE", "NV memory is not available now"],
};

/**
 * TPM_RC_REFERENCE_H0 to H6 and S0 to S6: the handle or session is not in the TPM, after a reset
 * for example.
 */
function reference(code: number): Names[number] | undefined {
  const number = code & 7;
  if (number === 7 || (code & 0x70) !== 0x10) return undefined;
  const [kind, letter] = code & 8 ? ["session", "S"] : ["handle", "H"];
  return [`TPM_RC_REFERENCE_${letter}${number}`, `${kind} ${number + 1} is not loaded in the TPM`];
}

/** Layers above the TPM that answer in its place: tpm2-tss' bits 16 to 23 of a response code. */
const LAYERS: Readonly<Record<number, string>> = {
  6: "FAPI",
  7: "ESAPI",
  8: "SAPI",
  9: "marshalling library",
  10: "TCTI",
  11: "resource manager",
  12: "resource manager's TPM layer",
};

/** What a TPM_RC says, taken apart (Part 2 §6.6.2). */
export interface DecodedRc {
  readonly rc: number;
  /** TPM_RC_VALUE and so on, without the position. */
  readonly name: string;
  readonly sentence: string;
  readonly position: {
    readonly kind: "handle" | "parameter" | "session";
    readonly number: number;
  } | null;
  readonly warning: boolean;
}

const UNKNOWN = ["TPM_RC_UNKNOWN", "a code that Part 2 does not name"] as const;

function nameOf(code: number, warning: boolean): readonly [string, string] {
  if (!warning) return FORMAT_ZERO[code] ?? UNKNOWN;
  return WARNINGS[code] ?? reference(code) ?? UNKNOWN;
}

function positionOf(rc: number): DecodedRc["position"] {
  const number = (rc >>> 8) & 0xf;
  if (rc & 0x40) return { kind: "parameter", number };
  if (number === 0) return null;
  return number & 8 ? { kind: "session", number: number & 7 } : { kind: "handle", number };
}

/** Takes a response code apart; never throws. */
export function decodeRc(rc: number): DecodedRc {
  const plain = { rc, position: null, warning: false } as const;
  const layer = rc >>> 16;
  if (layer !== 0) {
    const who = LAYERS[layer] ?? `software layer ${layer}`;
    return { ...plain, name: "TSS2_RC", sentence: `the ${who} refused, not the TPM` };
  }
  if (rc & 0x80) {
    const [name, sentence] = FORMAT_ONE[rc & 0x3f] ?? UNKNOWN;
    return { ...plain, name, sentence, position: positionOf(rc) };
  }
  if (rc === 0x1e) {
    return { ...plain, name: "TPM_RC_BAD_TAG", sentence: "this is a TPM 1.2, or the tag is wrong" };
  }
  if ((rc & 0x100) === 0) return { ...plain, name: UNKNOWN[0], sentence: UNKNOWN[1] };
  if (rc & 0x400) {
    return { ...plain, name: "TPM_RC_VENDOR", sentence: "a code that only the TPM's vendor knows" };
  }
  const warning = (rc & 0x800) !== 0;
  const [name, sentence] = nameOf(rc & 0x7f, warning);
  return { rc, name, sentence, position: null, warning };
}

/** The TPM refused a command. */
export class TpmError extends PortcullisError {
  readonly rc: number;
  /** For example TPM_RC_VALUE. */
  readonly rcName: string;
  /** For example TPM2_Quote. */
  readonly command: string;
  /** Which handle, parameter or session of the command the TPM points at, counted from 1. */
  readonly position: DecodedRc["position"];
  readonly warning: boolean;

  constructor(command: string, rc: number, note = "") {
    const decoded = decodeRc(rc);
    const what = `${decoded.name} 0x${rc.toString(16)}`;
    const where = decoded.position ? ` (${decoded.position.kind} ${decoded.position.number})` : "";
    super("tpm.refused", `${command} failed with ${what}${where}: ${decoded.sentence}${note}.`);
    this.rc = rc;
    this.rcName = decoded.name;
    this.command = command;
    this.position = decoded.position;
    this.warning = decoded.warning;
  }
}
