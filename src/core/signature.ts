/** Hashing and single signatures: shapes are checked here, values in the core. */
import { CoreError } from "./errors.ts";
import { type Exports, place, take } from "./instance.ts";

export type HashName = "sha1" | "sha256" | "sha384" | "sha512";

export type Scheme =
  | { readonly type: "ecdsa"; readonly curve: "P-256" | "P-384"; readonly hash: HashName }
  | { readonly type: "rsassa"; readonly hash: HashName }
  /** `saltLength` in bytes; absent: the one that the encoding has. */
  | { readonly type: "rsapss"; readonly hash: HashName; readonly saltLength?: number }
  | { readonly type: "ed25519" };

/** Big-endian coordinates of exact width; for RSA modulus and exponent, leading zeros ignored. */
export type PublicKey =
  | { readonly x: Uint8Array; readonly y: Uint8Array }
  | { readonly n: Uint8Array; readonly e: Uint8Array }
  | { readonly x: Uint8Array };

/** The numbers of assembly/hash/hash.ts. */
const HASH_IDS: Readonly<Record<HashName, number>> = { sha1: 1, sha256: 2, sha384: 3, sha512: 4 };
const HASH_BYTES_MAX = 64;
const CURVES = { "P-256": { id: 1, bytes: 32 }, "P-384": { id: 2, bytes: 48 } } as const;
const ED25519_BYTES = 32;
const RSA_BITS_MIN = 2048;
const RSA_BITS_MAX = 4096;

/** @throws CoreError `input` for a name that is none of the four. */
export function hashId(name: HashName): number {
  const id = Object.hasOwn(HASH_IDS, name) ? HASH_IDS[name] : undefined;
  if (id === undefined) throw new CoreError("input", `There is no hash "${String(name)}".`);
  return id;
}

/** @throws CoreError `input` unless the value is a Uint8Array. */
export function needBytes(value: unknown, what: string): asserts value is Uint8Array {
  if (!(value instanceof Uint8Array)) throw new CoreError("input", `${what} must be a Uint8Array.`);
}

/** Hashes bytes (at most 16 MiB). */
export function hash(core: Exports, name: HashName, bytes: Uint8Array): Uint8Array {
  const id = hashId(name);
  needBytes(bytes, "What is to be hashed");
  const [source = 0, out = 0] = place(core, [bytes, new Uint8Array(HASH_BYTES_MAX)]);
  return take(core, out, core.hash(id, source, bytes.length, out));
}

/** A big-endian number without its leading zeros. */
function trimmed(value: Uint8Array): Uint8Array {
  const first = value.findIndex((byte) => byte !== 0);
  return value.subarray(first < 0 ? value.length : first);
}

/** Bits of a number that has no leading zeros. */
function bits(value: Uint8Array): number {
  const [first = 0] = value;
  return value.length * 8 - Math.clz32(first) + 24;
}

function rsaKey(key: PublicKey): { n: Uint8Array; e: Uint8Array } {
  if (!("n" in key && "e" in key)) throw new CoreError("key.malformed", "An RSA key has n and e.");
  needBytes(key.n, "n");
  needBytes(key.e, "e");
  const [n, e] = [trimmed(key.n), trimmed(key.e)];
  const size = bits(n);
  if (size < RSA_BITS_MIN || size > RSA_BITS_MAX) {
    throw new CoreError(
      "key.unsupported",
      `RSA moduli have 2048 to 4096 bits; this one has ${size}.`,
    );
  }
  if (e.length > n.length) {
    throw new CoreError("key.unsupported", "The RSA exponent is longer than the modulus.");
  }
  return { n, e };
}

function coordinate(value: unknown, name: string, width: number): Uint8Array {
  needBytes(value, name);
  if (value.length !== width) {
    throw new CoreError("key.malformed", `${name} has ${value.length} bytes instead of ${width}.`);
  }
  return value;
}

/** Checks the shape of an EC key. */
function needEcKey(key: PublicKey, width: number): asserts key is { x: Uint8Array; y: Uint8Array } {
  if (!("x" in key && "y" in key)) throw new CoreError("key.malformed", "An EC key has x and y.");
  coordinate(key.x, "x", width);
  coordinate(key.y, "y", width);
}

/** x||y. */
export function pointBytes(key: { readonly x: Uint8Array; readonly y: Uint8Array }): Uint8Array {
  const both = new Uint8Array(key.x.length + key.y.length);
  both.set(key.x);
  both.set(key.y, key.x.length);
  return both;
}

/**
 * Checks the shapes of one signature to verify and gives the number by which the core knows its hash:
 * 0 for Ed25519, which has its own; for RSA with the scheme (sig/batch).
 *
 * @throws CoreError for a wrong shape: `input`, `key.malformed` or `key.unsupported`.
 */
export function checkShapes(
  scheme: Scheme,
  key: PublicKey,
  message: Uint8Array,
  signature: Uint8Array,
): number {
  if (typeof scheme !== "object" || scheme === null)
    throw new CoreError("input", "A scheme is missing.");
  if (typeof key !== "object" || key === null) throw new CoreError("input", "A key is missing.");
  needBytes(message, "The message");
  needBytes(signature, "The signature");
  switch (scheme.type) {
    case "ecdsa":
      needEcKey(key, curveOf(scheme.curve).bytes);
      return hashId(scheme.hash);
    case "ed25519":
      ed25519Key(key);
      return 0;
    case "rsassa":
      rsaKey(key);
      return hashId(scheme.hash);
    case "rsapss":
      rsaKey(key);
      return hashId(scheme.hash) + 0x100 + (saltOf(scheme.saltLength) + 1) * 0x10000;
    default:
      throw new CoreError("input", `There is no scheme "${String((scheme as Scheme).type)}".`);
  }
}

/**
 * Verifies one signature over the message, which the core hashes itself. ECDSA signatures are r then
 * s. A wrong value (not on the curve, not canonical, a signature of any other length) is false.
 * `checkShapes` has seen the four.
 */
export function verifyOne(
  core: Exports,
  scheme: Scheme,
  key: PublicKey,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (scheme.type === "ecdsa") {
    const point = pointBytes(key as { x: Uint8Array; y: Uint8Array });
    const [k = 0, m = 0, s = 0] = place(core, [point, message, signature]);
    const { id } = curveOf(scheme.curve);
    const rest = [k, m, message.length, s, signature.length];
    return core.verifyEcdsaMessage(id, hashId(scheme.hash), ...rest) === 1;
  }
  if (scheme.type === "ed25519") {
    const [k = 0, m = 0, s = 0] = place(core, [ed25519Key(key), message, signature]);
    return core.verifyEd25519Message(k, m, message.length, s, signature.length) === 1;
  }
  const { n, e } = rsaKey(key);
  const [nAt = 0, eAt = 0, m = 0, s = 0] = place(core, [n, e, message, signature]);
  const rest = [nAt, n.length, eAt, e.length, m, message.length, s, signature.length];
  const id = hashId(scheme.hash);
  if (scheme.type === "rsassa") return core.verifyRsassaMessage(id, ...rest) === 1;
  return core.verifyRsapssMessage(id, saltOf(scheme.saltLength), ...rest) === 1;
}

function curveOf(name: "P-256" | "P-384"): (typeof CURVES)[keyof typeof CURVES] {
  const curve = Object.hasOwn(CURVES, name) ? CURVES[name] : undefined;
  if (!curve) throw new CoreError("input", `There is no curve "${String(name)}".`);
  return curve;
}

function ed25519Key(key: PublicKey): Uint8Array {
  if (!("x" in key) || "y" in key)
    throw new CoreError("key.malformed", "An Ed25519 key has x alone.");
  return coordinate(key.x, "x", ED25519_BYTES);
}

/**
 * Checks a key's own values in the core: a point of its curve, an Ed25519 key that is canonical and
 * not of small order, RSA numbers that may be used.
 *
 * @throws CoreError `key.malformed` or `key.unsupported`, for shape and for value.
 */
export function checkKey(core: Exports, key: PublicKey): PublicKey {
  if (typeof key !== "object" || key === null) throw new CoreError("input", "A key is missing.");
  const copy = copyKey(key);
  if (!holds(core, copy)) throw new CoreError("key.malformed", "The key's value is no public key.");
  return copy;
}

function copyKey(key: PublicKey): PublicKey {
  if ("n" in key) {
    const { n, e } = rsaKey(key);
    return { n: new Uint8Array(n), e: new Uint8Array(e) };
  }
  if (!("y" in key)) return { x: new Uint8Array(ed25519Key(key)) };
  needBytes(key.x, "x");
  needEcKey(key, curveOfWidth(key.x).bytes);
  return { x: new Uint8Array(key.x), y: new Uint8Array(key.y) };
}

function curveOfWidth(x: Uint8Array): (typeof CURVES)[keyof typeof CURVES] {
  const found = Object.values(CURVES).find(({ bytes }) => bytes === x.length);
  if (found) return found;
  throw new CoreError("key.malformed", `No curve has coordinates of ${x.length} bytes.`);
}

function holds(core: Exports, key: PublicKey): boolean {
  if ("n" in key) {
    const [n = 0, e = 0] = place(core, [key.n, key.e]);
    return core.rsaKeyOk(n, key.n.length, e, key.e.length) === 1;
  }
  if (!("y" in key)) return core.isEd25519Key(place(core, [key.x])[0] ?? 0) === 1;
  const [point = 0] = place(core, [pointBytes(key)]);
  return core.isOnCurve(curveOfWidth(key.x).id, point) === 1;
}

function saltOf(length: number | undefined): number {
  if (length === undefined) return -1;
  if (!Number.isInteger(length) || length < 0 || length > RSA_BITS_MAX / 8) {
    throw new CoreError("input", "saltLength is a whole number of bytes, 0 to 512.");
  }
  return length;
}
