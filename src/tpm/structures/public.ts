/**
 * Public areas and Names (Part 2 §12.2, Part 1 §16). RSA and ECC keys only: this project creates
 * and judges no other kind of object. Pure: nothing here needs a TPM.
 */
import { createHash, createPublicKey, type KeyObject } from "node:crypto";
import { concat, leftPad, parseAll, type Reader, sized, u16, u32 } from "./bytes.ts";
import { hashById, TPM_ALG, TPM_ECC } from "./constants.ts";
import { TpmFormatError } from "./errors.ts";

/** TPMT_SYM_DEF_OBJECT; null is TPM_ALG_NULL. */
export type Symmetric = {
  readonly algorithm: number;
  readonly keyBits: number;
  readonly mode: number;
} | null;
/** TPMT_RSA_SCHEME, TPMT_ECC_SCHEME or TPMT_KDF_SCHEME; null is TPM_ALG_NULL. */
export type Scheme = {
  readonly scheme: number;
  /** Null for RSAES, which has none. */
  readonly hash: number | null;
  /** ECDAA only. */
  readonly count?: number;
} | null;

interface Common {
  readonly nameAlg: number;
  readonly objectAttributes: number;
  readonly authPolicy: Uint8Array;
  readonly symmetric: Symmetric;
  readonly scheme: Scheme;
}

/** An RSA key; exponent 0 stands for 65537, n is big-endian and empty in a template. */
export interface RsaPublic extends Common {
  readonly type: typeof TPM_ALG.RSA;
  readonly keyBits: number;
  readonly exponent: number;
  readonly n: Uint8Array;
}

/** An ECC key; x and y are as the TPM wrote them, so they may lack leading zeros. */
export interface EccPublic extends Common {
  readonly type: typeof TPM_ALG.ECC;
  readonly curveID: number;
  readonly kdf: Scheme;
  readonly x: Uint8Array;
  readonly y: Uint8Array;
}

export type TPMT_PUBLIC = RsaPublic | EccPublic;

interface Curve {
  readonly jwk: "P-256" | "P-384" | "P-521";
  readonly openssl: string;
  readonly bytes: number;
}

const CURVES: Readonly<Record<number, Curve>> = {
  [TPM_ECC.NIST_P256]: { jwk: "P-256", openssl: "prime256v1", bytes: 32 },
  [TPM_ECC.NIST_P384]: { jwk: "P-384", openssl: "secp384r1", bytes: 48 },
  [TPM_ECC.NIST_P521]: { jwk: "P-521", openssl: "secp521r1", bytes: 66 },
};

/** @throws TpmFormatError for a curve that this project does not know. */
export function curveOf(id: number): Curve {
  const curve = CURVES[id];
  if (!curve) throw new TpmFormatError(`ECC curve 0x${id.toString(16)} is not supported.`);
  return curve;
}

function readSymmetric(reader: Reader): Symmetric {
  const algorithm = reader.u16();
  if (algorithm === TPM_ALG.NULL) return null;
  return { algorithm, keyBits: reader.u16(), mode: reader.u16() };
}

const HASHED_SCHEMES: readonly number[] = [
  TPM_ALG.RSASSA,
  TPM_ALG.RSAPSS,
  TPM_ALG.OAEP,
  TPM_ALG.ECDSA,
];

function readScheme(reader: Reader): Scheme {
  const scheme = reader.u16();
  if (scheme === TPM_ALG.NULL) return null;
  if (scheme === TPM_ALG.RSAES) return { scheme, hash: null };
  if (scheme === TPM_ALG.ECDAA) return { scheme, hash: reader.u16(), count: reader.u16() };
  if (HASHED_SCHEMES.includes(scheme)) return { scheme, hash: reader.u16() };
  throw reader.fail(`scheme 0x${scheme.toString(16)} is not supported`);
}

/** TPMT_KDF_SCHEME: an algorithm, then its hash. */
function readKdf(reader: Reader): Scheme {
  const scheme = reader.u16();
  return scheme === TPM_ALG.NULL ? null : { scheme, hash: reader.u16() };
}

/** Reads a TPMT_PUBLIC. */
function readPublicArea(reader: Reader): TPMT_PUBLIC {
  const type = reader.u16();
  const common = {
    nameAlg: reader.u16(),
    objectAttributes: reader.u32(),
    authPolicy: reader.sized(64),
  };
  if (type === TPM_ALG.RSA) {
    const parameters = { symmetric: readSymmetric(reader), scheme: readScheme(reader) };
    const [keyBits, exponent] = [reader.u16(), reader.u32()];
    return { type, ...common, ...parameters, keyBits, exponent, n: reader.sized(512) };
  }
  if (type === TPM_ALG.ECC) {
    const parameters = { symmetric: readSymmetric(reader), scheme: readScheme(reader) };
    const [curveID, kdf] = [reader.u16(), readKdf(reader)];
    return {
      type,
      ...common,
      ...parameters,
      curveID,
      kdf,
      x: reader.sized(66),
      y: reader.sized(66),
    };
  }
  throw reader.fail(`object type 0x${type.toString(16)} is not supported`);
}

/** Parses the bytes of a TPMT_PUBLIC, without a TPM2B around it. @throws TpmFormatError */
export function parsePublic(bytes: Uint8Array): TPMT_PUBLIC {
  return parseAll(bytes, "TPMT_PUBLIC", readPublicArea);
}

function encodeSymmetric(symmetric: Symmetric): Uint8Array {
  if (!symmetric) return u16(TPM_ALG.NULL);
  return concat(u16(symmetric.algorithm), u16(symmetric.keyBits), u16(symmetric.mode));
}

function encodeScheme(scheme: Scheme): Uint8Array {
  if (!scheme) return u16(TPM_ALG.NULL);
  const hash = scheme.hash === null ? new Uint8Array() : u16(scheme.hash);
  const count = scheme.count === undefined ? new Uint8Array() : u16(scheme.count);
  return concat(u16(scheme.scheme), hash, count);
}

/** Encodes a TPMT_PUBLIC. */
export function encodePublic(key: TPMT_PUBLIC): Uint8Array {
  const head = [u16(key.type), u16(key.nameAlg), u32(key.objectAttributes), sized(key.authPolicy)];
  const parameters = [encodeSymmetric(key.symmetric), encodeScheme(key.scheme)];
  if (key.type === TPM_ALG.RSA) {
    return concat(...head, ...parameters, u16(key.keyBits), u32(key.exponent), sized(key.n));
  }
  const curve = [u16(key.curveID), encodeScheme(key.kdf)];
  return concat(...head, ...parameters, ...curve, sized(key.x), sized(key.y));
}

/**
 * The Name of an object: nameAlg, then its hash over the TPMT_PUBLIC exactly as the TPM wrote it
 * (Part 1 §16).
 * @throws TpmFormatError where nameAlg is unknown.
 */
export function computeName(publicArea: Uint8Array): Uint8Array {
  const nameAlg = parsePublic(publicArea).nameAlg;
  return nameOf(nameAlg, publicArea);
}

/**
 * nameAlg || H(content); objects and NV indexes are named alike.
 * @throws TpmFormatError for an unknown hash.
 */
export function nameOf(nameAlg: number, content: Uint8Array): Uint8Array {
  const hash = hashById(nameAlg);
  if (!hash) throw new TpmFormatError(`nameAlg 0x${nameAlg.toString(16)} is not supported.`);
  return concat(u16(nameAlg), createHash(hash.name).update(content).digest());
}

/**
 * The qualified name of an object (Part 1 §16.3): H(QN(parent) || Name). A primary key's parent is
 * its hierarchy, whose qualified name is its handle.
 * @param chain Names from the primary down to the object itself.
 */
export function qualifiedName(hierarchy: number, chain: readonly Uint8Array[]): Uint8Array {
  let qualified: Uint8Array = u32(hierarchy);
  for (const name of chain) {
    const nameAlg = parseAll(name, "TPM2B_NAME", (reader) => {
      const algorithm = reader.u16();
      reader.rest();
      return algorithm;
    });
    qualified = nameOf(nameAlg, concat(qualified, name));
  }
  return qualified;
}

/**
 * The key for node:crypto.
 * @throws TpmFormatError where the key is unusable (bad point, unknown curve, empty).
 */
export function toKeyObject(key: TPMT_PUBLIC): KeyObject {
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64url");
  try {
    if (key.type === TPM_ALG.RSA) {
      const e = u32(key.exponent === 0 ? 65_537 : key.exponent);
      const jwk = {
        kty: "RSA",
        n: text(key.n),
        e: text(e.subarray(e.findIndex((byte) => byte !== 0))),
      };
      return createPublicKey({ key: jwk, format: "jwk" });
    }
    const curve = curveOf(key.curveID);
    const [x, y] = [text(leftPad(key.x, curve.bytes)), text(leftPad(key.y, curve.bytes))];
    return createPublicKey({ key: { kty: "EC", crv: curve.jwk, x, y }, format: "jwk" });
  } catch (cause) {
    if (cause instanceof TpmFormatError) throw cause;
    throw new TpmFormatError("The public area holds no usable key.", { cause });
  }
}
