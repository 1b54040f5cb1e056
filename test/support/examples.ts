/**
 * The worked examples of docs/wire-format.md: small objects, made by our code from values that the
 * page tells.
 */
import { createPrivateKey } from "node:crypto";
import { decode, encode } from "../../src/wire/cbor.ts";
import { parseCose, signedBytes } from "../../src/wire/cose.ts";
import { objectDigest, type Request, requestDigest, sha256 } from "../../src/wire/digests.ts";
import { signerOf, thumbprint } from "../../src/wire/keys.ts";
import { merkleRoot } from "../../src/wire/merkle.ts";
import {
  encodePayload,
  encodePlain,
  type Grant,
  type Link,
  parseSigned,
  signObject,
} from "../../src/wire/objects.ts";
import {
  emptyStatusList,
  encodeStatusList,
  withElementRevoked,
  withStatus,
} from "../../src/wire/status.ts";
import { hex } from "./wire.ts";

/** RFC 8032 §7.1, TEST 1: a published key, which protects nothing. */
const SECRET = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
// RFC 8410 §7: PKCS#8 around the 32 bytes of a secret.
const pkcs8 = hex(`302e020100300506032b657004220420${SECRET}`);
const signer = signerOf(
  createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" }),
);

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const filled = (byte: number, length = 32): Uint8Array => new Uint8Array(length).fill(byte);

const executable = { kind: "file", algorithm: "sha256", digest: filled(0xee) } as const;
const job = encodePlain("job", {
  executable,
  interpreter: null,
  argv: [text("report"), text("--daily")],
  environment: [{ name: text("LANG"), value: text("C") }],
  cwd: text("/srv"),
  stdin: "none",
  uid: 1000,
  gid: 1000,
  callerUid: 1000,
  inputs: [],
  runtimeSeconds: 60,
});

const grant: Grant = {
  iss: "ops@example.test",
  sub: "alice@example.test",
  domain: "example.test",
  exp: 1_900_003_600,
  nbf: 1_900_000_000,
  iat: 1_900_000_000,
  cti: filled(0xc7, 16),
  cnf: { key: signer.key },
  scope: {
    image: executable,
    argv: { form: "exact", values: [text("report"), text("--daily")] },
    environment: [{ name: text("LANG"), form: "exact", value: text("C") }],
    cwd: text("/srv"),
    uid: 1000,
    gid: 1000,
    callers: [1000],
    runtimeSeconds: 60,
    uses: 1,
  },
  policies: ["base"],
  maxDepth: 1,
  policyValidation: {
    digest: filled(0xda),
    validator: "ci@example.test",
    result: "pass",
    time: 1_900_000_000,
  },
  governance: { epoch: 3, keyset: "authority", class: "standard", ticket: null },
  statusIndex: 5,
  audience: "web",
};
const grantPayload = encodePayload("grant", grant);
const grantBody = encode(new Map([[16, "portcullis-grant+cwt"]]));
const element = objectDigest("grant", { body: grantBody, payload: grantPayload });

const link: Link = {
  iss: "alice@example.test",
  sub: grant.sub,
  domain: grant.domain,
  exp: 1_900_000_060,
  nbf: grant.nbf,
  iat: grant.iat,
  cti: filled(0x1c, 16),
  cnf: { node: "executing" },
  policies: ["base", "patched"],
  parent: element,
  depth: 1,
  governance: grant.governance,
};
const linkBytes = await signObject("link", link, [signer]);
const linkMessage = parseCose(linkBytes);

const jobBytes = encode(["portcullis-job", decode(job)]);
const akName = Uint8Array.of(0x00, 0x0b, ...filled(0xaa));
const request: Request = {
  purpose: "start",
  domain: "example.test",
  akName,
  gateNonce: filled(0x11),
  planeNonce: null,
  job: sha256(jobBytes),
  chain: element,
  snapshot: filled(0x55),
  run: null,
};
const digest = requestDigest(request);
const requestBytes = encode([
  ...["portcullis-request/1", 0, request.domain, akName, request.gateNonce, null],
  ...[request.job, element, request.snapshot, null],
]);

const proof = await signObject("proof", { request: digest }, [signer]);
const proofMessage = parseCose(proof);
const [signature] = proofMessage.signatures;
if (signature === undefined) throw new Error("unsigned");
parseSigned("proof", proof);

const status = withElementRevoked(
  withStatus(emptyStatusList(16, 8), "grants", 10, true),
  filled(0xee),
);

/** By the name that its block in the page carries, in the order of the page. */
export const EXAMPLES: { readonly [name: string]: Uint8Array } = {
  key: encodePlain("key", signer.key),
  kid: thumbprint(signer.key),
  job,
  "job-digest": sha256(jobBytes),
  "grant-body": grantBody,
  "grant-payload": grantPayload,
  "element-digest": element,
  "link-payload": linkMessage.payload,
  link: linkBytes,
  "link-digest": objectDigest("link", linkMessage),
  request: requestBytes,
  "request-digest": digest,
  "qualifying-data": merkleRoot([digest]),
  "proof-signed-bytes": signedBytes(proofMessage, signature),
  proof,
  "status-list": encodeStatusList(status),
  "status-digest": sha256(encodeStatusList(status)),
};
