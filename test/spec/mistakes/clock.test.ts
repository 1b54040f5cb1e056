/**
 * Our own list: the clock at exactly each bound of a case, and one beyond, at both ends. No skew
 * anywhere.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Code } from "../../../src/core/index.ts";
import { DAY, HOUR, NOW } from "../../support/domain.ts";
import { seeded } from "../../support/keys.ts";
import type { CaseOverrides } from "../../support/world.ts";
import { allows, core, denies, world } from "./denial.ts";

const MONTH = 30 * DAY;
const NODE_SECONDS = 400 * DAY;
const { bounds } = world.charter();

type Row = readonly [string, CaseOverrides, Code | null];
const rows: readonly Row[] = [
  ["charter iat at now", { charter: { iat: NOW } }, null],
  ["charter iat one beyond", { charter: { iat: NOW + 1 } }, "governance.not-yet"],
  ["charter exp one beyond now", { charter: { exp: NOW + 1 } }, null],
  ["charter exp at now", { charter: { exp: NOW } }, "governance.expired"],
  ["snapshot iat at now", { snapshot: { iat: NOW } }, null],
  ["snapshot iat one beyond", { snapshot: { iat: NOW + 1 } }, "governance.not-yet"],
  ["snapshot exp one beyond now", { snapshot: { exp: NOW + 1 } }, null],
  ["snapshot exp at now", { snapshot: { exp: NOW } }, "governance.expired"],
  ["snapshot for an hour", { snapshot: { iat: NOW - 1, exp: NOW - 1 + HOUR } }, null],
  [
    "snapshot for a second more",
    { snapshot: { iat: NOW - 1, exp: NOW + HOUR } },
    "governance.too-long",
  ],
  [
    "snapshot for as long as the charter allows",
    { charter: { bounds: { ...bounds, snapshotSeconds: 60 } }, snapshot: { exp: NOW } },
    "governance.expired",
  ],
  [
    "snapshot for longer than the charter allows",
    { charter: { bounds: { ...bounds, snapshotSeconds: 60 } }, snapshot: { exp: NOW + 1 } },
    "governance.too-long",
  ],
  ["time floor at now", { context: world.floors({ time: NOW }) }, null],
  ["time floor one beyond", { context: world.floors({ time: NOW + 1 }) }, "governance.clock"],
  ["grant iat and nbf at now", { grant: { iat: NOW, nbf: NOW } }, null],
  ["grant iat and nbf one beyond", { grant: { iat: NOW + 1, nbf: NOW + 1 } }, "window.not-yet"],
  ["grant nbf at now", { grant: { nbf: NOW } }, null],
  ["grant nbf one beyond", { grant: { nbf: NOW + 1 } }, "window.not-yet"],
  ["grant nbf at iat", { grant: { iat: NOW - 100, nbf: NOW - 100 } }, null],
  ["grant nbf before iat", { grant: { iat: NOW - 100, nbf: NOW - 101 } }, "window.invalid"],
  ["grant exp one beyond now", { grant: { exp: NOW + 1 } }, null],
  ["grant exp at now", { grant: { exp: NOW } }, "window.expired"],
  ["grant exp at nbf", { grant: { nbf: NOW, exp: NOW } }, "window.invalid"],
  [
    "grant for as long as its class allows",
    { grant: { iat: NOW - 100, exp: NOW - 100 + MONTH } },
    null,
  ],
  [
    "grant for a second more",
    { grant: { iat: NOW - 100, exp: NOW - 99 + MONTH } },
    "signature.class",
  ],
  [
    "grant for as long as the charter allows",
    { charter: { bounds: { ...bounds, grantSeconds: HOUR + 100 } } },
    null,
  ],
  [
    "grant for a second more than the charter allows",
    { charter: { bounds: { ...bounds, grantSeconds: HOUR + 99 } } },
    "window.too-long",
  ],
  ["grant for ever", { grant: { exp: 2 ** 53 - 1 } }, "signature.class"],
  ["credential iat at now", { node: { iat: NOW } }, null],
  ["credential iat one beyond", { node: { iat: NOW + 1 } }, "identity.not-yet"],
  ["credential exp one beyond now", { node: { exp: NOW + 1 } }, null],
  ["credential exp at now", { node: { exp: NOW } }, "identity.expired"],
  ["credential for as long as allowed", { node: { iat: NOW, exp: NOW + NODE_SECONDS } }, null],
  [
    "credential for a second more",
    { node: { iat: NOW, exp: NOW + NODE_SECONDS + 1 } },
    "identity.too-long",
  ],
  [
    "credential that ends before it begins",
    { node: { iat: NOW, exp: NOW - 1 } },
    "identity.expired",
  ],
  ["result iat at now", { plane: true, result: { iat: NOW } }, null],
  ["result iat one beyond", { plane: true, result: { iat: NOW + 1 } }, "plane.not-yet"],
  ["result exp one beyond now", { plane: true, result: { exp: NOW + 1 } }, null],
  ["result exp at now", { plane: true, result: { iat: NOW - 1, exp: NOW } }, "plane.expired"],
  ["result for a minute", { plane: true, result: { iat: NOW - 1, exp: NOW + 59 } }, null],
  [
    "result for a second more",
    { plane: true, result: { iat: NOW - 1, exp: NOW + 60 } },
    "plane.too-long",
  ],
];

describe("clock at exactly each bound and one beyond", () => {
  test.each(rows)("%s", async (_, overrides, code) => {
    if (code === null) await allows(overrides);
    else await denies(overrides, code);
  });
});

const seen = (charterNumber: number, snapshotVersion: number, snapshotDigest: Uint8Array | null) =>
  ({ context: world.floors({ charterNumber, snapshotVersion, snapshotDigest }) }) as const;

describe("versions at exactly each floor and one beyond", () => {
  test("the same version with the same digest, and any newer one", async () => {
    const { snapshot } = await world.build();
    await allows(seen(1, 7, snapshot.digest));
    await allows(seen(1, 6, seeded("an older snapshot")));
    await allows(seen(0, 0, null));
  });

  test("the same version with another digest, an older one, an older charter", async () => {
    const { snapshot } = await world.build();
    await denies(seen(1, 7, seeded("its twin")), "governance.rollback");
    await denies(seen(1, 8, snapshot.digest), "governance.rollback");
    await denies(seen(2, 7, snapshot.digest), "governance.rollback");
  });
});

/** When each part of a case holds, as a table; the slow opinion that the core is compared with. */
interface Times {
  readonly [name: string]: number;
}
const around = fc.integer({ min: -3, max: 3 });
const times = fc.record({
  charterIat: around,
  charterExp: around,
  snapshotIat: around,
  snapshotExp: around,
  grantIat: around,
  grantNbf: around,
  grantExp: around,
  nodeIat: around,
  nodeExp: around,
  floor: around,
});

function opinion(t: Times): Set<string> {
  const found = new Set<string>();
  const claim = (code: Code, fails: boolean) => fails && found.add(code);
  const at = (name: string): number => t[name] ?? 0;
  claim("governance.expired", at("charterExp") <= 0 || at("snapshotExp") <= 0);
  claim("governance.not-yet", at("charterIat") > 0 || at("snapshotIat") > 0);
  claim("governance.clock", at("floor") > 0);
  claim("governance.too-long", at("snapshotExp") <= at("snapshotIat"));
  claim("signature.class", at("grantExp") < at("grantIat"));
  claim("window.invalid", at("grantNbf") < at("grantIat") || at("grantExp") <= at("grantNbf"));
  claim("window.not-yet", at("grantIat") > 0 || at("grantNbf") > 0);
  claim("window.expired", at("grantExp") <= 0);
  claim("window.too-long", at("grantExp") < at("grantIat"));
  claim("identity.not-yet", at("nodeIat") > 0);
  claim("identity.expired", at("nodeExp") <= 0);
  claim("identity.too-long", at("nodeExp") <= at("nodeIat"));
  return found;
}

test("any times near now: all that is wrong is listed, and nothing else", async () => {
  await fc.assert(
    fc.asyncProperty(times, async (t) => {
      const bytes = await world.caseBytes({
        charter: { iat: NOW + t.charterIat, exp: NOW + t.charterExp },
        snapshot: { iat: NOW + t.snapshotIat, exp: NOW + t.snapshotExp },
        grant: { iat: NOW + t.grantIat, nbf: NOW + t.grantNbf, exp: NOW + t.grantExp },
        node: { iat: NOW + t.nodeIat, exp: NOW + t.nodeExp },
        context: world.floors({ time: NOW + t.floor }),
      });
      const verdict = core.decide(bytes, { explain: true });
      expect(new Set(verdict.codes)).toEqual(opinion(t));
      expect(verdict.allow).toBe(verdict.codes.length === 0);
    }),
    { numRuns: 60 },
  );
});
