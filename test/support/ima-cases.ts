/** Cases with an IMA list behind the quote, and entries as the kernel's templates have them. */
import { generateKeyPairSync, sign } from "node:crypto";
import type { ImaRules } from "../../src/wire/objects.ts";
import { concat } from "./ak.ts";
import { PCRS, text } from "./domain.ts";
import { HASH } from "./event-logs.ts";
import { encodeList, fields, IMA_PCR, type MadeEntry, replayedIma } from "./ima-lists.ts";
import { seeded } from "./keys.ts";
import type { CaseOverrides } from "./world.ts";

export const fileDigest = (path: string): Uint8Array => HASH.sha256(text(path));
const dNg = (digest: Uint8Array, hash = "sha256"): Uint8Array => concat(text(`${hash}:\0`), digest);

/** An entry of any template with these fields. */
export const entryOf = (template: string, ...parts: readonly Uint8Array[]): MadeEntry => ({
  pcr: IMA_PCR,
  template,
  data: fields(...parts),
  digest: "own",
});
export const signedEntry = (path: string, signature: Uint8Array): MadeEntry =>
  entryOf("ima-sig", dNg(fileDigest(path)), text(`${path}\0`), signature);
export const bufferEntry = (name: string): MadeEntry =>
  entryOf("ima-buf", dNg(fileDigest(name)), text(`${name}\0`), text("a key"));
export const digestEntry = (path: string, hash: string, digest: Uint8Array): MadeEntry =>
  entryOf("ima-ng", dNg(digest, hash), text(`${path}\0`));
/** boot_aggregate over these PCRs of SHA-256. */
export const aggregateEntry = (values: readonly Uint8Array[]): MadeEntry =>
  digestEntry("boot_aggregate", "sha256", HASH.sha256(concat(...values)));

/** A key that signs files, as a policy names it. */
function fileKey(type: "rsa" | "P-256" | "P-384", id: Uint8Array) {
  const { publicKey, privateKey } =
    type === "rsa"
      ? generateKeyPairSync("rsa", { modulusLength: 2048 })
      : generateKeyPairSync("ec", { namedCurve: type });
  const jwk = publicKey.export({ format: "jwk" });
  const part = (value: string | undefined): Uint8Array =>
    new Uint8Array(Buffer.from(value ?? "", "base64url"));
  const key =
    type === "rsa"
      ? ({ kty: "RSA", n: part(jwk.n), e: part(jwk.e) } as const)
      : { kty: "EC2" as const, crv: type, x: part(jwk.x), y: part(jwk.y) };
  return { privateKey, named: { id, key } as FileKey };
}
type FileKey = NonNullable<Stage["keys"]>[number];
export const FILE_KEYS = {
  rsa: fileKey("rsa", Uint8Array.of(0xf3, 0x45, 0x2d, 0x23)),
  "P-256": fileKey("P-256", Uint8Array.of(1, 2, 3, 4)),
  "P-384": fileKey("P-384", Uint8Array.of(1, 2, 3, 4)),
} as const;
export const IMA_KEY = FILE_KEYS.rsa.named;

const HASH_IDS = { sha1: 2, sha256: 4, sha384: 5, sha512: 6 } as const;

/** security.ima as evmctl writes it, over SHA-256 of the path, which is the file's digest here. */
export function imaSignature(
  path: string,
  o: { type?: keyof typeof FILE_KEYS; id?: Uint8Array; hash?: keyof typeof HASH_IDS } = {},
): Uint8Array {
  const { type = "rsa", hash = "sha256" } = o;
  const id = o.id ?? FILE_KEYS[type].named.id;
  const signature = new Uint8Array(sign("sha256", text(path), FILE_KEYS[type].privateKey));
  const size = Uint8Array.of(signature.length >> 8, signature.length & 0xff);
  return concat(Uint8Array.of(3, 2, HASH_IDS[hash]), id, size, signature);
}

type Stage = ImaRules["stages"][number];
const rowsOf = (names: readonly string[]) =>
  names.map((name) => ({ digest: fileDigest(name), names: [text(name)] }));

/** A stage for all entries that allows these files and buffers, or what else it is given. */
export const stageOf = (paths: readonly string[], rest: Partial<Stage> = {}): Stage => ({
  from: 0,
  to: null,
  ...(paths.length > 0 ? { files: rowsOf(paths) } : {}),
  ...rest,
});
export const buffersOf = (names: readonly string[]): Partial<Stage> => ({ buffers: rowsOf(names) });

export const rulesOf = (stages: readonly Stage[], aggregate = false): ImaRules => ({
  aggregate,
  stages,
});

interface ListCase {
  readonly rules?: ImaRules;
  readonly aggregate?: boolean;
  readonly keys?: Stage["keys"];
  /** What stands in the case; the quote is over all entries. Null: no list. */
  readonly list?: Uint8Array | null;
  /** Entries proven before. */
  readonly prefix?: readonly MadeEntry[];
  readonly prefixed?: Partial<NonNullable<CaseOverrides["imaPrefix"]>>;
}

/** PCR 10 after these entries. */
export const pcr10 = (entries: readonly MadeEntry[]): Uint8Array =>
  replayedIma(entries, "sha256")[IMA_PCR] ?? new Uint8Array(32);

/** The PCRs of a boot, 0 to 9. */
export const BOOT_PCRS: readonly (readonly [number, Uint8Array])[] = [
  ...(PCRS.sha256 ?? []),
  [8, seeded("pcr 8")],
  [9, seeded("pcr 9")],
];

/** A case whose quote has PCR 10 after the prefix and these entries. "/bin/a" and "/bin/b" are listed. */
export function imaCase(entries: readonly MadeEntry[], o: ListCase = {}): CaseOverrides {
  const stage = stageOf(["/bin/a", "/bin/b"], o.keys === undefined ? {} : { keys: o.keys });
  const { prefix, prefixed } = o;
  return {
    pcrs: { sha256: new Map([...BOOT_PCRS, [IMA_PCR, pcr10([...(prefix ?? []), ...entries])]]) },
    policies: [{ ima: o.rules ?? rulesOf([stage], o.aggregate ?? false) }],
    ima: o.list === undefined ? encodeList(entries) : o.list,
    ...(prefix && {
      imaPrefix: { entries: prefix.length, values: [pcr10(prefix)], ...prefixed },
    }),
  };
}
