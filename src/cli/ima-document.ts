/**
 * IMA rules as people write them, in the `ima` section of a policy:
 *
 *     ima:
 *       aggregate: true                   # the default: the list begins with this boot's boot_aggregate
 *       files: {/usr/bin/ls: <hex>, /usr/bin/cat: [<hex>, <hex>]}
 *       digests: [<hex>]                  # files under any path
 *       excluded: [/var/lib/app/]         # folders whose files are not judged
 *       keys: [<public key in PEM>, {pem: <public key>, id: 0a0b0c0d}]
 *       buffers: {kexec-cmdline: <hex>}   # measured keys, command lines, critical data
 *
 * or, in place of the last five, `stages`: a list of them, each for the entries that it names:
 *
 *       stages:
 *         - {to: 1200, files: ...}        # entries 0 to 1199 of the boot
 *         - {from: 1200, files: ...}      # and all behind them
 *
 * Digests are SHA-1, SHA-256, SHA-384 or SHA-512, told by their length.
 */
import { createPublicKey, hash, type KeyObject } from "node:crypto";
import { LIMITS } from "../limits.ts";
import type { ImaRules } from "../wire/objects.ts";
import type { Field } from "./document.ts";
import { parseHex } from "./values.ts";

const RULES = ["files", "digests", "excluded", "keys", "buffers"] as const;
const IMA_NAMES = ["aggregate", "stages", ...RULES] as const;
const STAGE_NAMES = ["from", "to", ...RULES] as const;
const KEY_NAMES = ["pem", "id"] as const;
const DIGEST_BYTES = [20, 32, 48, 64];
const KEY_ID_BYTES = 4;
const RSA_BITS = [2048, 4096] as const;
/** SEC 1 §2.3.3 */
const UNCOMPRESSED = 4;

type Stage = ImaRules["stages"][number];
type Row = NonNullable<Stage["files"]>[number];
type ImaKey = NonNullable<Stage["keys"]>[number];
type Rules = { readonly [name in (typeof RULES)[number]]?: Field };

/** Reads the section. Throws UsageError with the place of what is wrong. */
export function imaRulesOf(field: Field): ImaRules {
  const { aggregate, stages, ...own } = field.record(IMA_NAMES);
  const wanted = aggregate?.word(["true", "false"]) !== "false";
  const [first] = RULES.flatMap((name) => own[name] ?? []);
  if (stages === undefined) {
    if (first === undefined) field.refuse(`allows nothing: it needs one of ${RULES.join(", ")}`);
    return { aggregate: wanted, stages: [stageOf({}, own)] };
  }
  if (first !== undefined) first.refuse("stands beside `stages`: put it in one of them");
  const items = stages.items();
  if (items.length === 0) stages.refuse("allows nothing: it needs a stage");
  if (items.length > LIMITS.imaStages) stages.refuse(`holds more than ${LIMITS.imaStages} stages`);
  return { aggregate: wanted, stages: items.map(stageIn) };
}

function stageIn(item: Field): Stage {
  const { from, to, ...rules } = item.record(STAGE_NAMES);
  const stage = stageOf({ ...(from && { from }), ...(to && { to }) }, rules);
  if (stage.to !== null && stage.to <= stage.from) item.refuse("`to` is not above `from`");
  const { files, buffers, keys, excluded } = stage;
  if ((files ?? buffers ?? keys ?? excluded) === undefined) item.refuse("allows nothing");
  return stage;
}

function stageOf(range: { from?: Field; to?: Field }, rules: Rules): Stage {
  const { from, to } = range;
  const { files, digests, excluded, keys, buffers } = rules;
  const most = Number.MAX_SAFE_INTEGER;
  return {
    from: from?.count(0, most) ?? 0,
    to: to?.count(1, most) ?? null,
    ...((files ?? digests) && { files: fileRows(files, digests) }),
    ...(buffers && { buffers: [...namedRows(buffers).values()] }),
    ...(keys && { keys: some(keys, LIMITS.keys).map(keyOf) }),
    ...(excluded && { excluded: some(excluded, LIMITS.imaPrefixes).map(prefixOf) }),
  };
}

function some(list: Field, most: number): Field[] {
  const items = list.items();
  if (items.length === 0) list.refuse("is empty: leave it out");
  if (items.length > most) list.refuse(`holds more than ${most}`);
  return items;
}

function digestOf(field: Field): Uint8Array {
  const bytes = field.text().length / 2;
  if (DIGEST_BYTES.includes(bytes)) return field.hexBytes(bytes);
  return field.refuse("expected a digest: 40, 64, 96 or 128 hexadecimal digits");
}

/** One row for each digest: the core finds it by the digest, and then compares the name. */
function namedRows(field: Field): Map<string, Row> {
  const rows = new Map<string, Row>();
  const members = field.members();
  if (members.length === 0) field.refuse("is empty: leave it out");
  for (const [name, value] of members) {
    const bytes = new Uint8Array(Buffer.from(name));
    if (bytes.length === 0 || bytes.includes(0)) value.refuse("has a name that no file has");
    for (const one of value.isList ? some(value, LIMITS.imaNames) : [value]) {
      const digest = digestOf(one);
      const text = Buffer.from(digest).toString("hex");
      const names = [...(rows.get(text)?.names ?? []), bytes];
      if (names.length > LIMITS.imaNames) {
        one.refuse(`stands for more than ${LIMITS.imaNames} names: list it under \`digests\``);
      }
      rows.set(text, { digest, names });
    }
  }
  return rows;
}

/** A digest that is good under any path is so under each that is named. */
function fileRows(files: Field | undefined, digests: Field | undefined): Row[] {
  const rows = files === undefined ? new Map<string, Row>() : namedRows(files);
  for (const one of digests === undefined ? [] : some(digests, Number.MAX_SAFE_INTEGER)) {
    const digest = digestOf(one);
    rows.set(Buffer.from(digest).toString("hex"), { digest, names: [] });
  }
  return [...rows.values()];
}

function prefixOf(field: Field): Uint8Array {
  const path = field.bytes();
  const folder = path[0] === 0x2f && path.at(-1) === 0x2f && path.length > 2;
  if (folder) return path;
  return field.refuse("expected a folder below /, such as /var/lib/app/, with a slash at its end");
}

function keyOf(field: Field): ImaKey {
  const { pem, id } = field.isMap ? field.record(KEY_NAMES) : { pem: field, id: undefined };
  if (pem === undefined) return field.refuse("needs a `pem`");
  let key: KeyObject;
  try {
    key = createPublicKey(pem.text());
  } catch {
    return pem.refuse("is no public key or certificate in PEM");
  }
  const known = publicOf(key, pem);
  const named = id === undefined ? keyId(key) : parseHex(id.text(), KEY_ID_BYTES, id.at);
  return { id: named, key: known };
}

const part = (value: string | undefined): Uint8Array =>
  new Uint8Array(Buffer.from(value ?? "", "base64url"));

function publicOf(key: KeyObject, at: Field): ImaKey["key"] {
  const { kty, crv, x, y, n, e } = key.export({ format: "jwk" });
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (kty === "RSA" && bits >= RSA_BITS[0] && bits <= RSA_BITS[1]) {
    return { kty, n: part(n), e: part(e) };
  }
  if (kty === "EC" && (crv === "P-256" || crv === "P-384")) {
    return { kty: "EC2", crv, x: part(x), y: part(y) };
  }
  return at.refuse("is a key of another kind: RSA of 2048 to 4096 bits, P-256 and P-384 are known");
}

/**
 * The last four bytes of SHA-1 over the subjectPublicKey, as evmctl computes it (RFC 5280 §4.2.1.2,
 * method 1). A certificate whose key identifier was made otherwise needs its `id`.
 */
function keyId(key: KeyObject): Uint8Array {
  const { kty, x, y } = key.export({ format: "jwk" });
  const bits =
    kty === "RSA"
      ? key.export({ type: "pkcs1", format: "der" })
      : Buffer.concat([Uint8Array.of(UNCOMPRESSED), part(x), part(y)]);
  return new Uint8Array(hash("sha1", bits, "buffer").subarray(-KEY_ID_BYTES));
}
