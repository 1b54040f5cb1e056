import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { encode } from "../../../src/wire/cbor.ts";
import { addSignature, parseCose } from "../../../src/wire/cose.ts";
import {
  evidenceDigest,
  jobDigest,
  objectDigest,
  type Request,
  requestDigest,
  sha256,
} from "../../../src/wire/digests.ts";
import { auditPath, merkleRoot, rootOf } from "../../../src/wire/merkle.ts";
import { encodePlain, parseSigned, signObject } from "../../../src/wire/objects.ts";
import { SIGNED_SAMPLES, world } from "../../support/samples.ts";
import { refusal, unhex } from "../../support/wire.ts";

const oracle = (...parts: Uint8Array[]): string =>
  createHash("sha256").update(Buffer.concat(parts)).digest("hex");
const digest = (n: number): Uint8Array => sha256(Uint8Array.of(n));

describe("object digests", () => {
  const [one, two, three] = world.signers.authority;

  test("over body and payload, never over signatures", async () => {
    const bytes = await signObject("grant", SIGNED_SAMPLES.grant, [one]);
    const parsed = parseSigned("grant", bytes);
    const { body, payload } = parsed.message;
    expect(unhex(parsed.digest ?? digest(0))).toBe(
      oracle(encode(["portcullis-element", body, payload])),
    );
    const more = await addSignature(await addSignature(bytes, two), three);
    expect(parseSigned("grant", more).digest).toEqual(parsed.digest);
  });

  test("each kind under its own label: one payload, many digests", async () => {
    const { body, payload } = parseCose(await signObject("grant", SIGNED_SAMPLES.grant, [one]));
    const kinds = ["charter", "snapshot", "policy", "grant"] as const;
    const digests = kinds.map((kind) => unhex(objectDigest(kind, { body, payload })));
    expect(new Set(digests).size).toBe(4);
    expect(objectDigest("link", { body, payload })).toEqual(
      objectDigest("grant", { body, payload }),
    );
  });

  test("job and evidence: the label, then the bytes as they stand", () => {
    const job = encodePlain("job", world.job());
    expect(unhex(jobDigest(job))).toBe(
      oracle(Uint8Array.of(0x82, 0x6e), Buffer.from("portcullis-job"), job),
    );
    const label = Buffer.from("portcullis-evidence");
    expect(unhex(evidenceDigest(job))).toBe(oracle(Uint8Array.of(0x82, 0x73), label, job));
  });
});

test("the request digest depends on every one of its members", () => {
  const base: Request = {
    purpose: "start",
    domain: "example.test",
    akName: world.ak.name,
    gateNonce: digest(1),
    planeNonce: null,
    job: digest(3),
    chain: digest(4),
    snapshot: digest(5),
    run: null,
  };
  const changes: Partial<Request>[] = [
    {},
    { purpose: "lease" },
    { domain: "example.tesu" },
    { akName: digest(9) },
    { gateNonce: digest(9) },
    { planeNonce: digest(9) },
    { job: digest(9) },
    { chain: digest(9) },
    { snapshot: digest(9) },
    { run: digest(9) },
    { planeNonce: digest(8), run: null },
    { planeNonce: null, run: digest(8) },
  ];
  const digests = changes.map((change) => unhex(requestDigest({ ...base, ...change })));
  expect(new Set(digests).size).toBe(changes.length);
});

describe("the Merkle tree of a shared quote", () => {
  const requests = Array.from({ length: 17 }, (_, i) => digest(i));
  const leaf = (i: number): Uint8Array => sha256(Uint8Array.of(0, ...digest(i)));
  const node = (a: Uint8Array, b: Uint8Array): Uint8Array => sha256(Uint8Array.of(1, ...a, ...b));

  test("RFC 6962 §2.1 by hand", () => {
    expect(merkleRoot(requests.slice(0, 1))).toEqual(leaf(0));
    expect(merkleRoot(requests.slice(0, 2))).toEqual(node(leaf(0), leaf(1)));
    expect(merkleRoot(requests.slice(0, 3))).toEqual(node(node(leaf(0), leaf(1)), leaf(2)));
    expect(auditPath(requests.slice(0, 3), 2)).toEqual({
      index: 2,
      size: 3,
      path: [node(leaf(0), leaf(1))],
    });
    expect(auditPath(requests.slice(0, 1), 0)).toEqual({ index: 0, size: 1, path: [] });
  });

  test("every path of every size leads to the root, and no changed one does", () => {
    for (let size = 1; size <= 17; size++) {
      const some = requests.slice(0, size);
      const root = merkleRoot(some);
      some.forEach((request, i) => {
        const proof = auditPath(some, i);
        expect(rootOf(request, proof)).toEqual(root);
        expect(rootOf(digest(99), proof)).not.toEqual(root);
        expect(rootOf(request, { ...proof, path: [...proof.path, digest(1)] })).toBeNull();
        if (size > 1) expect(rootOf(request, { ...proof, path: proof.path.slice(1) })).toBeNull();
        if (size > 1)
          expect(rootOf(request, { ...proof, index: (i + 1) % size })).not.toEqual(root);
      });
    }
  });

  test("no request, too many, or a place outside", () => {
    expect(refusal(() => merkleRoot([])).message).toMatch(/1 to 65536/);
    expect(refusal(() => merkleRoot(Array(65_537).fill(digest(0)))).message).toMatch(/1 to 65536/);
    expect(refusal(() => auditPath(requests, 17)).message).toMatch(/no request 17/);
    expect(rootOf(digest(0), { index: 1, size: 1, path: [] })).toBeNull();
    expect(rootOf(digest(0), { index: -1, size: 1, path: [] })).toBeNull();
  });

  test("a leaf is never a node: one request that looks like two", () => {
    const forged = Uint8Array.of(...leaf(0), ...leaf(1));
    expect(merkleRoot([forged])).not.toEqual(merkleRoot(requests.slice(0, 2)));
  });
});
