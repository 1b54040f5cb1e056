/**
 * Every object of docs/wire-format.md in one table: keys, types and bounds. Encoding, decoding and
 * display are derived from it, and so are the TypeScript types. Standard claims keep their CWT
 * names (RFC 8392 §3.1); keys below -65536 are for private use there.
 */
import { LIMITS } from "../limits.ts";
import { type CborValue, isMap } from "./cbor-value.ts";
import { COSE_SIGN, COSE_SIGN1 } from "./cose.ts";
import { imaRules } from "./ima-shapes.ts";
import { demands, eventLogRules, pcrValues } from "./policy-shapes.ts";
import {
  allOptional,
  byBytes,
  byText,
  bytes,
  choice,
  claims,
  either,
  flag,
  list,
  mapOf,
  nullable,
  type Of,
  optional,
  required,
  type Shape,
  time,
  tuple,
  u64,
  uint,
  where,
} from "./schema.ts";
import { byKey, digest, field, first, ident, key, name, ueid, variableName } from "./shapes.ts";

// The charter (core: assembly/grant/charter.ts). Sorted lists let the core refuse duplicates as it
// reads.
const threshold = uint(1, LIMITS.signers);
const depth = uint(0, LIMITS.elements - 1);
const keys = list(key, { min: 1, max: LIMITS.keys, distinct: byKey });
const keyset = where(tuple({ threshold, keys }), (set) =>
  set.threshold <= set.keys.length ? null : "asks for more signatures than it has keys",
);
const labels = list(ident, { max: LIMITS.labels, order: byText });
const nodes = (min: number, max: number) => list(ueid, { min, max, order: byBytes });
const authorityClass = tuple({
  threshold,
  members: nullable(list(digest, { min: 1, max: LIMITS.keys, order: byBytes })),
  labels: nullable(labels),
  nodes: nullable(nodes(0, LIMITS.classNodes)),
  policies: nullable(list(ident, { min: 1, max: LIMITS.keys, distinct: byText })),
  lifetimeSeconds: uint(),
  depth,
  mark: flag,
});
const authority = tuple({
  keys,
  classes: mapOf(ident, authorityClass, { min: 1, max: LIMITS.classes }),
});
const enrollers = list(tuple({ key, labels: nullable(labels) }), {
  min: 1,
  max: LIMITS.keys,
  distinct: (enroller) => byKey(enroller.key),
});
const charter = where(
  claims({
    domain: required(3, ident),
    exp: required(4, time),
    iat: required(6, time),
    number: required(-70100, uint(1)),
    predecessor: required(-70101, nullable(digest)),
    keysets: required(
      -70102,
      claims({
        root: required(1, keyset),
        authority: required(2, authority),
        policy: required(3, keyset),
        enroller: required(4, enrollers),
        governance: required(5, keyset),
        plane: optional(6, keyset),
        log: optional(7, keyset),
        witness: optional(8, keyset),
      }),
    ),
    bounds: required(
      -70103,
      tuple({
        grantSeconds: uint(),
        snapshotSeconds: uint(1, LIMITS.snapshotSeconds),
        nodeSeconds: uint(),
        depth,
      }),
    ),
  }),
  (value) =>
    (value.number === 1) === (value.predecessor === null)
      ? null
      : "the first charter, and no other, has no predecessor",
);

const decision = choice({ local: 0, plane: 1 });
const snapshot = claims({
  domain: required(3, ident),
  exp: required(4, time),
  iat: required(6, time),
  charter: required(-70200, digest),
  version: required(-70201, uint(1)),
  epoch: required(-70202, uint()),
  freeze: required(-70203, choice({ none: 0, new: 1, all: 2 })),
  decision: required(-70204, decision),
  policies: required(
    -70205,
    mapOf(ident, list(digest, { min: 1, max: LIMITS.alternatives }), {
      max: LIMITS.activePolicies,
    }),
  ),
  status: required(-70206, digest),
});

const bits = bytes({ min: 0, max: LIMITS.statusBytes });
const statusList = tuple({
  grants: bits,
  nodes: bits,
  elements: list(digest, { max: LIMITS.statusBytes / 34, order: byBytes }),
});

const policy = where(
  claims({
    domain: required(3, ident),
    iat: required(6, time),
    name: required(-70500, ident),
    version: required(-70501, uint()),
    pcrs: optional(-70502, pcrValues),
    eventLog: optional(-70503, eventLogRules),
    ima: optional(-70504, imaRules),
    firmwareVersionMin: optional(-70505, u64),
  }),
  ({ pcrs, eventLog, ima }) =>
    pcrs !== undefined || ima !== undefined || (eventLog !== undefined && demands(eventLog))
      ? null
      : "compares nothing: it has no PCR value, and no rule that requires an event",
);

const counters = tuple({
  resetCount: uint(0, 2 ** 32 - 1),
  restartCount: uint(0, 2 ** 32 - 1),
  clock: u64,
  firmwareVersion: u64,
});
const node = claims({
  domain: required(3, ident),
  exp: required(4, time),
  iat: required(6, time),
  ueid: required(256, ueid),
  publicArea: required(-70400, bytes({ min: 1, max: LIMITS.publicAreaBytes })),
  name: required(-70401, name),
  qualifiedName: required(-70402, name),
  ekCertificate: required(-70403, nullable(digest)),
  labels: required(-70404, labels),
  counters: required(-70405, counters),
  logKey: required(-70406, key),
  nvIndexName: required(-70407, nullable(name)),
  statusIndex: required(-70408, uint()),
});

// The job, and the scope that it must lie in.
const HASH_SIZES = { sha256: 32, sha384: 48, sha512: 64 } as const;
const image = where(
  tuple({
    kind: choice({ file: 0, oci: 1, sealed: 2 }),
    algorithm: choice({ sha256: -16, sha384: -43, sha512: -44 }), // RFC 9054 §2.1
    digest: bytes(Object.values(HASH_SIZES)),
  }),
  ({ algorithm, digest }) =>
    digest.length === HASH_SIZES[algorithm] ? null : "the digest is not of its algorithm's size",
);
const stdin = either(choice({ none: null, inherit: 1 }), digest, {
  isA: (value) => typeof value === "string",
  wireA: (value) => !(value instanceof Uint8Array),
});
const inputs = list(tuple({ path: field, digest }), {
  max: LIMITS.inputs,
  order: (input) => input.path,
});
const job = tuple({
  executable: image,
  interpreter: nullable(image),
  argv: list(field, { min: 1, max: LIMITS.arguments }),
  environment: list(tuple({ name: variableName, value: field }), {
    max: LIMITS.variables,
    order: (variable) => variable.name,
  }),
  cwd: field,
  stdin,
  uid: uint(),
  gid: uint(),
  callerUid: uint(),
  inputs,
  runtimeSeconds: uint(1),
});

const second = (value: CborValue): CborValue => (Array.isArray(value) ? (value[1] ?? null) : null);
const argv = either(
  tuple({
    form: choice({ exact: 0 }),
    values: list(field, { min: 1, max: LIMITS.arguments }),
  }),
  tuple({
    form: choice({ choices: 1 }),
    values: list(list(field, { min: 1, max: LIMITS.choices }), { min: 1, max: LIMITS.arguments }),
  }),
  { isA: (value) => value.form === "exact", wireA: (value) => first(value) === 0 },
);
const variable = either(
  tuple({ name: variableName, form: choice({ exact: 0 }), value: field }),
  tuple({ name: variableName, form: choice({ digest: 1 }), digest }),
  { isA: (value) => value.form === "exact", wireA: (value) => second(value) === 0 },
);
const scopeFields = {
  image: required(1, image),
  argv: required(2, argv),
  environment: optional(3, list(variable, { max: LIMITS.variables, order: (v) => v.name })),
  cwd: required(4, field),
  stdin: optional(5, stdin),
  uid: required(6, uint()),
  gid: required(7, uint()),
  callers: required(8, list(uint(), { min: 1, max: LIMITS.callers })),
  interpreter: optional(9, image),
  inputs: optional(10, inputs),
  runtimeSeconds: required(11, uint()),
  uses: required(12, uint(1)),
};
const scope = claims(scopeFields);

// Grant and link.
const cnf = either(
  claims({ key: required(1, key) }),
  claims({ node: required(-70000, choice({ executing: 1 })) }),
  { isA: (value) => "key" in value, wireA: (value) => isMap(value) && value.has(1) },
);
const audience = either(ident, nodes(1, LIMITS.audience), {
  isA: (value) => typeof value === "string",
  wireA: (value) => typeof value === "string",
});
const both = {
  iss: required(1, ident),
  sub: required(2, ident),
  domain: required(3, ident),
  exp: required(4, time),
  nbf: required(5, time),
  iat: required(6, time),
  cti: required(7, bytes([16])),
  cnf: required(8, cnf),
  governance: required(
    -70006,
    tuple({
      epoch: uint(),
      keyset: choice({ authority: 2 }),
      class: ident,
      ticket: nullable(ident),
    }),
  ),
};
const rootOnly = {
  policies: required(-70001, list(ident, { min: 1, max: LIMITS.policies, distinct: byText })),
  maxDepth: required(-70004, depth),
  policyValidation: required(
    -70005,
    tuple({ digest, validator: ident, result: choice({ fail: 0, pass: 1 }), time }),
  ),
  attribution: optional(-70007, ident),
  audience: required(-70009, audience),
  decision: optional(-70010, decision),
};
const grant = claims({
  ...both,
  ...rootOnly,
  scope: required(-70000, scope),
  statusIndex: required(-70008, uint()),
});
const link = claims({
  ...both,
  ...allOptional(rootOnly),
  scope: optional(-70000, claims(allOptional(scopeFields))),
  parent: required(-70002, digest),
  depth: required(-70003, uint(1, LIMITS.elements - 1)),
});

const proof = claims({ request: required(-70300, digest) });
const result = claims({
  exp: required(4, time),
  iat: required(6, time),
  request: required(-70600, digest),
  evidence: required(-70601, digest),
  verdict: required(-70602, choice({ deny: 0, allow: 1 })),
});
const receipt = claims({
  iat: required(6, time),
  event: required(-70700, choice({ denied: 1, intent: 2, outcome: 3, checked: 4, aborted: 5 })),
  code: required(-70701, nullable(ident)),
  run: required(-70702, nullable(digest)),
  leafIndex: required(-70703, uint()),
  leafHash: required(-70704, digest),
  exit: required(-70705, nullable(uint())),
  core: required(-70706, digest),
  warnings: required(-70707, list(ident, { max: LIMITS.labels })),
  checkpoint: required(-70708, tuple({ size: uint(), root: digest })),
  mark: optional(-70709, ident),
});

// The case. Its parts stay bytes of any size: absent ones are empty, and the core judges each where
// it stands, so that a damaged part is denied for what it is.
const part = bytes({ min: 0, max: LIMITS.caseBytes });
const PCR_VALUES = 24 * 16; // TPML_PCR_SELECTION holds up to 16 banks (HASH_COUNT)
const context = claims({
  role: required(1, choice({ gate: 0, plane: 1 })),
  charter: required(2, digest),
  now: required(3, time),
  floors: required(
    4,
    where(
      tuple({
        charterNumber: uint(),
        snapshotVersion: uint(),
        snapshotDigest: nullable(digest),
        time,
      }),
      (floors) =>
        (floors.snapshotVersion === 0) === (floors.snapshotDigest === null)
          ? null
          : "the snapshot's digest is null exactly where its version is 0",
    ),
  ),
  nonce: required(5, digest),
  node: required(6, tuple({ name, counters: nullable(counters) })),
  uses: required(7, list(tuple({ element: digest, count: uint() }), { max: LIMITS.elements })),
  ima: required(
    8,
    nullable(
      tuple({
        resetCount: uint(0, 2 ** 32 - 1),
        restartCount: uint(0, 2 ** 32 - 1),
        policies: list(digest, { min: 1, max: LIMITS.policies }),
        entries: uint(1),
        values: list(bytes({ min: 20, max: 64 }), { min: 1, max: 8 }),
      }),
    ),
  ),
  purpose: required(
    9,
    either(
      tuple({ kind: choice({ start: 0 }), parentRun: nullable(digest) }),
      tuple({ kind: choice({ lease: 1 }), run: digest, job: digest, chain: digest }),
      { isA: (value) => value.kind === "start", wireA: (value) => first(value) === 0 },
    ),
  ),
});
const slot = tuple({
  attest: part,
  signature: part,
  index: uint(),
  size: uint(),
  path: list(digest, { max: LIMITS.pathHashes }),
});
const evidence = claims({
  charters: required(1, list(part, { max: LIMITS.charters })),
  snapshot: required(2, part),
  statusList: required(3, part),
  elements: required(4, list(part, { max: LIMITS.elements })),
  proof: required(5, nullable(part)),
  node: required(6, part),
  job: required(7, part),
  policies: required(8, list(part, { max: LIMITS.policies })),
  tpm: required(
    9,
    tuple({
      type: choice({ tpm2: 1 }),
      slot,
      pcrs: list(part, { max: PCR_VALUES }),
      eventLog: nullable(part),
      ima: nullable(part),
    }),
  ),
  purpose: required(10, choice({ start: 0, lease: 1 })),
  run: required(11, nullable(digest)),
  gateNonce: required(12, digest),
  planeNonce: required(13, nullable(digest)),
});
const caseShape = tuple({
  version: uint(1, 1),
  context,
  evidence,
  result: nullable(part),
});

/** The objects that stand alone as deterministic CBOR, unsigned. */
export const PLAIN = {
  key: { shape: key, bytes: LIMITS.payloadBytes },
  statusList: { shape: statusList, bytes: LIMITS.statusBytes },
  job: { shape: job, bytes: LIMITS.jobBytes },
  context: { shape: context, bytes: LIMITS.caseBytes },
  evidence: { shape: evidence, bytes: LIMITS.caseBytes },
  case: { shape: caseShape, bytes: LIMITS.caseBytes },
} as const;
export type PlainKind = keyof typeof PLAIN;

const sign = <T>(typ: string, shape: Shape<T>, bytes: number, signers: number) =>
  ({ typ: `portcullis-${typ}+cwt`, tag: COSE_SIGN, shape, bytes, signers }) as const;
const sign1 = <T>(typ: string, shape: Shape<T>) =>
  ({
    typ: `portcullis-${typ}+cwt`,
    tag: COSE_SIGN1,
    shape,
    bytes: LIMITS.payloadBytes,
    signers: 1,
  }) as const;

/**
 * The objects that are signed: COSE_Sign (98) by up to `signers`, or COSE_Sign1 (18). `bytes`
 * bounds the payload.
 */
export const SIGNED = {
  charter: sign("charter", charter, LIMITS.charterBytes, LIMITS.charterSigners),
  snapshot: sign("snapshot", snapshot, LIMITS.payloadBytes, LIMITS.signers),
  policy: sign("policy", policy, LIMITS.policyBytes, LIMITS.signers),
  grant: sign("grant", grant, LIMITS.payloadBytes, LIMITS.signers),
  link: sign1("link", link),
  proof: sign1("proof", proof),
  node: sign1("node", node),
  result: sign1("result", result),
  receipt: sign1("receipt", receipt),
} as const;
export type SignedKind = keyof typeof SIGNED;

/** The claims of each kind of object. */
export type Claims<K extends PlainKind | SignedKind> = K extends SignedKind
  ? Of<(typeof SIGNED)[K]["shape"]>
  : K extends PlainKind
    ? Of<(typeof PLAIN)[K]["shape"]>
    : never;
