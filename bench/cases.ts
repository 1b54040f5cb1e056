/**
 * Cases to decide, and beside each the signatures that only this case has (of its grant and links,
 * its proof and its quote) in the form that node:crypto wants. Charter, snapshot, policy, status
 * list and node credential are the same in all of them, as they are on a gate.
 */
import { createPublicKey, type KeyObject, sign as signWith } from "node:crypto";
import type { Curve, Signer } from "../src/wire/keys.ts";
import type { CoseKey } from "../src/wire/objects.ts";
import { linkClaims } from "../test/support/chains.ts";
import {
  nodeKey as privateKeyOf,
  seeded,
  type TestSigner,
  testSigner,
} from "../test/support/keys.ts";
import {
  type BuiltCase,
  type CaseOverrides,
  makeWorld,
  type World,
} from "../test/support/world.ts";
import { toDer } from "./fixtures.ts";

export interface NativeCheck {
  readonly hash: string | null;
  readonly key: KeyObject;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

export interface DecisionCase {
  readonly bytes: Uint8Array;
  readonly checks: readonly NativeCheck[];
}

export interface CaseKinds {
  /** Of the authority, of every holder and of the rest of the domain; quotes are P-256. */
  readonly curve: Curve;
  /** Elements of the chain. */
  readonly elements: number;
  readonly cases: number;
}

const url = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64url");

export function nativeKey(key: CoseKey): KeyObject {
  const common = { crv: key.crv, x: url(key.x) };
  const jwk =
    key.kty === "OKP" ? { kty: "OKP", ...common } : { kty: "EC", ...common, y: url(key.y) };
  return createPublicKey({ key: jwk, format: "jwk" });
}

/** A signer by node:crypto, whose signatures are noted. The same message gives the same signature. */
function noting(signer: TestSigner, notes: NativeCheck[]): Signer {
  const { publicKey, privateKey } = nativeKeys(signer);
  const hash = signer.key.crv === "Ed25519" ? null : "sha256";
  const sign = (message: Uint8Array): Uint8Array => {
    const key = { key: privateKey, dsaEncoding: "ieee-p1363" } as const;
    const signature = new Uint8Array(signWith(hash, message, hash === null ? privateKey : key));
    const form = hash === null ? signature : toDer(signature);
    notes.push({ hash, key: publicKey, message, signature: form });
    return signature;
  };
  return { key: signer.key, sign };
}

const known = new Map<string, TestSigner>();

function signerOf(name: string, curve: Curve): TestSigner {
  const id = `${name}, ${curve}`;
  const signer = known.get(id) ?? testSigner(id, curve);
  known.set(id, signer);
  return signer;
}

const pairs = new Map<TestSigner, { publicKey: KeyObject; privateKey: KeyObject }>();

function nativeKeys(signer: TestSigner): { publicKey: KeyObject; privateKey: KeyObject } {
  const pair = pairs.get(signer) ?? {
    publicKey: nativeKey(signer.key),
    privateKey: privateKeyOf(signer),
  };
  pairs.set(signer, pair);
  return pair;
}

/** Signs what is the same in every case, once. */
function remembering(signer: TestSigner): Signer {
  return {
    key: signer.key,
    sign(message) {
      const id = Buffer.from(message).toString("latin1");
      const signature = remembered.get(id) ?? signer.sign(message);
      remembered.set(id, signature);
      return signature;
    },
  };
}

const remembered = new Map<string, Uint8Array>();

/** r||s of a TPMT_SIGNATURE by ECDSA P-256: two algorithms, then two TPM2B of 32 bytes. */
export const quoteSignature = (tpmt: Uint8Array): Uint8Array =>
  new Uint8Array([...tpmt.subarray(6, 38), ...tpmt.subarray(40, 72)]);

/** P-256 point of a TPMT_PUBLIC: the last two TPM2B. */
export function quoteKey(area: Uint8Array): CoseKey {
  const x = area.subarray(area.length - 66, area.length - 34);
  return { kty: "EC2", crv: "P-256", x, y: area.subarray(area.length - 32) };
}

export async function decisionCases(kinds: CaseKinds): Promise<DecisionCase[]> {
  const world = makeWorld();
  const made: DecisionCase[] = [];
  for (let i = 0; i < kinds.cases; i++) made.push(await oneCase(world, kinds, i));
  return made;
}

async function oneCase(world: World, { curve, elements }: CaseKinds, i: number) {
  const notes: NativeCheck[] = [];
  const noted = (name: string): Signer => noting(signerOf(name, curve), notes);
  const authority = noted("the authority");
  const holders = Array.from({ length: elements }, (_, place) => noted(`holder ${place}`));
  const built = await world.build(overrides(world, curve, authority, holders, i));
  const { attest, signature } = built.quote;
  const key = nativeKey(quoteKey(world.ak.publicArea));
  notes.push({ hash: "sha256", key, message: attest, signature: toDer(quoteSignature(signature)) });
  return { bytes: built.bytes, checks: notes } satisfies DecisionCase;
}

/** One class of one signature; every other object signed by one key too. */
function overrides(
  world: World,
  curve: Curve,
  authority: Signer,
  holders: readonly Signer[],
  i: number,
): CaseOverrides {
  const at = (place: number): Signer => {
    const holder = holders[place];
    if (holder === undefined) throw new Error("no holder");
    return holder;
  };
  const other = remembering(signerOf("the rest", curve));
  const { keysets } = world.charter();
  const standard = keysets.authority.classes.get("standard");
  if (standard === undefined) throw new Error("no class");
  const solo = { threshold: 1, keys: [other.key] };
  const classes = new Map([["standard", { ...standard, threshold: 1 }]]);
  const links = holders.slice(1).map((_, place) => (parent: BuiltCase["grant"]) => {
    const claims = linkClaims(world, place + 1, parent.digest);
    const cti = seeded(`link ${place} of ${i}`, 16);
    const own = { ...claims, cti, cnf: { key: at(place + 1).key } };
    return world.make("link", own, { signers: [at(place)] });
  });
  return {
    charter: {
      keysets: {
        root: solo,
        authority: { keys: [authority.key], classes },
        policy: solo,
        enroller: [{ key: other.key, labels: null }],
        governance: solo,
      },
    },
    grant: { cti: seeded(`grant ${i}`, 16), cnf: { key: at(0).key }, maxDepth: 4 },
    links,
    signers: {
      ...{ charter: [other], snapshot: [other], policy: [other], node: [other] },
      grant: [authority],
      proof: [at(holders.length - 1)],
    },
  };
}
