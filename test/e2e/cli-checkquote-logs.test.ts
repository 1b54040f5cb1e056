/** `portcullis checkquote` with logs and a signed policy, over cases of the corpus. */
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { payloadOf, type Rules } from "../../scripts/corpus/case.ts";
import { checkFiles } from "../../src/cli/checkquote.ts";
import { signPayload } from "../../src/wire/objects.ts";
import { testSigner } from "../support/keys.ts";
import { Place } from "./cli-support.ts";

let place: Place;
beforeAll(async () => {
  place = await Place.make();
});
afterAll(() => place.remove());

interface LogCase {
  readonly name: string;
  readonly publicArea: string;
  readonly attest: string;
  readonly signature: string;
  readonly qualifyingData: string;
  readonly pcrs: object;
  readonly policy: Rules & { readonly pcrs: Readonly<Record<string, Record<string, string[]>>> };
  readonly eventLog?: string;
  readonly ima?: string;
  readonly imaPrefix?: object;
  readonly expected: { readonly codes: readonly string[] };
}

const all = readdirSync("corpus/cases")
  .map((file) => JSON.parse(readFileSync(`corpus/cases/${file}`, "utf8")) as LogCase)
  .filter(({ eventLog, ima, imaPrefix }) => (eventLog ?? ima) !== undefined && !imaPrefix);
/** One of each denial, with logs and with rules; the whole corpus is judged elsewhere. */
const kindOf = ({ policy, expected }: LogCase): string =>
  [...expected.codes, ...Object.keys(policy)].join();
const cases = [...new Map(all.map((one) => [kindOf(one), one])).values()];
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));

test("--eventlog, --ima and --policy are judged as the corpus says", async () => {
  expect(cases.length).toBeGreaterThan(20);
  const signer = testSigner("a policy key");
  for (const one of cases) {
    const { pcrs, ...rules } = one.policy;
    const allowed = Object.entries(pcrs).map(([bank, values]) => {
      const rows = Object.entries(values).map(([pcr, list]) => [pcr, list.map(bytes)] as const);
      return [bank, Object.fromEntries(rows)] as const;
    });
    const payload = payloadOf({ pcrs: Object.fromEntries(allowed) }, rules);
    const ruled = Object.keys(rules).length > 0;
    const file = async (name: string, content: string | Uint8Array | undefined) =>
      content === undefined ? undefined : await place.write(`${one.name}.${name}`, content);
    const logs = {
      eventlog: await file("log", one.eventLog === undefined ? undefined : bytes(one.eventLog)),
      ima: await file("ima", one.ima === undefined ? undefined : bytes(one.ima)),
      policy: await file(
        "policy",
        ruled ? await signPayload("policy", payload, [signer]) : undefined,
      ),
    };
    const given = Object.entries(logs).filter(([, path]) => path !== undefined);
    const { appraisal } = await checkFiles({
      public: await place.write("case.pub", bytes(one.publicArea)),
      message: await place.write("case.msg", bytes(one.attest)),
      signature: await place.write("case.sig", bytes(one.signature)),
      pcrs: await place.write("case.pcrs", JSON.stringify(one.pcrs)),
      qualification: one.qualifyingData,
      ...Object.fromEntries(given),
    });
    expect(appraisal.codes, one.name).toEqual(one.expected.codes);
  }
});

test("the verb names the file that is not allowed", async () => {
  const one = cases.find(({ expected }) => expected.codes.includes("environment.ima-file"));
  if (one === undefined) throw new Error("the corpus has no such case");
  await place.write("case.pub", bytes(one.publicArea));
  await place.write("case.msg", bytes(one.attest));
  await place.write("case.sig", bytes(one.signature));
  await place.write("case.pcrs", JSON.stringify(one.pcrs));
  const words = ["-u", "case.pub", "-m", "case.msg", "-s", "case.sig", "-f", "case.pcrs"];
  const logs = ["--policy", `${one.name}.policy`, "--ima", `${one.name}.ima`, "-F", "values"];
  const nonce = ["-q", one.qualifyingData];
  const { code, out } = await place.run(["checkquote", ...words, ...nonce, ...logs]);
  expect(code).toBe(77);
  expect(out).toMatch(/^environment\.ima-file: /m);
  expect(out).toMatch(/^ +IMA entry \d+: not allowed: \/\S+ with \S+$/m);
  const other = await place.run(["checkquote", ...words, ...nonce, "--policy", "case.msg"]);
  expect(other.code).toBe(64);
});
