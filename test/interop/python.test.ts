/**
 * Somebody else's verifier: verifier.py, written from docs/wire-format.md, opens what our code
 * makes, says the same digests and kids, and refuses what the core refuses. Needs Debian's
 * python3-cbor2 and python3-cryptography (`scripts/setup --tests`).
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { loadCore } from "../../src/core/index.ts";
import { decode, encode, encodeTagged } from "../../src/wire/cbor.ts";
import type { CborKey, CborValue } from "../../src/wire/cbor-value.ts";
import { sign, sign1 } from "../../src/wire/cose.ts";
import { algorithmOf } from "../../src/wire/keys.ts";
import type { CoseKey } from "../../src/wire/objects.ts";
import { encodePlain, parseSigned } from "../../src/wire/objects.ts";
import type { SignedKind } from "../../src/wire/registry.ts";
import { type Message, messageOf } from "../spec/mistakes/objects.ts";
import { chain, holderAt } from "../support/chains.ts";
import { NOW, type Signers } from "../support/domain.ts";
import { seeded } from "../support/keys.ts";
import { unhex } from "../support/wire.ts";
import { type BuiltCase, makeWorld } from "../support/world.ts";

const PYTHON = "/usr/bin/python3";
const VERIFIER = fileURLToPath(new URL("verifier.py", import.meta.url));
const PAGE = fileURLToPath(new URL("../../docs/wire-format.md", import.meta.url));
const there = spawnSync(PYTHON, ["-c", "import cbor2, cryptography"]).status === 0;
if (!there) console.warn("skipped: python3-cbor2 and python3-cryptography are not installed");

interface Asked {
  readonly id: string;
  readonly kind: SignedKind;
  readonly bytes: Uint8Array;
  readonly keysets: readonly { readonly threshold: number; readonly keys: readonly CoseKey[] }[];
}
interface Answer {
  readonly id: string;
  readonly ok: boolean;
  readonly why?: string;
  readonly digest?: string | null;
  readonly kids?: readonly string[];
}

function ask(objects: readonly Asked[]): { objects: Answer[]; page: Record<string, string> } {
  const input = JSON.stringify({
    page: PAGE,
    objects: objects.map(({ id, kind, bytes, keysets }) => ({
      ...{ id, kind, bytes: unhex(bytes) },
      keysets: keysets.map(({ threshold, keys }) => ({
        threshold,
        keys: keys.map((key) => unhex(encodePlain("key", key))),
      })),
    })),
  });
  const { status, stdout, stderr } = spawnSync(PYTHON, ["-I", VERIFIER], { input, maxBuffer: 2e8 });
  expect(`${status} ${stderr}`).toBe("0 ");
  return JSON.parse(String(stdout)) as ReturnType<typeof ask>;
}

const core = await loadCore();
const world = makeWorld();
const { root, authority, policy, enroller, governance, plane, agent, nodeLog } = world.signers;
const keysOf = (signers: readonly { readonly key: CoseKey }[]) => signers.map(({ key }) => key);
const of = (threshold: number, ...signers: readonly { readonly key: CoseKey }[]) => [
  { threshold, keys: keysOf(signers) },
];
const KEYSETS = {
  charter: [...of(2, ...root), ...of(2, ...root)],
  snapshot: of(2, ...governance),
  policy: of(2, ...policy),
  grant: of(2, ...authority),
  node: of(1, ...enroller),
  proof: of(1, agent),
  result: of(1, ...plane),
  receipt: of(1, nodeLog),
} as const;

/** Objects in a case without a plane, and the case with one of them replaced. */
const PLACES = {
  charter: [1, true],
  snapshot: [2, false],
  grant: [4, true],
  policy: [8, true],
  node: [6, false],
  proof: [5, false],
} as const;
type Kind = keyof typeof PLACES;
const KINDS = Object.keys(PLACES) as Kind[];

class Whole {
  readonly #case: readonly CborValue[];
  readonly #evidence: ReadonlyMap<CborKey, CborValue>;

  constructor({ bytes, evidenceBytes }: BuiltCase) {
    this.#case = decode(bytes) as readonly CborValue[];
    this.#evidence = decode(evidenceBytes) as ReadonlyMap<CborKey, CborValue>;
  }

  object(kind: Kind): Uint8Array {
    const [key, listed] = PLACES[kind];
    const value = this.#evidence.get(key);
    return (listed ? (value as readonly CborValue[])[0] : value) as Uint8Array;
  }

  /** Whether the core allows the case with this object instead. */
  allows(kind: Kind, bytes: Uint8Array): boolean {
    const [key, listed] = PLACES[kind];
    const evidence = new Map([...this.#evidence, [key, listed ? [bytes] : bytes]]);
    return core.decide(encode([this.#case[0] ?? null, this.#case[1] ?? null, evidence, null]))
      .allow;
  }
}
const whole = new Whole(await world.build());

type Change = (message: Message) => readonly CborValue[];
const rowsOf = (last: CborValue) =>
  last as readonly (readonly [Uint8Array, CborValue, Uint8Array])[];
const CHANGES: Readonly<Record<string, Change>> = {
  "something unprotected": ([body, , payload, last]) => [body, new Map([[1, -19]]), payload, last],
  "no signature": ([body, none, payload]) => [body, none, payload, []],
  "an empty payload": ([body, none, , last]) => [body, none, new Uint8Array(0), last],
  "an empty body": ([, none, payload, last]) => [encode(new Map()), none, payload, last],
  "four members and one": (parts) => [...parts, null],
  "signers reversed": ([body, none, payload, last]) => [
    ...[body, none, payload],
    last instanceof Uint8Array ? last.toReversed() : rowsOf(last).toReversed(),
  ],
  "one signer twice": ([body, none, payload, last]) => [
    ...[body, none, payload],
    last instanceof Uint8Array ? [last, last] : [...rowsOf(last), ...rowsOf(last)],
  ],
  "the first signer alone": ([body, none, payload, last]) => [
    ...[body, none, payload],
    last instanceof Uint8Array ? new Uint8Array(64) : rowsOf(last).slice(0, 1),
  ],
};

/** Ours and theirs may differ in why, never in whether. */
function mutationsOf(kind: Kind): Asked[] {
  const good = whole.object(kind);
  const keysets = KEYSETS[kind];
  const { tag, message } = messageOf(good);
  const made = Object.entries(CHANGES).map(([name, change]) => ({
    id: `${kind}: ${name}`,
    bytes: encodeTagged(tag, change(message)),
  }));
  const noise = seeded(`flips ${kind}`, 80);
  const flips = Array.from({ length: 40 }, (_, i) => {
    const at = ((noise[2 * i] ?? 0) * 256 + (noise[2 * i + 1] ?? 0)) % good.length;
    return {
      id: `${kind}: bit ${i % 8} of byte ${at}`,
      bytes: good.with(at, (good[at] ?? 0) ^ (1 << (i % 8))),
    };
  });
  const cut = [1, 2, good.length - 1].map((length) => ({
    id: `${kind}: ${length} bytes of it`,
    bytes: good.subarray(0, length),
  }));
  const more = { id: `${kind}: one byte more`, bytes: new Uint8Array([...good, 0]) };
  return [...made, ...flips, ...cut, more].map((one) => ({ ...one, kind, keysets }));
}

/** The ECDSA twin (r, n - s): another encoding of a signature that verifies. */
function twinOf(kind: Kind): Asked {
  const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const turned = (signature: Uint8Array): Uint8Array => {
    const s = N - BigInt(`0x${unhex(signature.subarray(32))}`);
    const bytes = Buffer.from(s.toString(16).padStart(64, "0"), "hex");
    return new Uint8Array([...signature.subarray(0, 32), ...bytes]);
  };
  const { tag, message } = messageOf(whole.object(kind));
  const [body, none, payload, last] = message;
  const esp256 = algorithmOf({
    kty: "EC2",
    crv: "P-256",
    x: new Uint8Array(),
    y: new Uint8Array(),
  });
  const isEsp256 = (header: Uint8Array): boolean =>
    (decode(header) as ReadonlyMap<CborKey, CborValue>).get(1) === esp256.alg;
  const signed =
    last instanceof Uint8Array
      ? turned(last)
      : rowsOf(last).map((row) => (isEsp256(row[0]) ? [row[0], row[1], turned(row[2])] : row));
  const bytes = encodeTagged(tag, [body, none, payload, signed]);
  return { id: `${kind}: its twin`, kind, bytes, keysets: KEYSETS[kind] };
}

/** One object of each kind, and links. */
async function goodObjects(): Promise<Asked[]> {
  const linked = await world.build(chain(world, [{}, {}]));
  const zero = new Uint8Array(32);
  const receipt = await world.make("receipt", {
    ...{ iat: NOW, event: "denied", code: "window.expired", run: null, leafIndex: 4, exit: 77 },
    ...{ leafHash: zero, core: zero, warnings: [], checkpoint: { size: 5, root: zero } },
  });
  const result = (await world.build({ plane: true })).result ?? new Uint8Array(0);
  return [
    ...KINDS.map((kind) => ({ id: kind, kind, bytes: whole.object(kind), keysets: KEYSETS[kind] })),
    { id: "receipt", kind: "receipt", bytes: receipt.bytes, keysets: KEYSETS.receipt },
    { id: "result", kind: "result", bytes: result, keysets: KEYSETS.result },
    ...linked.chain.slice(1).map(({ bytes }, i) => ({
      ...{ id: `link ${i + 1}`, kind: "link" as const, bytes },
      keysets: of(1, holderAt(world, i)),
    })),
  ];
}

/** Signed by others, or as another kind. */
async function wronglySigned(): Promise<Asked[]> {
  const { stranger } = world.signers;
  const signed = async (kind: Kind, typ: string, signers: Signers): Promise<Uint8Array> => {
    const { tag, message } = messageOf(whole.object(kind));
    const name = `portcullis-${typ}+cwt`;
    return tag === 98 ? sign(name, message[2], signers) : sign1(name, message[2], signers[0]);
  };
  const made = KINDS.flatMap((kind) => [
    ...KINDS.filter((one) => one !== kind).map(async (one) => ({
      id: `${kind} as a ${one}`,
      ...{ kind, keysets: KEYSETS[kind] },
      bytes: await signed(kind, one, world.defaultSigners(kind)),
    })),
    signed(kind, kind, [stranger]).then((bytes) => ({
      id: `${kind} of a stranger`,
      ...{ kind, bytes, keysets: KEYSETS[kind] },
    })),
  ]);
  return Promise.all(made);
}

describe.skipIf(!there)("a verifier in Python", () => {
  let good: Asked[];
  let twins: Asked[];
  let changed: Asked[];
  let answers: Answer[];
  let page: Record<string, string>;
  beforeAll(async () => {
    good = await goodObjects();
    twins = KINDS.map(twinOf);
    changed = [...KINDS.flatMap(mutationsOf), ...(await wronglySigned()), ...twins];
    ({ objects: answers, page } = ask([...good, ...changed])); // one process: Python starts slowly
  });

  test("the page's worked examples, from the page alone", () => {
    const text = readFileSync(PAGE, "utf8");
    expect(Object.keys(page)).toHaveLength(7);
    for (const [name, value] of Object.entries(page)) {
      const [, block = ""] = new RegExp(`^\`\`\`hex ${name}\n([^\`]*)`, "m").exec(text) ?? [];
      expect(block.replaceAll(/\s/g, ""), name).toBe(value);
    }
  });

  test("every kind of object: the same digests and kids as ours", () => {
    for (const [i, { id, kind, bytes }] of good.entries()) {
      const { ok, digest, kids, why }: Partial<Answer> = answers[i] ?? {};
      expect(`${id} ${ok} ${why ?? ""}`).toBe(`${id} true `);
      const own = parseSigned(kind, bytes);
      expect(digest).toBe(own.digest === null ? null : unhex(own.digest));
      expect(kids).toEqual(own.message.signatures.map(({ kid }) => unhex(kid)));
    }
  });

  test("what the core refuses it refuses, and what the core accepts it accepts", () => {
    const theirs = answers.slice(good.length);
    const wrong = changed.filter(
      ({ kind, bytes }, i) => theirs[i]?.ok !== whole.allows(kind as Kind, bytes),
    );
    expect(wrong.map(({ id }) => id)).toEqual([]);
    expect(theirs.filter(({ ok }) => ok).map(({ id }) => id)).toEqual(twins.map(({ id }) => id));
    expect(changed.length).toBeGreaterThan(340);
  });
});
