/**
 * Sequences of one machine (measured-boot-ek): what a verifier concludes from one to the next, of IMA lists that grow
 * and of NV counters.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { certifiedCounter } from "../../src/agent/state-counter.ts";
import { type Core, loadCore, type Quote } from "../../src/core/index.ts";
import { requireAnchored, StateRollback } from "../../src/gate/anchor.ts";
import { parsePublic } from "../../src/tpm/structures/public.ts";
import {
  bytesIn,
  jsonIn,
  type PcrFile,
  pcrsFrom,
  policyOver,
  textIn,
} from "../support/quote-files.ts";
import { hex } from "../support/signatures.ts";
import { describeVectors } from "../support/vectors.ts";

let core: Core;
beforeAll(async () => {
  core = await loadCore();
});

const PCR_IMA = 10;
const LIST = "ima_binary_runtime_measurements";

interface Expected {
  readonly imaEntries: number;
  readonly imaBytes: number;
  readonly nv?: { readonly name: string; readonly value: string; readonly isCounter: boolean };
  readonly verifier: {
    readonly relativeTo: string | null;
    readonly expect: string;
    readonly imaPreviousListIsPrefix?: boolean;
    readonly imaEntriesAdded?: readonly { readonly path: string; readonly digest: string }[];
  };
}

describeVectors("measured-boot-ek: a list goes on where it was proven", (dir) => {
  const root = join(dir, "measured-boot-ek");
  const names = readdirSync(root).filter((name) => name.startsWith("s1-"));
  const expected = (name: string) => jsonIn<Expected>(root, name, "expected.json");
  const later = names.filter((name) => expected(name).verifier.relativeTo !== null);

  function quoteOf(name: string): Quote {
    const folder = join(root, name);
    const pcrs = pcrsFrom(jsonIn<{ pcrs: PcrFile }>(folder, "pcrs.json").pcrs);
    const indexes = Array.from({ length: 16 }, (_, i) => i);
    return {
      publicArea: bytesIn(folder, "ak-ecc.TPMT_PUBLIC.bin"),
      attest: bytesIn(folder, "quote-ecc-sha256-0-15.TPMS_ATTEST.bin"),
      signature: bytesIn(folder, "quote-ecc-sha256-0-15.TPMT_SIGNATURE.bin"),
      qualifyingData: hex(textIn(folder, "nonce.hex")),
      pcrs,
      policy: policyOver([["sha256", indexes]], pcrs),
    };
  }

  test.each(later)("%s", (name) => {
    const { verifier, imaEntries } = expected(name);
    const before = verifier.relativeTo ?? "";
    const { imaEntries: proven, imaBytes } = expected(before);
    const list = bytesIn(join(root, name), LIST);
    const { pcrs } = quoteOf(before);
    const imaPrefix = { entries: proven, values: [pcrs.sha256?.[PCR_IMA] ?? new Uint8Array(32)] };
    const isPrefix = verifier.imaPreviousListIsPrefix === true;
    const codes = isPrefix ? [] : ["environment.ima-mismatch"];
    const ima = isPrefix ? list.subarray(imaBytes) : list;
    const resumed = core.appraiseQuote({ ...quoteOf(name), ima, imaPrefix });
    expect(resumed.codes).toEqual(codes);
    // The whole list is good in any case: a new boot's begins anew.
    expect(core.appraiseQuote({ ...quoteOf(name), ima: list }).codes).toEqual([]);
    expect(
      Buffer.compare(list.subarray(0, imaBytes), bytesIn(join(root, before), LIST)) === 0,
    ).toBe(isPrefix);
    const told = core.replayIma(ima, { bank: "sha256", withEntries: true }).list ?? [];
    if (isPrefix) {
      const added = verifier.imaEntriesAdded ?? [];
      expect(told.length).toBe(imaEntries - proven);
      for (const { path, digest } of added) {
        const [, value = ""] = digest.split(":");
        const holds = ({ data }: (typeof told)[number]): boolean => {
          const text = Buffer.from(data);
          return text.includes(Buffer.from(`${path}\0`)) && text.includes(Buffer.from(hex(value)));
        };
        expect(told.filter(holds), path).toHaveLength(1);
      }
      expect(added).toHaveLength(told.length);
    }
  });
});

describeVectors("measured-boot-ek/nv-counter", (dir) => {
  const root = join(dir, "measured-boot-ek/nv-counter");
  const names = readdirSync(root).filter((name) => /^\d/.test(name));
  const read = (name: string) => {
    const nv = jsonIn<Expected>(root, name, "expected.json").nv;
    if (nv === undefined) throw new Error(`${name} has no counter`);
    return nv;
  };
  const [first = ""] = names;
  const counterName = hex(read(first).name);
  const certified = (name: string, key: "ecc" | "rsa", nonceOf = name): bigint => {
    const folder = join(root, name);
    const file = `nvcertify-${key}`;
    const signed = {
      attest: bytesIn(folder, `${file}.TPMS_ATTEST.bin`),
      signature: bytesIn(folder, `${file}.TPMT_SIGNATURE.bin`),
    };
    const ak = parsePublic(bytesIn(folder, `ak-${key}.TPMT_PUBLIC.bin`));
    const nonce = hex(textIn(join(root, nonceOf), `${file}.nonce.hex`));
    return certifiedCounter(ak, counterName, nonce, signed);
  };

  describe.each(["ecc", "rsa"] as const)("by the %s key", (key) => {
    test("what a verifier concludes from one to the next", () => {
      const values = names
        .filter((name) => read(name).isCounter)
        .map((name) => certified(name, key));
      expect(values).toEqual(
        names.flatMap((name) => (read(name).isCounter ? [BigInt(read(name).value)] : [])),
      );
      expect(values.toSorted((a, b) => Number(a - b))).toEqual(values);
      for (const [i, value] of values.entries()) {
        for (const [j, counter] of values.entries()) {
          const anchor = {
            index: 1,
            name: counterName,
            value,
            announced: false,
            snapshotVersion: 1,
            size: 0,
          };
          const judge = (): void =>
            requireAnchored({ before: anchor, after: anchor, credential: counterName, counter });
          // A state that knows an earlier value is a copy from then; one that knows a later one, of another TPM.
          if (i === j) expect(judge).not.toThrow();
          else expect(judge).toThrow(StateRollback);
        }
      }
    });

    test("an ordinary index at its place is no counter, whatever it holds", () => {
      const impostors = names.filter((name) => !read(name).isCounter);
      expect(impostors).toHaveLength(1);
      for (const name of impostors) expect(() => certified(name, key)).toThrow(/does not verify/);
    });

    test("an older certification does not answer a newer nonce, nor does another key's", () => {
      for (const [i, name] of names.entries()) {
        const next = names[i + 1];
        if (next !== undefined) expect(() => certified(name, key, next)).toThrow(/does not verify/);
      }
    });
  });
});
