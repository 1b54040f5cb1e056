/**
 * RFC 9052 by the examples of others. Their messages carry alg -7 or -35, kid in the unprotected
 * header and no typ, so none is an object of ours and each must be refused; but what is signed, and
 * the signature over it, is the same.
 */

import { createPublicKey, type JsonWebKey } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { decode as decodeByCborg } from "cborg";
import { expect, test } from "vitest";
import { parseCose, sigStructure } from "../../src/wire/cose.ts";
import { coseKeyOf, verifySignature } from "../../src/wire/keys.ts";
import type { CoseKey } from "../../src/wire/objects.ts";
import { describeVectors } from "../support/vectors.ts";
import { hex, refusal, unhex } from "../support/wire.ts";

/** One signature of one published message. */
interface Example {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly jwk: JsonWebKey;
  readonly alg: string;
  /** What was signed, in hex, where the example tells. */
  readonly tbs: string | null;
  /** With external data or an altered message: it must not verify. */
  readonly good: boolean;
}

type Parts = readonly [
  Uint8Array,
  unknown,
  Uint8Array,
  Uint8Array | readonly (readonly [Uint8Array, unknown, Uint8Array])[],
];

/** The four members, whatever the tag (sign-fail-01 has 998, sign-pass-03 none). */
function partsOf(bytes: Uint8Array): Parts {
  const untag = (content: () => unknown): unknown => content();
  return decodeByCborg(bytes, {
    useMaps: true,
    tags: { 18: untag, 98: untag, 998: untag },
  }) as Parts;
}

interface WgFile {
  readonly input: {
    readonly sign?: { readonly signers: readonly WgSigner[] };
    readonly sign0?: WgSigner;
  };
  readonly intermediates: {
    readonly ToBeSign_hex?: string;
    readonly signers?: readonly { readonly ToBeSign_hex: string }[];
  };
  readonly output: { readonly cbor: string };
}
interface WgSigner {
  readonly key: JsonWebKey;
  readonly alg?: string;
  readonly protected?: { readonly alg?: string };
  readonly external?: string;
}

function wgExample(name: string, file: WgFile): Example {
  const signer = file.input.sign0 ?? file.input.sign?.signers[0];
  if (!signer) throw new Error(`${name} has no signer`);
  const external = signer.external !== undefined;
  // sign-fail-01 alters the tag alone, the others what was signed or the signature.
  const failing = name.includes("fail") && !name.includes("fail-01");
  const tbs = file.intermediates.ToBeSign_hex ?? file.intermediates.signers?.[0]?.ToBeSign_hex;
  return {
    name,
    bytes: hex(file.output.cbor),
    jwk: signer.key,
    alg: signer.alg ?? signer.protected?.alg ?? "",
    tbs: failing || external || !tbs ? null : tbs.toLowerCase(),
    good: !failing && !external,
  };
}

interface GlueFile {
  readonly key: JsonWebKey;
  readonly alg: string;
  readonly "sign1::sign"?: {
    readonly external?: string;
    readonly tbsHex: { readonly cborHex: string };
    readonly expectedOutput: { readonly cborHex: string };
  };
  readonly "sign1::verify"?: {
    readonly external?: string;
    readonly taggedCOSESign1: { readonly cborHex: string };
    readonly shouldVerify: boolean;
  };
}

function glueExample(name: string, file: GlueFile): Example {
  const [made, checked] = [file["sign1::sign"], file["sign1::verify"]];
  const cbor = made?.expectedOutput.cborHex ?? checked?.taggedCOSESign1.cborHex ?? "";
  const external = (made?.external ?? checked?.external ?? "") !== "";
  return {
    name,
    bytes: hex(cbor),
    jwk: file.key,
    alg: file.alg,
    tbs: made && !external ? made.tbsHex.cborHex.toLowerCase() : null,
    good: !external && (checked?.shouldVerify ?? true),
  };
}

function* walk(dir: string): Generator<string> {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) yield* walk(path);
    else if (entry.name.endsWith(".json")) yield path;
  }
}

const read = (path: string): unknown => JSON.parse(readFileSync(path, "utf8"));
const nameOf = (path: string): string => path.split("/").slice(-2).join("/");

/** Our key of the example's, null for curves that we do not know (P-521). */
function keyOf(jwk: JsonWebKey): CoseKey | null {
  return jwk.crv === "P-521"
    ? null
    : coseKeyOf(
        createPublicKey({
          key: { kty: "EC", crv: jwk.crv, x: jwk.x, y: jwk.y } as JsonWebKey,
          format: "jwk",
        }),
      );
}

/** The algorithm that we pin to each curve. */
const PINNED: { readonly [crv: string]: string } = { "P-256": "ES256", "P-384": "ES384" };

function check({ bytes, jwk, alg, tbs, good }: Example): void {
  expect(refusal(() => parseCose(bytes)).code).toMatch(/^wire\.(cose|cbor)$/);
  const [body, , payload, last] = partsOf(bytes);
  const row = last instanceof Uint8Array ? null : last[0];
  // RFC 9052 §3: an empty protected header may stand as an empty map; in what is signed it is the
  // empty string.
  const asSigned = unhex(body) === "a0" ? new Uint8Array() : body;
  const message = sigStructure(asSigned, row?.[0] ?? null, payload);
  if (tbs !== null) expect(unhex(message)).toBe(tbs);
  const key = keyOf(jwk);
  if (key === null) return;
  const signature = row?.[2] ?? (last as Uint8Array);
  expect(verifySignature(key, message, signature)).toBe(good && alg === PINNED[key.crv]);
}

describeVectors("the COSE working group's examples", (dir) => {
  const examples = [...walk(join(dir, "cose-wg-examples"))].map((path) =>
    wgExample(nameOf(path), read(path) as WgFile),
  );
  test("are many", () => expect(examples.length).toBeGreaterThanOrEqual(17));
  test.each(examples)("$name", check);
});

describeVectors("gluecose", (dir) => {
  const examples = [...walk(join(dir, "gluecose"))].map((path) =>
    glueExample(nameOf(path), read(path) as GlueFile),
  );
  test("are many", () => expect(examples.length).toBeGreaterThanOrEqual(7));
  test.each(examples)("$name", check);
});
