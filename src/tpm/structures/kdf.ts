/**
 * Key derivation (Part 1 §11.4.10) and secret sharing with a key in a TPM (Part 1 Annex B.10,
 * C.6.1). Pure.
 */
import {
  constants,
  createECDH,
  createHash,
  createHmac,
  publicEncrypt,
  randomBytes,
} from "node:crypto";
import { concat, leftPad, sized, u32 } from "./bytes.ts";
import { type HashInfo, hashById, TPM_ALG } from "./constants.ts";
import { TpmFormatError } from "./errors.ts";
import { curveOf, type TPMT_PUBLIC, toKeyObject } from "./public.ts";

/** Labels are C strings and their terminating zero is hashed (Part 1 §11.4.10.2). */
const label = (text: string): Uint8Array => new TextEncoder().encode(`${text}\0`);

function hashOf(id: number): HashInfo {
  const hash = hashById(id);
  if (!hash) throw new TpmFormatError(`Hash 0x${id.toString(16)} is not supported.`);
  return hash;
}

/** KDFa: SP 800-108 in counter mode with HMAC (Part 1 §11.4.10.2). `bits` is a multiple of 8. */
export function kdfA(
  hash: number,
  key: Uint8Array,
  use: string,
  contextU: Uint8Array,
  contextV: Uint8Array,
  bits: number,
): Uint8Array {
  const { name, bytes } = hashOf(hash);
  const blocks: Uint8Array[] = [];
  for (let counter = 1; (counter - 1) * bytes * 8 < bits; counter++) {
    const mac = createHmac(name, key);
    for (const part of [u32(counter), label(use), contextU, contextV, u32(bits)]) mac.update(part);
    blocks.push(mac.digest());
  }
  return concat(...blocks).slice(0, bits / 8);
}

/** KDFe: SP 800-56A single-step with a hash (Part 1 §11.4.10.3). `bits` is a multiple of 8. */
export function kdfE(
  hash: number,
  z: Uint8Array,
  use: string,
  partyU: Uint8Array,
  partyV: Uint8Array,
  bits: number,
): Uint8Array {
  const { name, bytes } = hashOf(hash);
  const blocks: Uint8Array[] = [];
  for (let counter = 1; (counter - 1) * bytes * 8 < bits; counter++) {
    const digest = createHash(name);
    for (const part of [u32(counter), z, label(use), partyU, partyV]) digest.update(part);
    blocks.push(digest.digest());
  }
  return concat(...blocks).slice(0, bits / 8);
}

/**
 * A secret that only the holder of `key` can recover, and its encrypted form
 * (TPM2B_ENCRYPTED_SECRET, no size).
 */
export interface SharedSecret {
  readonly seed: Uint8Array;
  readonly encrypted: Uint8Array;
}

/**
 * Shares a fresh secret with the decryption key `key`: as salt of a session ("SECRET") or seed of a
 * credential ("IDENTITY"). RSA: OAEP with the key's nameAlg (Annex B.4, B.10). ECC: one-pass ECDH
 * and KDFe (Annex C.6.1).
 * @throws TpmFormatError where the key is unusable.
 */
export function shareSecret(key: TPMT_PUBLIC, use: "SECRET" | "IDENTITY"): SharedSecret {
  const hash = hashOf(key.nameAlg);
  if (key.type === TPM_ALG.RSA) {
    const seed = new Uint8Array(randomBytes(hash.bytes));
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    const options = { key: toKeyObject(key), padding, oaepHash: hash.name, oaepLabel: label(use) };
    return { seed, encrypted: new Uint8Array(publicEncrypt(options, seed)) };
  }
  const curve = curveOf(key.curveID);
  const ephemeral = createECDH(curve.openssl);
  const point = new Uint8Array(ephemeral.generateKeys());
  const [x, y] = [point.slice(1, 1 + curve.bytes), point.slice(1 + curve.bytes)];
  const [keyX, keyY] = [leftPad(key.x, curve.bytes), leftPad(key.y, curve.bytes)];
  const z = leftPad(shared(ephemeral, concat(Uint8Array.of(4), keyX, keyY)), curve.bytes);
  const seed = kdfE(key.nameAlg, z, use, x, keyX, hash.bytes * 8);
  return { seed, encrypted: concat(sized(x), sized(y)) };
}

/** OpenSSL refuses a point that is not on the curve. */
function shared(ephemeral: ReturnType<typeof createECDH>, point: Uint8Array): Uint8Array {
  try {
    return ephemeral.computeSecret(point);
  } catch (cause) {
    throw new TpmFormatError("The public area holds no point of its curve.", { cause });
  }
}
