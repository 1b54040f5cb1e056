/** One of every kind of object, with its optional parts, for tests that go over all of them. */
import { sha256, statusDigest } from "../../src/wire/digests.ts";
import { encodePlain } from "../../src/wire/objects.ts";
import type { EventLogRules } from "../../src/wire/policy-shapes.ts";
import type { Claims, PlainKind, SignedKind } from "../../src/wire/registry.ts";
import { seeded } from "./keys.ts";
import { makeWorld } from "./world.ts";

export const world = makeWorld();
const NOW = world.now;
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const digest = (name: string): Uint8Array => sha256(text(name));

const scope = world.scope({
  argv: { form: "choices", values: [[text("report")], [text("--month"), text("--year")]] },
  environment: [
    { name: text("LANG"), form: "exact", value: text("C") },
    { name: text("TOKEN"), form: "digest", digest: digest("token") },
  ],
  stdin: digest("stdin"),
  interpreter: { kind: "oci", algorithm: "sha384", digest: seeded("image", 48) },
});
const status = world.statusList({ elements: [digest("a"), digest("b")].sort(Buffer.compare) });
const grant = world.grant({ scope, attribution: "cost-center-7", decision: "plane" });
const { iss, sub, domain, exp, nbf, iat, cti, cnf, governance } = grant;

const EVENT_LOG_RULES: EventLogRules = {
  sha256: new Map([
    [
      7,
      {
        separator: "one",
        events: [{ need: "required", digests: [digest("secure boot")], label: text("on") }],
        variables: [{ need: "allowed", guid: seeded("guid", 16), name: "dbx" }],
        types: [4, 0x8000_0001],
      },
    ],
    [9, { separator: "none", events: [], variables: [], types: [] }],
  ]),
};

export const SIGNED_SAMPLES: { readonly [K in SignedKind]: Claims<K> } = {
  charter: world.charter({ number: 2, predecessor: digest("first") }),
  snapshot: world.snapshot({
    charter: digest("charter"),
    status: statusDigest(encodePlain("statusList", status)),
    policies: new Map([["base", [digest("p"), digest("q")]]]),
    freeze: "new",
    decision: "plane",
  }),
  policy: world.policy({ firmwareVersionMin: 2n ** 64n - 1n, eventLog: EVENT_LOG_RULES }),
  grant,
  link: {
    ...{ iss, sub, domain, exp, nbf, iat, cti, cnf, governance },
    parent: digest("parent"),
    depth: 1,
    scope: { argv: scope.argv, uses: 1 },
    audience: "web",
  },
  proof: { request: digest("request") },
  node: world.node({ nvIndexName: world.ak.name }),
  result: {
    iat: NOW,
    exp: NOW + 60,
    request: digest("request"),
    evidence: digest("evidence"),
    verdict: "allow",
  },
  receipt: {
    iat: NOW,
    event: "outcome",
    code: "internal.deadline",
    run: digest("run"),
    leafIndex: 3,
    leafHash: digest("leaf"),
    exit: 0,
    core: digest("core"),
    warnings: ["namespaces"],
    checkpoint: { size: 4, root: digest("root") },
  },
};

const built = await world.build({ purpose: "lease", run: digest("run"), plane: true });
export const PLAIN_SAMPLES: { readonly [K in PlainKind]: Claims<K> } = {
  key: world.signers.agent.key,
  statusList: status,
  job: world.job({
    stdin: "inherit",
    interpreter: { kind: "sealed", algorithm: "sha512", digest: seeded("image", 64) },
  }),
  context: {
    ...built.context,
    ima: {
      resetCount: 1,
      restartCount: 2,
      policies: [digest("policy")],
      entries: 100,
      values: [digest("pcr 10")],
    },
  },
  evidence: built.evidence,
  case: { version: 1, context: built.context, evidence: built.evidence, result: built.result },
};
