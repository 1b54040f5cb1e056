import { createPublicKey, verify } from "node:crypto";
import { describe, expect, test } from "vitest";
import { encode } from "../../../src/wire/cbor.ts";
import { signedBytes, type UnverifiedMessage } from "../../../src/wire/cose.ts";
import { evidenceDigest, sha256 } from "../../../src/wire/digests.ts";
import { thumbprint, verifySignature } from "../../../src/wire/keys.ts";
import { rootOf } from "../../../src/wire/merkle.ts";
import { parsePlain, parseSigned } from "../../../src/wire/objects.ts";
import { AK_TYPES, type AkType } from "../../support/ak.ts";
import { unhex } from "../../support/wire.ts";
import { makeWorld, type World } from "../../support/world.ts";

/** Kids of the keys whose signatures verify, of all signatures of the message. */
function verifiedKids(world: World, message: UnverifiedMessage): string[] {
  const keys = Object.values(world.signers)
    .flat()
    .map((signer) => signer.key);
  return message.signatures.map((entry) => {
    const key = keys.find((each) => unhex(thumbprint(each)) === unhex(entry.kid));
    const good = key && verifySignature(key, signedBytes(message, entry), entry.signature);
    return good ? unhex(entry.kid) : "bad";
  });
}

describe("the accepted case", () => {
  const world = makeWorld();

  test("the same bytes every time", async () => {
    const again = makeWorld();
    expect(unhex(await world.caseBytes())).toBe(unhex(await again.caseBytes()));
  });

  test("reads back, and every digest and signature in it holds", async () => {
    const built = await world.build({ plane: true });
    const { context, evidence, result } = parsePlain("case", built.bytes).value;
    const [charterBytes] = evidence.charters;
    const [grantBytes] = evidence.elements;
    if (!charterBytes || !grantBytes || !evidence.proof || !result) throw new Error("absent");
    const charter = parseSigned("charter", charterBytes);
    const snapshot = parseSigned("snapshot", evidence.snapshot);
    const grant = parseSigned("grant", grantBytes);
    const proof = parseSigned("proof", evidence.proof);
    const node = parseSigned("node", evidence.node);
    const verdict = parseSigned("result", result);
    const policies = evidence.policies.map((bytes) => parseSigned("policy", bytes));
    for (const { message } of [charter, snapshot, grant, proof, node, verdict, ...policies]) {
      expect(verifiedKids(world, message)).not.toContain("bad");
    }
    expect(context.charter).toEqual(charter.digest);
    expect(snapshot.claims.charter).toEqual(charter.digest);
    expect(snapshot.claims.status).toEqual(sha256(evidence.statusList));
    expect(snapshot.claims.policies.get("base")).toEqual([policies[0]?.digest]);
    expect(context.floors.snapshotDigest).toEqual(snapshot.digest);
    expect(context.uses).toEqual([{ element: grant.digest, count: 0 }]);
    expect(proof.claims.request).toEqual(built.request);
    expect(verdict.claims.request).toEqual(built.request);
    expect(verdict.claims.evidence).toEqual(evidenceDigest(built.evidenceBytes));
    expect(node.claims.name).toEqual(context.node.name);
  });

  test("the quote answers the request, also where others share it", async () => {
    const others = [1, 2, 3, 4].map((n) => sha256(Uint8Array.of(n)));
    for (const shared of [undefined, { others, index: 0 }, { others, index: 4 }]) {
      const { request, evidence } = await world.build(shared ? { shared } : {});
      const root = rootOf(request, evidence.tpm.slot);
      expect(unhex(evidence.tpm.slot.attest)).toContain(unhex(root ?? Uint8Array.of()));
      expect(root).not.toBeNull();
    }
  });

  test.each(Object.keys(AK_TYPES) as AkType[])("quotes verify, %s", async (type) => {
    const { quote } = await makeWorld(type).build();
    const { publicArea } = makeWorld(type).ak;
    expect(verifyQuote(type, publicArea, quote.attest, quote.signature)).toBe(true);
  });
});

/** OpenSSL's opinion, from the bytes of TPMT_PUBLIC and TPMT_SIGNATURE. */
function verifyQuote(type: AkType, area: Uint8Array, attest: Uint8Array, signature: Uint8Array) {
  const spec = AK_TYPES[type];
  const url = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64url");
  if ("curve" in spec) {
    const width = spec.curve === "P-256" ? 32 : 48;
    const y = area.subarray(-width);
    const x = area.subarray(-2 * width - 2, -width - 2);
    const key = createPublicKey({
      key: { kty: "EC", crv: spec.curve, x: url(x), y: url(y) },
      format: "jwk",
    });
    const raw = Buffer.concat([signature.subarray(6, 6 + width), signature.subarray(8 + width)]);
    return verify(spec.hash, attest, { key, dsaEncoding: "ieee-p1363" }, raw);
  }
  const n = area.subarray(-spec.bits / 8);
  const key = createPublicKey({ key: { kty: "RSA", n: url(n), e: "AQAB" }, format: "jwk" });
  const padding = spec.scheme === "rsapss" ? 6 : 1;
  return verify(spec.hash, attest, { key, padding }, signature.subarray(6));
}

describe("overrides change one thing, and what follows from it", () => {
  const world = makeWorld();

  test("a claim", async () => {
    const { grant, evidence, context } = await world.build({ grant: { exp: 5 } });
    const parsed = parseSigned("grant", grant.bytes);
    expect(parsed.claims.exp).toBe(5);
    expect(verifiedKids(world, parsed.message)).not.toContain("bad");
    expect(context.uses[0]?.element).toEqual(parsed.digest);
    expect(evidence.elements).toEqual([grant.bytes]);
  });

  test("claims below the types", async () => {
    const edit = { claims: { grant: (map: Map<unknown, unknown>) => void map.delete(4) } };
    const { grant } = await world.build({ edit });
    expect(() => parseSigned("grant", grant.bytes)).toThrow(/exp \(4\) is missing/);
  });

  test("bytes after signing", async () => {
    const edit = { object: { snapshot: (bytes: Uint8Array) => bytes.with(-1, bytes[0] ?? 0) } };
    const { snapshot } = await world.build({ edit });
    const { message } = parseSigned("snapshot", snapshot.bytes);
    expect(verifiedKids(world, message).filter((kid) => kid === "bad")).toHaveLength(1);
  });

  test("the other holder, the plane's role, a lease", async () => {
    expect((await world.build({ holder: "node" })).evidence.proof).toBeNull();
    const plane = await world.build({ role: "plane", plane: true });
    expect(plane.result).toBeNull();
    expect(plane.context.nonce).toEqual(plane.evidence.planeNonce);
    const run = sha256(Uint8Array.of(1));
    const lease = await world.build({ purpose: "lease", run });
    expect(lease.context.purpose).toMatchObject({ kind: "lease", run });
  });

  test("the whole case", async () => {
    const bytes = await world.caseBytes({ edit: { case: () => encode(null) } });
    expect(unhex(bytes)).toBe("f6");
  });
});
