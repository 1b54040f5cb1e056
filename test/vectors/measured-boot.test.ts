/**
 * Boots of virtual machines with a software TPM: keys in both hierarchies, sequences over reboots.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { type ClockFloor, type Core, loadCore, type Quote } from "../../src/core/index.ts";
import {
  bytesIn,
  type ExpectedQuote,
  foldersWith,
  jsonIn,
  type PcrFile,
  pcrsFrom,
  policyOver,
  publicAreaOf,
  textIn,
} from "../support/quote-files.ts";
import { HASHES, hex } from "../support/signatures.ts";
import { describeVectors } from "../support/vectors.ts";

let core: Core;
beforeAll(async () => {
  core = await loadCore();
});

type Selection = ExpectedQuote["selection"];
const indexes = (last: number): number[] => Array.from({ length: last + 1 }, (_, i) => i);

interface Statement {
  readonly key: "ecc" | "rsa";
  readonly name: string;
  readonly selection: Selection;
}

/** The quotes of a folder by their names: quote-KEY-BANK+BANK[-0-LAST], PCR 0 to 15 unless told. */
function quotesIn(folder: string): Statement[] {
  return readdirSync(folder).flatMap((file) => {
    const found = /^(quote-(ecc|rsa)-([a-z0-9+]+?)(?:-0-(\d+))?)\.TPMS_ATTEST\.bin$/.exec(file);
    if (!found) return [];
    const [, name = "", key = "", banks = "", last = "15"] = found;
    const selection = HASHES.filter((bank) => banks.split("+").includes(bank)).map(
      (bank) => [bank, indexes(Number(last))] as const,
    );
    return [{ key: key === "ecc" ? "ecc" : "rsa", name, selection }];
  });
}

function load(folder: string, statement: Statement): Quote {
  const { pcrs: file } = jsonIn<{ pcrs: PcrFile }>(folder, "pcrs.json");
  const pcrs = pcrsFrom(file);
  return {
    publicArea: bytesIn(folder, `ak-${statement.key}.TPMT_PUBLIC.bin`),
    attest: bytesIn(folder, `${statement.name}.TPMS_ATTEST.bin`),
    signature: bytesIn(folder, `${statement.name}.TPMT_SIGNATURE.bin`),
    qualifyingData: hex(textIn(folder, "nonce.hex")),
    pcrs,
    policy: policyOver(statement.selection, pcrs),
  };
}

describeVectors("measured-boot", (dir) => {
  const root = join(dir, "measured-boot");
  describe.each(foldersWith(root, "pcrs.json"))("%s", (name) => {
    const folder = join(root, name);
    const statements = quotesIn(folder);
    test("four quotes", () => expect(statements).toHaveLength(4));

    test.each(statements)("$name holds; its counters are obfuscated", (statement) => {
      const quote = load(folder, statement);
      expect(core.appraiseQuote(quote)).toMatchObject({ ok: true, codes: [] });
      expect(core.appraiseQuote(quote).unchecked).toContain("qualifiedSigner");
      const floor = { resetCount: 0, restartCount: 0, clock: 0n };
      const { codes } = core.appraiseQuote({ ...quote, floor });
      expect(codes).toEqual(["environment.clock-obfuscated"]);
    });

    test("a statement about time is no quote", () => {
      const statement = { key: "ecc", name: "gettime-ecc", selection: [["sha256", [0]]] } as const;
      const { codes } = core.appraiseQuote(load(folder, statement));
      expect(codes).toEqual(["environment.quote-type"]);
    });
  });

  test("swtpm-plain: the key as PEM, the values one behind another", () => {
    const folder = join(root, "swtpm-plain");
    const values = bytesIn(folder, "pcrs.bin");
    const pcrs = {
      sha256: Object.fromEntries(
        indexes(values.length / 32 - 1).map((i) => [i, values.slice(i * 32, i * 32 + 32)]),
      ),
    };
    const selection: Selection = [["sha256", indexes(values.length / 32 - 1)]];
    const expected = { extraData: "", scheme: "ecdsa", hash: "sha256", selection } as const;
    const { codes } = core.appraiseQuote({
      publicArea: publicAreaOf(textIn(folder, "ak.pem"), expected),
      attest: bytesIn(folder, "quote.attest"),
      signature: bytesIn(folder, "quote.sig"),
      qualifyingData: hex(textIn(folder, "nonce.hex")),
      pcrs,
      policy: policyOver(selection, pcrs),
    });
    expect(codes).toEqual([]);
  });
});

interface Expected {
  readonly resetCount: number;
  readonly restartCount: number;
  readonly firmwareVersion: string;
  readonly quotes: { readonly [name: string]: { readonly clock: string } };
  readonly verifier: {
    readonly relativeTo: string | null;
    readonly expect: string;
    readonly pcrsChanged?: readonly number[];
    readonly sameAk?: boolean;
  };
}

describeVectors("measured-boot-ek", (dir) => {
  const root = join(dir, "measured-boot-ek");
  const read = (name: string) => jsonIn<Expected>(root, name, "expected.json");
  const ekName = (name: string) => bytesIn(root, name, "ek-rsa2048.name.bin");

  /** What a verifier has seen once it accepted this quote. */
  function floorOf(name: string, quote: string): ClockFloor {
    const { resetCount, restartCount, firmwareVersion, quotes } = read(name);
    const clock = BigInt(quotes[quote]?.clock ?? "");
    return { resetCount, restartCount, clock, firmwareVersion: BigInt(firmwareVersion) };
  }

  describe.each(foldersWith(root, "expected.json"))("%s", (name) => {
    const folder = join(root, name);
    const { verifier } = read(name);
    const previous = verifier.relativeTo;
    const statements = quotesIn(folder);
    test("quotes by both keys", () => {
      expect(new Set(statements.map(({ key }) => key))).toEqual(new Set(["ecc", "rsa"]));
    });

    test.each(statements)("$name holds, from its own counters on", (statement) => {
      const quote = { ...load(folder, statement), ekName: ekName(name) };
      const floor = floorOf(name, statement.name);
      const appraisal = core.appraiseQuote({ ...quote, floor });
      expect(appraisal).toMatchObject({ ok: true, code: null, unchecked: ["eventLog", "ima"] });
      const codesWith = (change: Partial<ClockFloor>) =>
        core.appraiseQuote({ ...quote, floor: { ...floor, ...change } }).codes;
      const clock = floor.clock + 1n;
      const firmwareVersion = (floor.firmwareVersion ?? 0n) + 1n;
      expect(codesWith({ clock })).toEqual(["environment.clock-rollback"]);
      expect(codesWith({ restartCount: floor.restartCount + 1 })).toEqual([
        "environment.clock-reset",
      ]);
      expect(codesWith({ firmwareVersion })).toEqual(["environment.firmware-rollback"]);
      // As a primary key, or under another EK, the key would have another qualified name.
      const { ekName: _, ...primary } = quote;
      for (const other of [primary, { ...quote, ekName: ekName(name).fill(7, 2) }]) {
        const { codes } = core.appraiseQuote({ ...other, floor });
        expect(codes).toEqual(["environment.clock-obfuscated"]);
      }
    });

    test.runIf(previous !== null).each(statements)("$name follows its predecessor", (statement) => {
      const earlier = previous ?? "";
      const quote = { ...load(folder, statement), ekName: ekName(name) };
      expect(core.appraiseQuote({ ...quote, floor: floorOf(earlier, statement.name) }).ok).toBe(
        true,
      );
      const before = { ...load(join(root, earlier), statement), ekName: ekName(earlier) };
      const { codes } = core.appraiseQuote({ ...before, floor: floorOf(name, statement.name) });
      const [then, now] = [read(earlier), read(name)];
      const session = then.resetCount === now.resetCount && then.restartCount === now.restartCount;
      expect(codes).toEqual([session ? "environment.clock-rollback" : "environment.clock-reset"]);
      // The policy made from the values of before tells whether the state is still that one.
      const changed = (verifier.pcrsChanged ?? []).some((pcr) =>
        statement.selection.some(([, selected]) => selected.includes(pcr)),
      );
      const { codes: found } = core.appraiseQuote({ ...quote, policy: before.policy });
      expect(found).toEqual(changed ? ["environment.pcr-mismatch"] : []);
    });

    test("a certified NV index is no quote (GHSA-gwfg-w3jr-xh66), a statement about time neither", () => {
      const other = readdirSync(folder).filter((file) =>
        /^(nvcertify|gettime)-.*ATTEST/.test(file),
      );
      expect(other.length).toBeGreaterThan(0);
      for (const file of other) {
        const named = file.replace(/\.TPMS_ATTEST\.bin$/, "");
        const key = named.includes("rsa") ? "rsa" : "ecc";
        const quote = load(folder, { key, name: named, selection: [["sha256", [0]]] });
        expect(core.appraiseQuote(quote).codes).toEqual(["environment.quote-type"]);
      }
    });
  });
});
