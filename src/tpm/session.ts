/**
 * Sessions (Part 1 §17): authorization by HMAC or policy, and parameter encryption (Part 1 §19). A
 * session object is used by one command at a time; the connection's queue sees to that.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  randomBytes,
  timingSafeEqual,
} from "node:crypto";
import { concat, type Reader, sized, u8, u32 } from "./structures/bytes.ts";
import { TPM_ALG, TPM_RH, TPM_SE, TPMA_SESSION } from "./structures/constants.ts";
import { TpmTransportError } from "./structures/errors.ts";
import { kdfA } from "./structures/kdf.ts";

/**
 * All our sessions hash with SHA-256 and encrypt with AES-128 in CFB mode, which every PC Client
 * TPM has.
 */
export const SESSION_HASH = TPM_ALG.SHA256;
export const SESSION_KEY_BITS = 128;
const NONCE_BYTES = 32;
const EMPTY = new Uint8Array();

export function newNonce(): Uint8Array {
  return new Uint8Array(randomBytes(NONCE_BYTES));
}

function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  return createHash("sha256")
    .update(concat(...parts))
    .digest();
}

/** A started session, as TPM2_StartAuthSession left it. */
export class Session implements AsyncDisposable {
  readonly handle: number;
  readonly type: "hmac" | "policy";
  readonly #key: Uint8Array;
  readonly #flush: (handle: number) => Promise<void>;
  #nonceTpm: Uint8Array;
  #nonceCaller: Uint8Array = EMPTY;
  #flushed = false;

  constructor(
    handle: number,
    type: "hmac" | "policy",
    salt: Uint8Array,
    nonces: { readonly caller: Uint8Array; readonly tpm: Uint8Array },
    flush: (handle: number) => Promise<void>,
  ) {
    this.handle = handle;
    this.type = type;
    this.#nonceTpm = nonces.tpm;
    this.#flush = flush;
    // Part 1 §17.6.10: without salt and bind the session key is empty.
    const { tpm, caller } = nonces;
    this.#key = salt.length === 0 ? EMPTY : kdfA(SESSION_HASH, salt, "ATH", tpm, caller, 256);
  }

  get salted(): boolean {
    return this.#key.length > 0;
  }

  get nonceTpm(): Uint8Array {
    return this.#nonceTpm;
  }

  renewNonce(): void {
    this.#nonceCaller = newNonce();
  }

  get nonceCaller(): Uint8Array {
    return this.#nonceCaller;
  }

  acceptNonce(nonceTpm: Uint8Array): void {
    this.#nonceTpm = nonceTpm;
  }

  /**
   * Part 1 §17.6.5. A policy session without PolicyAuthValue leaves the authorization value out,
   * and sends an empty HMAC where its key is empty.
   */
  hmac(
    hash: Uint8Array,
    newer: Uint8Array,
    older: Uint8Array,
    rest: Uint8Array,
    auth: Uint8Array,
  ): Uint8Array {
    const key = this.type === "policy" ? this.#key : concat(this.#key, auth);
    if (this.type === "policy" && key.length === 0) return EMPTY;
    return createHmac("sha256", key)
      .update(concat(hash, newer, older, rest))
      .digest();
  }

  /** AES-128-CFB over one parameter (Part 1 §19.3); key and IV change with the nonces. */
  crypt(data: Uint8Array, direction: "command" | "response", auth: Uint8Array): Uint8Array {
    const command = direction === "command";
    const [newer, older] = command
      ? [this.#nonceCaller, this.#nonceTpm]
      : [this.#nonceTpm, this.#nonceCaller];
    const bits = SESSION_KEY_BITS + 128;
    const derived = kdfA(SESSION_HASH, concat(this.#key, auth), "CFB", newer, older, bits);
    const [key, iv] = [
      derived.subarray(0, SESSION_KEY_BITS / 8),
      derived.subarray(SESSION_KEY_BITS / 8),
    ];
    const cipher = (command ? createCipheriv : createDecipheriv)("aes-128-cfb", key, iv);
    return concat(cipher.update(data), cipher.final());
  }

  /** Frees the session in the TPM. Idempotent. */
  async flush(): Promise<void> {
    if (this.#flushed) return;
    this.#flushed = true;
    await this.#flush(this.handle);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.flush();
  }
}

/** How one handle of a command is authorized, or which further session takes part. */
export interface Authorization {
  /** Null: a password authorization. */
  readonly session: Session | null;
  /** The authorization value of the handle; empty where it has none. */
  readonly value?: Uint8Array;
  /** The first parameter of the command is encrypted by this session. */
  readonly decrypt?: boolean;
  /** The first parameter of the response is encrypted by this session. */
  readonly encrypt?: boolean;
}

/**
 * The authorization of a hierarchy, NV index or key whose value is the given one, by default empty.
 */
export function password(value: Uint8Array = EMPTY): Authorization {
  return { session: null, value };
}

function attributes({ decrypt, encrypt }: Authorization): number {
  const crypted = (decrypt ? TPMA_SESSION.decrypt : 0) | (encrypt ? TPMA_SESSION.encrypt : 0);
  return TPMA_SESSION.continueSession | crypted;
}

/**
 * Part 1 §17.6.5: the first session's command HMAC also covers the nonces of the sessions that
 * encrypt.
 */
function foreignNonces(all: readonly Authorization[], first: Session): Uint8Array {
  const decrypter = all.find((one) => one.decrypt)?.session;
  const encrypter = all.find((one) => one.encrypt)?.session;
  const decryptNonce = decrypter && decrypter !== first ? decrypter.nonceTpm : EMPTY;
  const both = encrypter === first || encrypter === decrypter;
  return concat(decryptNonce, encrypter && !both ? encrypter.nonceTpm : EMPTY);
}

/** A command's parts before its sessions are added. */
interface CommandParts {
  readonly code: number;
  readonly names: readonly Uint8Array[];
  /** The first `authorized` handles need authorization. */
  readonly parameters: Uint8Array;
  readonly authorizations: readonly Authorization[];
}

/**
 * Encrypts the first parameter where asked, and makes the authorization area. Renews every
 * session's nonce.
 */
export function authorize(parts: CommandParts): { area: Uint8Array; parameters: Uint8Array } {
  const all = parts.authorizations;
  for (const { session } of all) session?.renewNonce();
  const decrypter = all.find((one) => one.decrypt);
  let parameters = parts.parameters;
  if (decrypter?.session) {
    const end = 2 + new DataView(parameters.buffer, parameters.byteOffset).getUint16(0);
    const secret = decrypter.session.crypt(
      parameters.subarray(2, end),
      "command",
      decrypter.value ?? EMPTY,
    );
    parameters = concat(sized(secret), parameters.subarray(end));
  }
  const cpHash = sha256(u32(parts.code), ...parts.names, parameters);
  const area = all.map((one, index) => {
    const { session, value = EMPTY } = one;
    if (!session)
      return concat(
        u32(TPM_RH.RS_PW),
        sized(EMPTY),
        u8(TPMA_SESSION.continueSession),
        sized(value),
      );
    const foreign = index === 0 ? foreignNonces(all, session) : EMPTY;
    const rest = concat(foreign, u8(attributes(one)));
    const mac = session.hmac(cpHash, session.nonceCaller, session.nonceTpm, rest, value);
    return concat(u32(session.handle), sized(session.nonceCaller), u8(attributes(one)), sized(mac));
  });
  return { area: concat(...area), parameters };
}

/**
 * Checks the sessions of a successful response and decrypts its first parameter where asked.
 * @throws TpmTransportError where an HMAC is wrong: someone between us and the TPM changed the
 *   response.
 */
export function checkResponse(
  code: number,
  all: readonly Authorization[],
  parameters: Uint8Array,
  area: Reader,
): Uint8Array {
  const rpHash = sha256(u32(0), u32(code), parameters);
  for (const { session, value = EMPTY } of all) {
    const nonce = area.sized(64);
    const flags = area.u8();
    const mac = area.sized(64);
    if (!session) continue;
    session.acceptNonce(nonce);
    const expected = session.hmac(rpHash, nonce, session.nonceCaller, u8(flags), value);
    if (expected.length !== mac.length || !timingSafeEqual(expected, mac)) {
      throw new TpmTransportError(
        "The TPM's response is not authentic: its session HMAC is wrong.",
      );
    }
  }
  area.end();
  const encrypter = all.find((one) => one.encrypt);
  if (!encrypter?.session) return parameters;
  const size =
    parameters.length < 2 ? 0 : new DataView(parameters.buffer, parameters.byteOffset).getUint16(0);
  if (2 + size > parameters.length) {
    throw new TpmTransportError("The TPM's response is too short for its encrypted parameter.");
  }
  const plain = encrypter.session.crypt(
    parameters.subarray(2, 2 + size),
    "response",
    encrypter.value ?? EMPTY,
  );
  return concat(sized(plain), parameters.subarray(2 + size));
}

export const SESSION_TYPES = { hmac: TPM_SE.HMAC, policy: TPM_SE.POLICY } as const;
