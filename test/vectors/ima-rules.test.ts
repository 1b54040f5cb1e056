/** IMA rules over lists of real machines, from one quote to the next, and over Keylime's lists and policies. */
import { createPublicKey } from "node:crypto";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { parseYaml } from "../../src/cli/document.ts";
import { draftIma } from "../../src/cli/ima-draft.ts";
import { policyOf } from "../../src/cli/policy-document.ts";
import { draftText } from "../../src/cli/policy-draft.ts";
import { type Code, type Core, loadCore } from "../../src/core/index.ts";
import { encodePayload, type ImaRules } from "../../src/wire/objects.ts";
import { concat } from "../support/ak.ts";
import { NOW, text } from "../support/domain.ts";
import { digestEntry, entryOf, imaCase, rulesOf, stageOf } from "../support/ima-cases.ts";
import type { MadeEntry } from "../support/ima-lists.ts";
import { bytesIn, jsonIn, type PcrFile, pcrsFrom, textIn } from "../support/quote-files.ts";
import { hex } from "../support/signatures.ts";
import { describeVectors } from "../support/vectors.ts";
import { makeWorld } from "../support/world.ts";

let core: Core;
beforeAll(async () => {
  core = await loadCore();
});
const world = makeWorld();
type Files = NonNullable<ImaRules["stages"][number]["files"]>;

/** Rows from lines of path and digest. */
function filesOf(pairs: readonly (readonly [path: string, digest: string])[]): Files {
  const rows = new Map<string, Set<string>>();
  for (const [path, digest] of pairs) {
    rows.set(digest, (rows.get(digest) ?? new Set()).add(path));
  }
  return [...rows].map(([digest, names]) => ({
    digest: hex(digest),
    names: [...names].map((name) => text(name)),
  }));
}

describeVectors("measured-boot-ek: a growing list under an allowlist of the disk", (dir) => {
  const root = join(dir, "measured-boot-ek");
  const lines = textIn(root, "reference-digests.txt").split("\n");
  const pairs = lines.map((line) => [line.slice(66), line.slice(0, 64)] as const);

  const pcrsOf = (folder: string) =>
    pcrsFrom(jsonIn<{ pcrs: PcrFile }>(join(root, folder), "pcrs.json").pcrs);

  function judge(folder: string, ima: ImaRules): readonly Code[] {
    const at = join(root, folder);
    const all = pcrsOf(folder);
    const pcr0 = all.sha256?.[0] ?? new Uint8Array(32);
    const policy = encodePayload("policy", {
      ...{ domain: "example.test", iat: NOW, name: "base", version: 1 },
      pcrs: { sha256: new Map([[0, [pcr0]]]) },
      ima,
    });
    const quote = "quote-ecc-sha256-0-15";
    return core.appraiseQuote({
      publicArea: bytesIn(at, "ak-ecc.TPMT_PUBLIC.bin"),
      attest: bytesIn(at, `${quote}.TPMS_ATTEST.bin`),
      signature: bytesIn(at, `${quote}.TPMT_SIGNATURE.bin`),
      qualifyingData: hex(textIn(at, "nonce.hex").trim()),
      pcrs: all,
      policy,
      ima: bytesIn(at, "ima_binary_runtime_measurements"),
    }).codes;
  }

  test.each(["s1-boot1-q1", "s1-boot1-q2", "s1-boot1-q3", "s1-boot2", "s1-boot4-other-cmdline"])(
    "%s",
    (folder) => {
      const allowing = (files: Files) => rulesOf([stageOf([], { files })], true);
      expect(judge(folder, allowing(filesOf(pairs)))).toEqual([]);
      // Each of the two tools that ran before q2 and q3 is missed where it is not listed.
      const less = filesOf(pairs.filter(([path]) => path !== "/usr/local/bin/tool-a"));
      const ran = textIn(join(root, folder), "ima_ascii_runtime_measurements").includes("/tool-a");
      expect(judge(folder, allowing(less))).toEqual(ran ? ["environment.ima-file"] : []);
    },
  );

  test("the draft of a list, boot_aggregate and all, allows what was there, and no more", () => {
    const draftOf = (folder: string): ImaRules => {
      const bytes = bytesIn(join(root, folder), "ima_binary_runtime_measurements");
      const { list = [] } = core.replayIma(bytes, { bank: "sha256", withEntries: true });
      const { lines, left } = draftIma(list, pcrsOf(folder));
      expect(left).toEqual([]);
      const yaml = draftText("base", [lines]);
      return policyOf(parseYaml(Buffer.from(yaml), "a draft")).ima ?? rulesOf([]);
    };
    const [first, third] = [draftOf("s1-boot1-q1"), draftOf("s1-boot1-q3")];
    expect([first.aggregate, third.aggregate]).toEqual([true, true]);
    expect(judge("s1-boot1-q1", first)).toEqual([]);
    expect(judge("s1-boot1-q3", first)).toEqual(["environment.ima-file"]);
    for (const folder of ["s1-boot1-q1", "s1-boot1-q2", "s1-boot1-q3"]) {
      expect(judge(folder, third), folder).toEqual([]);
    }
  });
});

/** "10 <template digest> <template> <hash>:<digest> <name> <last field>" */
function entryOfLine(line: string): MadeEntry {
  const [, , template = "", digest = "", name = "", last = ""] = line.split(" ");
  const [hash = "", value = ""] = digest.split(":");
  if (template === "ima-ng") return digestEntry(name, hash, hex(value));
  const dNg = concat(text(`${hash}:\0`), hex(value));
  return entryOf(template, dNg, text(`${name}\0`), hex(last));
}
const entriesOf = (list: string): MadeEntry[] =>
  list
    .split("\n")
    .filter((line) => line !== "")
    .map(entryOfLine);

async function codeOf(list: string, rules: ImaRules): Promise<Code | null> {
  return core.decide(await world.caseBytes(imaCase(entriesOf(list), { rules }))).code;
}

interface Policy {
  readonly digests: Readonly<Record<string, readonly string[]>>;
}
const pairsOf = ({ digests }: Policy) =>
  Object.entries(digests).flatMap(([path, all]) => all.map((digest) => [path, digest] as const));

interface Verification {
  readonly measurements: string;
  readonly signatures: string;
  readonly bad_signatures: string;
  readonly keyrings: string;
  readonly runtime_policy: Policy & { readonly keyrings: Policy["digests"] };
  readonly runtime_policy_wrong: Policy;
}

describeVectors("keylime/ima/verification.json", (dir) => {
  const v = jsonIn<Verification>(join(dir, "keylime/ima"), "verification.json");
  const right = filesOf(pairsOf(v.runtime_policy));
  const wrong = filesOf(pairsOf(v.runtime_policy_wrong));

  test("measurements pass under their policy, fail under the wrong one unless excluded", async () => {
    expect(await codeOf(v.measurements, rulesOf([stageOf([], { files: right })]))).toBe(null);
    const code = "environment.ima-file";
    expect(await codeOf(v.measurements, rulesOf([stageOf([], { files: wrong })]))).toBe(code);
    const excluded = [text("/lib/modules/")];
    const rules = rulesOf([stageOf([], { files: wrong, excluded })]);
    expect(await codeOf(v.measurements, rules)).toBe(null);
    expect(await codeOf(v.signatures, rulesOf([stageOf([], { files: wrong })]))).toBe(code);
    expect(await codeOf(v.signatures, rulesOf([stageOf([], { files: right })]))).toBe(null);
  });

  test("the RSA signature verifies, that of a curve we do not have allows nothing, nor a bad one", async () => {
    const jwk = createPublicKey(textIn(join(dir, "keylime/ima/ima_keys"), "rsa2048pub.pem")).export(
      {
        format: "jwk",
      },
    );
    const part = (value = ""): Uint8Array => new Uint8Array(Buffer.from(value, "base64url"));
    const key = { kty: "RSA", n: part(jwk.n), e: part(jwk.e) } as const;
    const rules = rulesOf([stageOf([], { keys: [{ id: hex("f3452d23"), key }] })]);
    const [rsa = "", ec = ""] = v.signatures.split("\n");
    expect(await codeOf(rsa, rules)).toBe(null);
    expect(await codeOf(ec, rules)).toBe("environment.ima-signature");
    expect(await codeOf(v.bad_signatures, rules)).toBe("environment.ima-signature");
  });

  test("a key of the keyring passes where it is listed", async () => {
    const buffers = filesOf(pairsOf({ digests: v.runtime_policy.keyrings }));
    expect(await codeOf(v.keyrings, rulesOf([stageOf([], { buffers })]))).toBe(null);
    expect(await codeOf(v.keyrings, rulesOf([stageOf([], { files: buffers })]))).toBe(
      "environment.ima-buffer",
    );
  });
});

describeVectors("keylime/ima/create-runtime-policy", (dir) => {
  const folder = join(dir, "keylime/ima/create-runtime-policy");
  describe.each(["sha1", "sha256", "sha384", "sha512"])("%s", (hash) => {
    test("a list passes under the allowlist of its files", async () => {
      const [digest = "", path = ""] = textIn(folder, `allowlist-${hash}`).trim().split(/\s+/);
      const rules = rulesOf([stageOf([], { files: filesOf([[`/${path}`, digest]]) })]);
      const list = textIn(folder, `ima-log-${hash}`);
      expect(await codeOf(list, rules)).toBe(null);
      const other = rulesOf([stageOf([], { files: filesOf([["/other", digest]]) })]);
      expect(await codeOf(list, other)).toBe("environment.ima-file");
    });
  });
  test.each(["sm3_256", "unknown"])(
    "%s: a hash that the core has not matches nothing",
    async (hash) => {
      const list = textIn(folder, `ima-log-${hash}`);
      const digest = /:([0-9a-f]+) \/data/.exec(list)?.[1] ?? "";
      const same = digest.length === 64 ? digest : "00".repeat(32);
      const rules = rulesOf([stageOf([], { files: filesOf([["/data", same]]) })]);
      expect(await codeOf(list, rules)).toBe("environment.ima-file");
    },
  );
});
