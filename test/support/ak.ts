/**
 * Attestation keys in software: what a TPM 2.0 would sign, without a TPM, so that every field can
 * be made wrong. Layouts: TPM 2.0 Part 2 §10.12 (TPMS_ATTEST), §11.3 (TPMT_SIGNATURE), §12.2.4
 * (TPMT_PUBLIC); names: Part 1 §16 and §26.5.
 */
import {
  checkPrimeSync,
  constants,
  createHash,
  createPrivateKey,
  type KeyObject,
  sign as signWith,
} from "node:crypto";
import { seeded, type TestSigner, testSigner } from "./keys.ts";

export type Bank = "sha1" | "sha256" | "sha384" | "sha512";
export const TPM_ALG = { sha1: 0x0004, sha256: 0x000b, sha384: 0x000c, sha512: 0x000d } as const;
const RSA = 0x0001;
const NULL = 0x0010;
const RSASSA = 0x0014;
const RSAPSS = 0x0016;
const ECDSA = 0x0018;
const ECC = 0x0023;
const CURVES = { "P-256": 0x0003, "P-384": 0x0004 } as const;
const RH_ENDORSEMENT = 0x4000000b;
const GENERATED = 0xff544347;
const ATTEST_QUOTE = 0x8018;
/** fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, noDA, restricted, sign. */
export const AK_ATTRIBUTES = 0x0005_0472;

export const AK_TYPES = {
  "ecdsa-p256": { curve: "P-256", hash: "sha256" },
  "ecdsa-p384": { curve: "P-384", hash: "sha384" },
  "rsassa-2048": { bits: 2048, scheme: "rsassa", hash: "sha256" },
  "rsassa-3072": { bits: 3072, scheme: "rsassa", hash: "sha384" },
  "rsapss-2048": { bits: 2048, scheme: "rsapss", hash: "sha256" },
} as const;
export type AkType = keyof typeof AK_TYPES;

/** The counters of TPMS_CLOCK_INFO and TPMS_ATTEST. */
export interface ClockState {
  readonly resetCount: number;
  readonly restartCount: number;
  readonly clock: bigint;
  readonly firmwareVersion: bigint;
  readonly safe: boolean;
}

/** Bank, then PCR index to value. A quote selects exactly these. */
export type PcrBanks = { readonly [bank in Bank]?: ReadonlyMap<number, Uint8Array> };

/** Fields of TPMS_ATTEST and TPMT_SIGNATURE that a test makes wrong. */
export interface QuoteFaults {
  readonly magic?: number;
  readonly type?: number;
  readonly qualifiedSigner?: Uint8Array;
  /** The bytes of TPML_PCR_SELECTION. */
  readonly selection?: Uint8Array;
  readonly pcrDigest?: Uint8Array;
  /** The whole TPMS_ATTEST before it is signed. */
  readonly attest?: (attest: Uint8Array) => Uint8Array;
  /** sigAlg and hash of TPMT_SIGNATURE. */
  readonly sigAlg?: number;
  readonly sigHash?: number;
}

export interface QuoteRequest extends QuoteFaults {
  readonly extraData: Uint8Array;
  readonly pcrs: PcrBanks;
  readonly clock: ClockState;
}

export interface Quoted {
  /** TPMS_ATTEST and TPMT_SIGNATURE, without a TPM2B around them. */
  readonly attest: Uint8Array;
  readonly signature: Uint8Array;
  /** In the order of the selection: bank by bank as named, indexes ascending. */
  readonly values: readonly Uint8Array[];
}

export interface SoftwareAk {
  readonly type: AkType;
  /** TPMT_PUBLIC. */
  readonly publicArea: Uint8Array;
  readonly name: Uint8Array;
  /** As a child of an EK in the endorsement hierarchy. */
  readonly qualifiedName: Uint8Array;
  quote(request: QuoteRequest): Quoted;
}

export const u8 = (value: number): Uint8Array => Uint8Array.of(value);
export const u16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 0xff);
export const u32 = (value: number): Uint8Array =>
  Uint8Array.of(...u16(value >>> 16), ...u16(value & 0xffff));
export const u64 = (value: bigint): Uint8Array =>
  Uint8Array.of(...u32(Number(value >> 32n)), ...u32(Number(value & 0xffff_ffffn)));
export const concat = (...parts: readonly Uint8Array[]): Uint8Array =>
  new Uint8Array(Buffer.concat(parts));
export const tpm2b = (bytes: Uint8Array): Uint8Array => concat(u16(bytes.length), bytes);

const digestBy = (hash: string, ...parts: readonly Uint8Array[]): Uint8Array =>
  new Uint8Array(
    createHash(hash)
      .update(concat(...parts))
      .digest(),
  );

/** The Name of an object: its nameAlg and the digest of its public area. */
export const nameOf = (publicArea: Uint8Array): Uint8Array =>
  concat(u16(TPM_ALG.sha256), digestBy("sha256", publicArea));

/** The qualified name below a parent's, a hierarchy's being its handle. */
export const qualifiedUnder = (parent: Uint8Array, name: Uint8Array): Uint8Array =>
  concat(u16(TPM_ALG.sha256), digestBy("sha256", parent, name));

/** TPML_PCR_SELECTION with three bytes of bitmap for each bank. */
export function selectionOf(pcrs: PcrBanks): Uint8Array {
  const banks = Object.entries(pcrs);
  const rows = banks.map(([bank, values]) => {
    const bitmap = new Uint8Array(3);
    for (const pcr of values.keys()) bitmap[pcr >> 3] = (bitmap[pcr >> 3] ?? 0) | (1 << (pcr & 7));
    return concat(u16(TPM_ALG[bank as Bank]), u8(3), bitmap);
  });
  return concat(u32(banks.length), ...rows);
}

interface Half {
  readonly publicArea: Uint8Array;
  readonly hash: Bank;
  readonly sigAlg: number;
  /** The part of TPMT_SIGNATURE after its two algorithms. */
  sign(attest: Uint8Array): Uint8Array;
}

/** An attestation key whose secret follows from its name. `attributes` may be wrong on purpose. */
export function softwareAk(
  type: AkType = "ecdsa-p256",
  name = "ak",
  attributes = AK_ATTRIBUTES,
): SoftwareAk {
  const spec = AK_TYPES[type];
  const { publicArea, hash, sigAlg, sign } =
    "curve" in spec ? eccHalf(spec, name, attributes) : rsaHalf(spec, name, attributes);
  const own = nameOf(publicArea);
  const ek = qualifiedUnder(u32(RH_ENDORSEMENT), nameOf(seeded(`${name}'s EK`)));
  const qualifiedName = qualifiedUnder(ek, own);
  return {
    type,
    publicArea,
    name: own,
    qualifiedName,
    quote(request) {
      const values = Object.values(request.pcrs).flatMap((bank) =>
        [...bank].sort(([a], [b]) => a - b).map(([, value]) => value),
      );
      const { clock } = request;
      const made = concat(
        u32(request.magic ?? GENERATED),
        u16(request.type ?? ATTEST_QUOTE),
        tpm2b(request.qualifiedSigner ?? qualifiedName),
        tpm2b(request.extraData),
        u64(clock.clock),
        u32(clock.resetCount),
        u32(clock.restartCount),
        u8(clock.safe ? 1 : 0),
        u64(clock.firmwareVersion),
        request.selection ?? selectionOf(request.pcrs),
        tpm2b(request.pcrDigest ?? digestBy(hash, ...values)),
      );
      const attest = request.attest?.(made) ?? made;
      const algorithms = [request.sigAlg ?? sigAlg, request.sigHash ?? TPM_ALG[hash]];
      return { attest, signature: concat(...algorithms.map(u16), sign(attest)), values };
    },
  };
}

const head = (type: number, attributes: number): Uint8Array =>
  concat(u16(type), u16(TPM_ALG.sha256), u32(attributes), tpm2b(new Uint8Array()), u16(NULL));

type EccSpec = { readonly curve: "P-256" | "P-384"; readonly hash: Bank };
function eccHalf({ curve, hash }: EccSpec, name: string, attributes: number): Half {
  const signer: TestSigner = testSigner(name, curve);
  if (signer.key.kty !== "EC2") throw new Error("no point");
  const scheme = concat(u16(ECDSA), u16(TPM_ALG[hash]), u16(CURVES[curve]), u16(NULL));
  const unique = concat(tpm2b(signer.key.x), tpm2b(signer.key.y));
  return {
    publicArea: concat(head(ECC, attributes), scheme, unique),
    hash,
    sigAlg: ECDSA,
    sign(attest) {
      const signature = signer.sign(attest);
      const half = signature.length / 2;
      return concat(tpm2b(signature.subarray(0, half)), tpm2b(signature.subarray(half)));
    },
  };
}

type RsaSpec = { readonly bits: number; readonly scheme: "rsassa" | "rsapss"; readonly hash: Bank };
function rsaHalf({ bits, scheme, hash }: RsaSpec, name: string, attributes: number): Half {
  const { key, modulus } = rsaKey(name, bits);
  const sigAlg = scheme === "rsassa" ? RSASSA : RSAPSS;
  const details = concat(u16(sigAlg), u16(TPM_ALG[hash]), u16(bits), u32(0));
  const padding =
    scheme === "rsassa" ? constants.RSA_PKCS1_PADDING : constants.RSA_PKCS1_PSS_PADDING;
  return {
    publicArea: concat(head(RSA, attributes), details, tpm2b(modulus)),
    hash,
    sigAlg,
    sign: (attest) =>
      tpm2b(
        new Uint8Array(
          signWith(hash, attest, { key, padding, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }),
        ),
      ),
  };
}

const toBig = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
const fromBig = (value: bigint): Uint8Array => {
  const digits = value.toString(16);
  return new Uint8Array(Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, "hex"));
};

function inverse(a: bigint, modulus: bigint): bigint {
  let [r0, r1, t0, t1] = [modulus, a % modulus, 0n, 1n];
  while (r1 !== 0n) {
    const q = r0 / r1;
    [r0, r1, t0, t1] = [r1, r0 - q * r1, t1, t0 - q * t1];
  }
  return t0 < 0n ? t0 + modulus : t0;
}

/** The first prime from a seeded start whose top two bits are set, not 1 modulo 65537. */
function prime(name: string, bits: number): bigint {
  let candidate = toBig(seeded(name, bits / 8)) | (3n << BigInt(bits - 2)) | 1n;
  while (candidate % 65537n === 1n || !checkPrimeSync(candidate)) candidate += 2n;
  return candidate;
}

const rsaKeys = new Map<string, { readonly key: KeyObject; readonly modulus: Uint8Array }>();
function rsaKey(name: string, bits: number) {
  const id = `${name} ${bits}`;
  const known = rsaKeys.get(id);
  if (known) return known;
  const [p, q] = [prime(`${id} p`, bits / 2), prime(`${id} q`, bits / 2)];
  const d = inverse(65537n, (p - 1n) * (q - 1n));
  const members = {
    n: p * q,
    e: 65537n,
    d,
    p,
    q,
    dp: d % (p - 1n),
    dq: d % (q - 1n),
    qi: inverse(q, p),
  };
  const jwk = Object.fromEntries(
    Object.entries(members).map(([k, v]) => [k, Buffer.from(fromBig(v)).toString("base64url")]),
  );
  const key = createPrivateKey({ key: { kty: "RSA", ...jwk }, format: "jwk" });
  const made = { key, modulus: fromBig(members.n) };
  rsaKeys.set(id, made);
  return made;
}
