/**
 * `portcullis checkquote` beside tpm2_checkquote, over the files that tpm2-tools write. Where the
 * two differ, the other accepts what no verifier should.
 */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { isAbsolute } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CheckedQuote, type CheckquoteOptions, checkFiles } from "../../src/cli/checkquote.ts";
import { UsageError } from "../../src/cli/error.ts";
import { pcrShape } from "../../src/cli/eventlog.ts";
import { readPcrList } from "../../src/cli/quote-file.ts";
import { openTpm } from "../../src/tpm/open.ts";
import { concat, u8 } from "../support/ak.ts";
import { agileLog } from "../support/event-logs.ts";
import { hex } from "../support/signatures.ts";
import { describeVectors } from "../support/vectors.ts";
import { Place } from "./cli-support.ts";
import { softwareTpm } from "./tpm-support.ts";

const exec = promisify(execFile);
const NONCE = "0123456789abcdef0123456789abcdef";
const FEW = "sha256:0,1,2+sha384:0";
const tpms = softwareTpm();
let place: Place;

async function tool(name: string, ...args: readonly string[]): Promise<void> {
  const env = { ...process.env, TPM2TOOLS_TCTI: tpms.machine.tcti, TSS2_LOG: "all+none" };
  await exec(name, args, { env, cwd: place.path });
}

const flushed = () => tool("tpm2_flushcontext", "-t");

beforeAll(async () => {
  place = await Place.make();
  await (await openTpm(tpms.machine.uri)).close();
  await tool("tpm2_pcrextend", `0:sha256=${"aa".repeat(32)},sha384=${"bb".repeat(48)}`);
  for (const [kind, scheme] of [
    ["ecc", "ecdsa"],
    ["rsa", "rsassa"],
  ] as const) {
    const key = [
      "-G",
      kind,
      "-g",
      "sha256",
      "-s",
      scheme,
      "-u",
      `${kind}.pub`,
      "-n",
      `${kind}.name`,
    ];
    await tool("tpm2_createak", "-C", "0x81010001", "-c", `${kind}.ctx`, ...key);
    await flushed();
    await tool("tpm2_readpublic", "-c", `${kind}.ctx`, "-f", "pem", "-o", `${kind}.pem`);
    const what = ["-l", "sha256:0,1,2,3,4,5,6,7+sha384:0", "-q", NONCE, "-g", "sha256"];
    const out = ["-m", `${kind}.msg`, "-s", `${kind}.sig`, "-o", `${kind}.pcrs`];
    await tool("tpm2_quote", "-c", `${kind}.ctx`, ...what, ...out);
    await flushed();
  }
  await tool(
    "tpm2_quote",
    "-c",
    "ecc.ctx",
    "-l",
    "sha512:0",
    "-q",
    NONCE,
    "-m",
    "none.msg",
    "-s",
    "none.sig",
  );
  await flushed();
  const few = ["-l", FEW, "-q", NONCE, "-g", "sha256", "-m", "few.msg", "-s", "few.sig"];
  await tool("tpm2_quote", "-c", "ecc.ctx", ...few);
  await flushed();
  await tool("tpm2_pcrread", FEW, "-o", "few.bin");
  await tool("tpm2_pcrread", "sha256:0,1,2,3,4,5,6,7+sha384:0", "-o", "pcrs.bin");
});
afterAll(() => place.remove());

interface Files {
  readonly public?: string;
  readonly message?: string;
  readonly signature?: string;
  readonly pcrs?: string;
  readonly nonce?: string;
}

const words = (kind: string, files: Files): string[] => [
  ...["-u", files.public ?? `${kind}.pub`, "-m", files.message ?? `${kind}.msg`],
  ...["-s", files.signature ?? `${kind}.sig`, "-f", files.pcrs ?? `${kind}.pcrs`],
  ...["-q", files.nonce ?? NONCE],
];
const options = (kind: string, files: Files, more: Partial<CheckquoteOptions> = {}) => {
  const at = (name: string): string => (isAbsolute(name) ? name : place.file(name));
  const nonce = files.nonce ?? NONCE;
  return {
    public: at(files.public ?? `${kind}.pub`),
    message: at(files.message ?? `${kind}.msg`),
    signature: at(files.signature ?? `${kind}.sig`),
    pcrs: at(files.pcrs ?? `${kind}.pcrs`),
    qualification: /^[0-9a-f]+$/.test(nonce) ? nonce : at(nonce),
    ...more,
  } as const;
};
const ours = (kind: string, files: Files = {}, more: Partial<CheckquoteOptions> = {}) =>
  checkFiles(options(kind, files, more));

async function codeOf(checked: Promise<CheckedQuote>): Promise<string> {
  const { appraisal, pcrs } = await checked;
  expect(Object.keys(pcrs).length > 0).toBe(appraisal.ok);
  return appraisal.code ?? "holds";
}

/** Whether tpm2_checkquote accepts it. It takes keys in PEM or its own form. */
async function theirs(
  kind: string,
  files: Files = {},
  more: readonly string[] = [],
): Promise<boolean> {
  const done = tool("tpm2_checkquote", ...words(kind, files), "-g", "sha256", ...more);
  return done.then(
    () => true,
    () => false,
  );
}

/** The signature without its algorithms: RSA's integer; r and s, and both in DER. */
function bareForms(whole: Uint8Array): { scheme: "ecdsa" | "rsassa"; forms: Uint8Array[] } {
  if (whole[1] === 0x14) return { scheme: "rsassa", forms: [whole.subarray(6)] };
  const width = whole[5] ?? 0;
  const [r, s] = [whole.subarray(6, 6 + width), whole.subarray(8 + width)];
  const integer = (value: Uint8Array): Uint8Array => {
    const lead = (value[0] ?? 0) >= 0x80 ? [0] : [];
    return Uint8Array.of(2, value.length + lead.length, ...lead, ...value);
  };
  const pair = concat(integer(r), integer(s));
  const fill = (value: Uint8Array): Uint8Array => concat(new Uint8Array(32 - value.length), value);
  return {
    scheme: "ecdsa",
    forms: [concat(fill(r), fill(s)), concat(u8(0x30), u8(pair.length), pair)],
  };
}

describe.each(["ecc", "rsa"])("a quote by an %s key", (kind) => {
  test("holds, for both; the key as TPM2B_PUBLIC, TPMT_PUBLIC or PEM", async () => {
    expect(await codeOf(ours(kind))).toBe("holds");
    await place.write("bare.pub", (await readFile(place.file(`${kind}.pub`))).subarray(2));
    for (const key of [`${kind}.pem`, "bare.pub"]) {
      expect(await codeOf(ours(kind, { public: key }))).toBe("holds");
    }
    expect((await ours(kind, { public: `${kind}.pem` })).unchecked).toContain("attributes");
    expect((await ours(kind)).unchecked).not.toContain("attributes");
    expect(await theirs(kind, { public: `${kind}.pem` })).toBe(true);
  });

  test("holds with a bare signature, where the scheme is stated", async () => {
    const whole = new Uint8Array(await readFile(place.file(`${kind}.sig`)));
    const { scheme, forms } = bareForms(whole);
    for (const bytes of forms) {
      await place.write("bare.sig", bytes);
      const files = { signature: "bare.sig" };
      expect(await codeOf(ours(kind, files, { scheme }))).toBe("holds");
      expect(await codeOf(ours(kind, { ...files, public: `${kind}.pem` }, { scheme }))).toBe(
        "holds",
      );
      expect(await codeOf(ours(kind, files))).toMatch(/quote-(scheme|malformed)$/);
    }
  });

  test("holds with values in every form that tools write", async () => {
    const printed = await exec("tpm2_pcrread", ["sha256:0,1,2,3,4,5,6,7+sha384:0"], {
      env: { ...process.env, TPM2TOOLS_TCTI: tpms.machine.tcti, TSS2_LOG: "all+none" },
    });
    await place.write("pcrs.txt", printed.stdout);
    await place.write("pcrs.json", JSON.stringify({ pcrs: pcrShape((await ours(kind)).pcrs) }));
    for (const pcrs of ["pcrs.bin", "pcrs.txt", "pcrs.json"]) {
      expect(await codeOf(ours(kind, { pcrs })), pcrs).toBe("holds");
    }
  });

  test("does not hold with another answer, value, signature or key, for both", async () => {
    const sig = new Uint8Array(await readFile(place.file(`${kind}.sig`)));
    await place.write(
      "other.sig",
      sig.map((byte, i) => (i === sig.length - 1 ? byte ^ 1 : byte)),
    );
    const pcrs = new Uint8Array(await readFile(place.file(`${kind}.pcrs`)));
    await place.write(
      "other.pcrs",
      pcrs.map((byte, i) => (i === 4 + 128 + 4 + 4 + 2 ? byte ^ 1 : byte)),
    );
    for (const [files, code] of [
      [{ nonce: "00" }, "environment.quote-nonce"],
      [{ signature: "other.sig" }, "environment.quote-signature"],
      [{ pcrs: "other.pcrs" }, "environment.quote-digest"],
      [{ public: kind === "ecc" ? "rsa.pub" : "ecc.pub" }, "environment.quote-scheme"],
    ] as const) {
      expect(await codeOf(ours(kind, files)), code).toBe(code);
      const pem = {
        ...files,
        ...("public" in files && { public: files.public.replace("pub", "pem") }),
      };
      expect(await theirs(kind, { public: `${kind}.pem`, ...pem }), code).toBe(false);
    }
  });

  test("does not hold with bytes behind the statement or the signature", async () => {
    for (const part of ["msg", "sig"]) {
      await place.write(
        `long.${part}`,
        concat(await readFile(place.file(`${kind}.${part}`)), u8(0)),
      );
    }
    const message = ours(kind, { message: "long.msg" });
    expect(await codeOf(message)).toBe("environment.quote-malformed");
    const signature = ours(kind, { signature: "long.sig" });
    expect(await codeOf(signature)).toBe("environment.quote-malformed");
  });
});

describe("what is not compared does not hold", () => {
  test("a quote over a bank that is not active", async () => {
    const files = { message: "none.msg", signature: "none.sig" };
    expect(await codeOf(ours("ecc", files))).toBe("environment.quote-selection");
    // tpm2_checkquote compares what it is given, and says nothing of the rest.
    await tool(
      "tpm2_checkquote",
      "-u",
      "ecc.pem",
      "-m",
      "none.msg",
      "-s",
      "none.sig",
      "-q",
      NONCE,
      "-g",
      "sha256",
    );
  });

  test("an answer of no bytes, no values: wrong usage", async () => {
    await place.write("empty", "");
    await expect(ours("ecc", { nonce: "empty" })).rejects.toThrow(/--qualification: no data/);
    const { pcrs: _, ...less } = options("ecc", {});
    await expect(checkFiles(less)).rejects.toThrow(/--pcrs: name the file/);
  });

  test("files that are something else: wrong usage, or a code", async () => {
    await place.write("noise", "neither this nor that");
    await place.write("pem", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
    await place.write("json", '{"sha256": {"0": "zz"}}');
    const wrong: Files[] = [{ pcrs: "noise" }, { pcrs: "json" }, { public: "absent" }];
    for (const files of [...wrong, { nonce: "absent" }, { public: "pem" }]) {
      await expect(ours("ecc", files), JSON.stringify(files)).rejects.toThrow(UsageError);
    }
    for (const files of [{ public: "noise" }, { message: "noise" }, { signature: "noise" }]) {
      expect(await codeOf(ours("ecc", files))).toMatch(/^environment\./);
    }
  });

  test("every cut of the file of values is refused, or does not hold", async () => {
    const whole = await readFile(place.file("ecc.pcrs"));
    for (let length = 0; length < whole.length; length += 13) {
      await place.write("cut.pcrs", whole.subarray(0, length));
      const checked = codeOf(ours("ecc", { pcrs: "cut.pcrs" }));
      const code = await checked.catch((error: unknown) => {
        if (error instanceof UsageError) return "usage";
        throw error;
      });
      expect(["usage", "environment.quote-digest"], `${length} bytes`).toContain(code);
    }
  });
});

describe("--pcr-list", () => {
  const both = "sha256:0,1,2,3,4,5,6,7+sha384:0";
  const listed = (list: string, files: Files = {}) =>
    ours("ecc", files, { pcrList: readPcrList(list) });

  test("is what must be quoted: all of it, for both", async () => {
    for (const list of [both, "sha384:0+sha256:7,6,5,4,3,2,1,0"]) {
      expect(await codeOf(listed(list)), list).toBe("holds");
    }
    for (const list of ["sha256:0,1,2,3,4,5,6,7,9", `${both}+sha512:0`, "sha1:all"]) {
      expect(await codeOf(listed(list)), list).toBe("environment.pcr-uncovered");
    }
  });

  test("tells the order of values that stand one behind another, which is the signed one", async () => {
    expect(await codeOf(listed(both, { pcrs: "pcrs.bin", public: "ecc.pem" }))).toBe("holds");
    // tpm2_checkquote 5.4 reads no more than eight values of such a file.
    const few = { message: "few.msg", signature: "few.sig", pcrs: "few.bin", public: "ecc.pem" };
    for (const [list, code] of [
      [FEW, "holds"],
      ["sha384:0+sha256:0,1,2", "environment.quote-digest"],
    ] as const) {
      expect(await codeOf(listed(list, few)), list).toBe(code);
      // It hashes the file as it stands, and names its bytes by a list that was not signed.
      expect(await theirs("ecc", few, ["-l", list]), list).toBe(true);
    }
  });

  test.each([
    "",
    "sha256",
    "sha256:",
    "sha256:24",
    "sha256:0:1",
    "md5:0",
    "sha256:0+sha256:1",
    "all",
  ])('"%s" is none', (list) => expect(() => readPcrList(list)).toThrow(UsageError));

  test("every PCR of a bank is `all`", () => {
    expect(readPcrList("sha1:all")).toHaveLength(24);
    expect(readPcrList("sha256:7,0,7")).toEqual([
      ["sha256", 0],
      ["sha256", 7],
    ]);
  });
});

test("--eventlog must replay to the values, for both", async () => {
  const digests = { sha256: hex("aa".repeat(32)), sha384: hex("bb".repeat(48)) };
  const event = { pcr: 0, type: 8, data: u8(1), digests };
  const banks = ["sha256", "sha384"] as const;
  const few = { message: "few.msg", signature: "few.sig", pcrs: "few.bin", public: "ecc.pem" };
  for (const [events, code] of [
    [[event], "holds"],
    [[event, event], "environment.eventlog-mismatch"],
  ] as const) {
    const eventlog = await place.write("boot.log", agileLog(banks, events));
    expect(await codeOf(ours("ecc", few, { eventlog }))).toBe(code);
    const theirsToo = await theirs("ecc", few, ["-l", FEW, "-e", eventlog]);
    expect(theirsToo).toBe(code === "holds");
  }
});

test("a hash that is not the key's own is refused: what would be signed with it is not this", async () => {
  await expect(ours("ecc", {}, { hashAlgorithm: "sha384" })).rejects.toThrow(/signs with sha256/);
  expect(await codeOf(ours("ecc", {}, { hashAlgorithm: "sha256" }))).toBe("holds");
  expect(await codeOf(ours("ecc", { public: "ecc.pem" }, { hashAlgorithm: "sha384" }))).toBe(
    "environment.quote-scheme",
  );
});

describe("the verb", () => {
  test("says what holds, what does not, and exits 0 or 77; 64 without its options", async () => {
    const good = await place.run(["checkquote", ...words("ecc", {})]);
    expect(good.code).toBe(0);
    expect(good.out).toMatch(/^quote +holds$/m);
    expect(good.out).toMatch(/^ +sha384:$/m);
    const bad = await place.run(["checkquote", ...words("ecc", { nonce: "00" }), "--json"]);
    expect(bad.code).toBe(77);
    const code = "environment.quote-nonce";
    expect(JSON.parse(bad.out)).toMatchObject({ ok: false, code, codes: [code], pcrs: {} });
    const without = words("ecc", {}).slice(0, -2);
    expect((await place.run(["checkquote", ...without])).code).toBe(64);
  });
});

describeVectors("files of others", (dir) => {
  test("keylime's quote holds, by its TPM2B_PUBLIC and by PEM", async () => {
    const at = (name: string): string => `${dir}/keylime/quote-files/${name}`;
    const nonce = "db1db298db6d60e6385b7231743e9c3056a18003";
    const files = {
      ...{
        message: at("quote.out"),
        signature: at("quotesig.out"),
        pcrs: at("quotepcr.out"),
        nonce,
      },
    };
    for (const key of ["ak.pub", "akpub.pem"]) {
      expect(await codeOf(ours("", { ...files, public: at(key) }))).toBe("holds");
    }
  });
});
