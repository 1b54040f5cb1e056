/** IMA rules of policies in a case: what a machine may have measured since it booted, and from where a list may go on. */
import { describe, expect, test } from "vitest";
import { type Code, loadCore } from "../../../src/core/index.ts";
import type { ImaRules } from "../../../src/wire/objects.ts";
import { concat } from "../../support/ak.ts";
import { text } from "../../support/domain.ts";
import { HASH } from "../../support/event-logs.ts";
import {
  aggregateEntry,
  BOOT_PCRS,
  bufferEntry,
  buffersOf,
  digestEntry,
  entryOf,
  FILE_KEYS,
  fileDigest,
  IMA_KEY,
  imaCase,
  imaSignature,
  pcr10,
  rulesOf,
  signedEntry,
  stageOf,
} from "../../support/ima-cases.ts";
import {
  encodeList,
  fields,
  legacyEntry,
  type MadeEntry,
  ngEntry,
} from "../../support/ima-lists.ts";
import { seeded } from "../../support/keys.ts";
import { makeWorld } from "../../support/world.ts";

const core = await loadCore();
const world = makeWorld();
type Options = Parameters<typeof imaCase>[1];

async function decide(entries: readonly MadeEntry[], options: Options = {}) {
  const bytes = await world.caseBytes(imaCase(entries, options));
  const verdict = core.decide(bytes);
  const explained = core.decide(bytes, { explain: true });
  expect([explained.allow, explained.code]).toEqual([verdict.allow, verdict.code]);
  expect(explained.ima).toEqual(verdict.ima);
  expect(verdict.ima === null || verdict.allow).toBe(true);
  return verdict;
}
const codeOf = async (entries: readonly MadeEntry[], rules: ImaRules): Promise<Code | null> =>
  (await decide(entries, { rules })).code;

const A = ngEntry("/bin/a");
const B = ngEntry("/bin/b");
const aggregate = (last: number) =>
  aggregateEntry(BOOT_PCRS.flatMap(([pcr, value]) => (pcr <= last ? [value] : [])));

describe("a list", () => {
  test("of allowed files is allowed, and tells what was proven", async () => {
    const verdict = await decide([A, B, A]);
    expect(verdict.allow).toBe(true);
    expect(verdict.ima).toEqual({ entries: 3, values: [pcr10([A, B, A])] });
  });

  test("with a file that no rule allows is denied, and the entry told, wherever it stands", async () => {
    for (const at of [0, 1, 2]) {
      const entries = [A, B].toSpliced(at, 0, ngEntry("/tmp/x"));
      const { code, ima, ...verdict } = await decide(entries);
      expect([code, ima]).toEqual(["environment.ima-file", null]);
      expect("deniedImaEntry" in verdict && verdict.deniedImaEntry).toBe(at);
    }
  });

  test("is judged up to the quoted value: what came later is neither judged nor proven", async () => {
    const { ima } = await decide([A], { list: encodeList([A, ngEntry("/tmp/later")]) });
    expect(ima).toEqual({ entries: 1, values: [pcr10([A])] });
  });

  test("is missed where a policy has rules over it", async () => {
    expect((await decide([A], { list: null })).code).toBe("environment.ima-missing");
  });

  test("must satisfy every policy", async () => {
    const two = {
      ...imaCase([A, B]),
      policies: [
        { ima: rulesOf([stageOf(["/bin/a", "/bin/b"])]) },
        { name: "other", ima: rulesOf([stageOf(["/bin/a"])]) },
      ],
    };
    expect(core.decide(await world.caseBytes(two)).code).toBe("environment.ima-file");
  });
});

describe("rules over files", () => {
  const other = digestEntry("/bin/a", "sha256", fileDigest("/bin/b"));
  test("bind a path to its digests", async () => {
    expect((await decide([other])).code).toBe("environment.ima-file");
    const both = { digest: fileDigest("/bin/b"), names: [text("/bin/a"), text("/bin/b")] };
    expect(await codeOf([other, B], rulesOf([stageOf([], { files: [both] })]))).toBe(null);
  });

  test("or take a digest under any path", async () => {
    const any = rulesOf([stageOf([], { files: [{ digest: fileDigest("/bin/b"), names: [] }] })]);
    expect(await codeOf([other, B], any)).toBe(null);
    expect(await codeOf([A], any)).toBe("environment.ima-file");
  });

  test("hold digests of each hash apart, by the name that the kernel gave", async () => {
    const digests = {
      sha1: HASH.sha1(text("x")),
      sha384: HASH.sha384(text("x")),
      sha512: HASH.sha512(text("x")),
    };
    for (const [hash, digest] of Object.entries(digests)) {
      const rules = rulesOf([stageOf([], { files: [{ digest, names: [] }] })]);
      expect(await codeOf([digestEntry("/x", hash, digest)], rules)).toBe(null);
    }
    const sha256 = fileDigest("/x");
    const rules = rulesOf([stageOf(["/x"])]);
    for (const hash of ["sm3-256", "sha3-256", "SHA256", "ima:sha256", "sha256:ima"]) {
      const code = await codeOf([digestEntry("/x", hash, sha256)], rules);
      expect(code, hash).toBe("environment.ima-file");
    }
    const short = digestEntry("/x", "sha256", sha256.subarray(1));
    expect(await codeOf([short], rules)).toBe("environment.ima-template");
  });

  test("find a row among many, digests that begin alike among them", async () => {
    const alike = [0, 1, 2, 3].map((i) => {
      const digest = fileDigest("/x").slice();
      digest[20 + i] = (digest[20 + i] ?? 0) ^ 1;
      return digest;
    });
    const many = Array.from({ length: 300 }, (_, i) => fileDigest(`/many/${i}`));
    const files = [...alike, ...many].map((digest) => ({ digest, names: [] }));
    const rules = rulesOf([stageOf([], { files })]);
    const entries = [...alike, ...many].map((digest) => digestEntry("/y", "sha256", digest));
    expect(await codeOf(entries, rules)).toBe(null);
    expect(await codeOf([ngEntry("/x")], rules)).toBe("environment.ima-file");
  });

  test("excuse what lies below an excluded folder, and nothing beside it", async () => {
    const rules = rulesOf([stageOf([], { excluded: [text("/var/tmp/")] })]);
    expect(await codeOf([ngEntry("/var/tmp/x/y")], rules)).toBe(null);
    for (const path of ["/var/tmp", "/var/tmpx", "var/tmp/x", "/x/var/tmp/y", "boot_aggregate2"]) {
      expect(await codeOf([ngEntry(path)], rules), path).toBe("environment.ima-file");
    }
    expect(await codeOf([A, ngEntry("/var/tmp/x", "zero")], rules)).toBe(
      "environment.ima-violation",
    );
  });

  test("excuse no memfd, whose name its maker chooses", async () => {
    const memfd = ngEntry("/memfd:tmp/x (deleted)");
    const excluded = rulesOf([stageOf([], { excluded: [text("/memfd:tmp/")] })]);
    expect(await codeOf([memfd], excluded)).toBe("environment.ima-file");
    const listed = rulesOf([stageOf(["/memfd:tmp/x (deleted)"])]);
    expect(await codeOf([memfd], listed)).toBe(null);
  });
});

describe("entries", () => {
  const digest = concat(text("sha256:\0"), fileDigest("/bin/a"));
  const name = text("/bin/a\0");
  const none = new Uint8Array(0);
  const typed = concat(text("ima:"), digest);

  test("of every template of the kernel's are judged by file and name", async () => {
    const forms = [
      entryOf("ima-ng", digest, name),
      entryOf("ima-ngv2", typed, name),
      entryOf("ima-sig", digest, name, none),
      entryOf("ima-sigv2", typed, name, none),
      entryOf("ima-modsig", digest, name, none, none, none),
      entryOf("evm-sig", digest, name, none, none, none, none, none, none, none),
    ];
    for (const form of forms) {
      expect((await decide([form])).code, form.template).toBe(null);
      const longer = { ...form, data: concat(form.data, Uint8Array.of(0)) };
      const shorter = { ...form, data: form.data.subarray(0, -1) };
      for (const wrong of [longer, shorter]) {
        expect((await decide([wrong])).code, form.template).toBe("environment.ima-template");
      }
    }
    const sha1 = { digest: HASH.sha1(text("/bin/a")), names: [text("/bin/a")] };
    const rules = rulesOf([stageOf([], { files: [sha1] })]);
    expect(await codeOf([legacyEntry("/bin/a")], rules)).toBe(null);
    expect((await decide([legacyEntry("/bin/a")])).code).toBe("environment.ima-file");
  });

  test("of fs-verity are of another digest than the file's, like what else is not IMA's", async () => {
    for (const kind of ["verity:", "abc:"]) {
      const other = concat(text(kind), digest);
      const { code } = await decide([entryOf("ima-sigv2", other, name, none)]);
      expect(code, kind).toBe("environment.ima-file");
    }
  });

  test.each([
    ["an unknown template", entryOf("ima-new", digest, name)],
    ["an empty name", entryOf("ima-ng", digest, text("\0"))],
    ["no name at all", entryOf("ima-ng", digest, none)],
    ["a name without its NUL", entryOf("ima-ng", digest, text("/bin/a"))],
    ["a NUL inside a name", entryOf("ima-ng", digest, text("/bin/a\0b\0"))],
    ["no hash", entryOf("ima-ng", fileDigest("/bin/a"), name)],
    ["no digest", entryOf("ima-ng", text("sha256:\0"), name)],
    ["a hash without its NUL", entryOf("ima-ng", text("sm3:"), name)],
    ["a hash without its colon", entryOf("ima-ng", text("sha256\0"), name)],
    ["an empty legacy name", legacyEntry("")],
    ["a NUL in a legacy name", legacyEntry("/bin/a\0")],
    ["one field", { ...A, data: fields(digest) }],
    ["no field", { ...A, data: none }],
    ["a length beyond all", { ...A, data: concat(Uint8Array.of(255, 255, 255, 255), digest) }],
  ] as const)("with %s are denied", async (_, entry) => {
    expect((await decide([entry])).code).toBe("environment.ima-template");
  });

  test("of buffers are allowed by name and digest, and never as files", async () => {
    const rules = rulesOf([stageOf(["/bin/a"], buffersOf([".ima"]))]);
    expect(await codeOf([A, bufferEntry(".ima")], rules)).toBe(null);
    expect(await codeOf([bufferEntry(".evm")], rules)).toBe("environment.ima-buffer");
    expect(await codeOf([bufferEntry("/bin/a")], rules)).toBe("environment.ima-buffer");
    expect(await codeOf([ngEntry(".ima")], rules)).toBe("environment.ima-file");
    const excluded = rulesOf([stageOf([], { excluded: [text("/bin/")] })]);
    expect(await codeOf([bufferEntry("/bin/a")], excluded)).toBe("environment.ima-buffer");
  });
});

describe("boot_aggregate", () => {
  const stages = [stageOf(["/bin/a"])];
  test("is that of the quoted PCRs, in the kernel's forms", async () => {
    for (const first of [aggregate(9), aggregate(7)]) {
      expect((await decide([first, A], { rules: rulesOf(stages, true) })).code).toBe(null);
    }
    for (const first of [aggregate(8), aggregate(6), ngEntry("boot_aggregate"), A]) {
      const { code } = await decide([first, A], { rules: rulesOf(stages, true) });
      expect(code).toBe("environment.ima-aggregate");
    }
    const { data } = aggregate(9);
    const digest = data.subarray(4 + "sha256:\0".length, 4 + "sha256:\0".length + 32);
    for (const first of [
      digestEntry("/x", "sha256", digest),
      digestEntry("boot_aggregate", "sm3-256", digest),
    ]) {
      const { code } = await decide([first, A], { rules: rulesOf(stages, true) });
      expect(code).toBe("environment.ima-aggregate");
    }
  });

  test("is of no PCR that the quote does not cover, as if that were zero or not there", async () => {
    const gap = BOOT_PCRS.filter(([pcr]) => pcr !== 8).map(([, value]) => value);
    for (const values of [gap, gap.toSpliced(8, 0, new Uint8Array(32))]) {
      const entries = [aggregateEntry(values), A];
      const made = imaCase(entries, { rules: rulesOf(stages, true) });
      const sha256 = new Map([...(made.pcrs?.sha256 ?? [])].filter(([pcr]) => pcr !== 8));
      const bytes = await world.caseBytes({ ...made, pcrs: { sha256 } });
      expect(core.decide(bytes).code).toBe("environment.ima-aggregate");
    }
  });

  test("is let be where no rule asks, but only as the boot's first entry", async () => {
    const any = ngEntry("boot_aggregate");
    expect(await codeOf([any, A], rulesOf(stages))).toBe(null);
    expect(await codeOf([A, any], rulesOf(stages))).toBe("environment.ima-file");
    expect(await codeOf([bufferEntry("boot_aggregate")], rulesOf(stages))).toBe(
      "environment.ima-buffer",
    );
    const { code } = await decide([any], { rules: rulesOf(stages), prefix: [A] });
    expect(code).toBe("environment.ima-file");
  });
});

describe("signatures", () => {
  const rules = rulesOf([stageOf([], { keys: [IMA_KEY] })]);
  const good = imaSignature("/opt/x");
  const judge = (signature: Uint8Array, of = rules) =>
    codeOf([signedEntry("/opt/x", signature)], of);
  const wrong = "environment.ima-signature";

  test("by a key of the policy allow a file under any path", async () => {
    expect(await judge(good)).toBe(null);
    expect(await codeOf([signedEntry("/opt/y", good)], rules)).toBe(wrong);
    const none = new Uint8Array(0);
    expect(await codeOf([signedEntry("/opt/x", none)], rules)).toBe("environment.ima-file");
    // EVM's signature is over a file's attributes, and says nothing of its bytes.
    const digest = concat(text("sha256:\0"), fileDigest("/opt/x"));
    const rest = Array<Uint8Array>(6).fill(none);
    const evm = entryOf("evm-sig", digest, text("/opt/x\0"), good, ...rest);
    expect(await codeOf([evm], rules)).toBe("environment.ima-file");
  });

  test("by EC keys, two of one id, verify by the one that made them", async () => {
    const keys = [FILE_KEYS["P-256"].named, FILE_KEYS["P-384"].named];
    const ec = rulesOf([stageOf([], { keys })]);
    for (const type of ["P-256", "P-384"] as const) {
      for (let i = 0; i < 8; i++)
        expect(await judge(imaSignature("/opt/x", { type }), ec)).toBe(null);
      const signature = imaSignature("/opt/x", { type });
      for (let at = 0; at < signature.length; at++) {
        const flipped = signature.slice();
        flipped[at] = (flipped[at] ?? 0) ^ 0x80;
        expect(await judge(flipped, ec), `${at}`).toBe(wrong);
      }
      expect(await judge(imaSignature("/opt/y", { type }), ec)).toBe(wrong);
    }
  });

  test("by an unknown key, over another hash, cut, longer or changed allow nothing", async () => {
    expect(await judge(imaSignature("/opt/x", { id: Uint8Array.of(1, 2, 3, 4) }))).toBe(wrong);
    for (const hash of ["sha1", "sha384", "sha512"] as const) {
      expect(await judge(imaSignature("/opt/x", { hash }))).toBe(wrong);
    }
    for (const at of [0, 1, 8, 9, 100, good.length - 1]) {
      const flipped = good.slice();
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      expect(await judge(flipped), `${at}`).toBe(wrong);
      expect(await judge(good.subarray(0, at + 1).slice(0, -1)), `${at}`).toBe(
        at === 0 ? "environment.ima-file" : wrong,
      );
    }
    expect(await judge(concat(good, Uint8Array.of(0)))).toBe(wrong);
  });

  test("need not be good where another rule allows the file", async () => {
    const both = rulesOf([stageOf(["/opt/x"], { keys: [IMA_KEY] })]);
    expect(await judge(Uint8Array.of(3), both)).toBe(null);
  });
});

describe("stages", () => {
  const old = stageOf(["/bin/a"], { to: 2 });
  const now = stageOf(["/bin/b"], { from: 1 });
  test("hold for the entries of their range, one of them sufficing", async () => {
    const rules = rulesOf([old, now]);
    expect(await codeOf([A, A, B], rules)).toBe(null);
    expect(await codeOf([A, B, B], rules)).toBe(null);
    expect(await codeOf([B, A], rules)).toBe("environment.ima-file");
    expect(await codeOf([A, B, A], rules)).toBe("environment.ima-file");
  });

  test("count from the boot's first entry, behind a prefix too", async () => {
    const rules = rulesOf([old, now]);
    expect((await decide([A, B], { rules, prefix: [A] })).code).toBe(null);
    expect((await decide([A], { rules, prefix: [A, B] })).code).toBe("environment.ima-file");
  });
});

describe("a prefix", () => {
  test("is continued, and adds up", async () => {
    const { ima } = await decide([B], { prefix: [A, A] });
    expect(ima).toEqual({ entries: 3, values: [pcr10([A, A, B])] });
  });

  test("may be all that there is", async () => {
    const { ima } = await decide([], { prefix: [A, A] });
    expect(ima).toEqual({ entries: 2, values: [pcr10([A, A])] });
    const later = await decide([], { prefix: [A], list: encodeList([ngEntry("/tmp/later")]) });
    expect(later.ima).toEqual({ entries: 1, values: [pcr10([A])] });
  });

  test("of another boot session, other policies or other banks is continued by nothing", async () => {
    const prefix = [A];
    const others = [
      { resetCount: 11 },
      { restartCount: 4 },
      { policies: [seeded("another policy")] },
      { values: [new Uint8Array(20)] },
      { values: [pcr10(prefix), pcr10([])] },
      { values: [new Uint8Array(33)] },
    ];
    for (const prefixed of others) {
      const { code } = await decide([B], { prefix, prefixed });
      expect(code, JSON.stringify(prefixed)).toBe("environment.ima-resume");
    }
  });

  test("with another value leads nowhere, and one that claims other entries shifts stages alone", async () => {
    const values = [pcr10([B])];
    expect((await decide([B], { prefix: [A], prefixed: { values } })).code).toBe(
      "environment.ima-mismatch",
    );
    // The number is the host's own: it moves the ranges, and is trusted as far as the host is.
    const { ima } = await decide([B], { prefix: [A], prefixed: { entries: 7 } });
    expect(ima?.entries).toBe(8);
  });

  test("without a list is no proof", async () => {
    expect((await decide([], { prefix: [A], list: null })).code).toBe("environment.ima-missing");
  });
});
