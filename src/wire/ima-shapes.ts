/**
 * IMA rules of a reference policy (claim -70504; core: assembly/policy/ima-rules.ts). Rows are
 * sorted by digest, so that the core finds each by a binary search and refuses duplicates as it
 * reads.
 */
import { LIMITS } from "../limits.ts";
import { isMap } from "./cbor-value.ts";
import {
  byBytes,
  bytes,
  choice,
  claims,
  either,
  field,
  flag,
  list,
  nullable,
  type Of,
  optional,
  required,
  tuple,
  uint,
  where,
} from "./schema.ts";
import { ec2Key } from "./shapes.ts";

/** A row is never shorter: heads, a digest of 20 bytes, a list. */
const ROW_BYTES_MIN = 23;
const name = where(field(1, LIMITS.fieldBytes), (value) =>
  value.includes(0) ? "holds a NUL: no name does" : null,
);
const rows = (namesMin: number) =>
  list(
    tuple({
      digest: bytes([20, 32, 48, 64]),
      names: list(name, { min: namesMin, max: LIMITS.imaNames, order: byBytes }),
    }),
    {
      min: 1,
      max: Math.floor(LIMITS.policyBytes / ROW_BYTES_MIN),
      order: (row) => row.digest,
    },
  );

/** RFC 8230 §4 */
const rsaKey = claims({
  kty: required(1, choice({ RSA: 3 })),
  n: required(-1, bytes({ min: 256, max: 512 })),
  e: required(-2, bytes({ min: 1, max: 512 })),
});
const imaKey = tuple({
  id: bytes([4]),
  key: either(ec2Key, rsaKey, {
    isA: (value) => value.kty === "EC2",
    wireA: (value) => isMap(value) && value.get(1) === 2,
  }),
});

const SLASH = 0x2f;
const prefix = where(field(3, LIMITS.fieldBytes), (value) =>
  value[0] === SLASH && value.at(-1) === SLASH && !value.includes(0)
    ? null
    : "a prefix is a folder: it begins and ends with a slash",
);
const stage = where(
  claims({
    from: required(1, uint()),
    to: required(2, nullable(uint())),
    files: optional(3, rows(0)),
    buffers: optional(4, rows(1)),
    keys: optional(5, list(imaKey, { min: 1, max: LIMITS.keys })),
    excluded: optional(6, list(prefix, { min: 1, max: LIMITS.imaPrefixes, order: byBytes })),
  }),
  ({ from, to, files, buffers, keys, excluded }) => {
    if (to !== null && to <= from) return "holds for no entry: to is above from";
    return (files ?? buffers ?? keys ?? excluded) === undefined ? "allows nothing" : null;
  },
);

export const imaRules = claims({
  aggregate: required(1, flag),
  stages: required(2, list(stage, { min: 1, max: LIMITS.imaStages })),
});
/** What a machine may have measured since it booted; see docs/wire-format.md. */
export type ImaRules = Of<typeof imaRules>;
