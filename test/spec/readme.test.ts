/** What the pages show is executed: the tour on a software TPM, each snippet, each link. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { homeAt, readConfig } from "../../src/cli/home.ts";
import { VERBS } from "../../src/cli/verbs.ts";
import { EXIT } from "../../src/gate/exit-codes.ts";
import { CaseFolder } from "../../src/log/cases.ts";
import { parseLeaf } from "../../src/log/leaf.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { preparedMachines, SoftwareTpm } from "../../swtpm/index.ts";
import {
  ALL_PAGES,
  PAGES,
  page,
  root,
  snippetOf,
  snippetsOf,
  tableOf,
} from "../support/snippets.ts";

/** FIPS 180-4's example "abc". */
const ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

let place: string;
let tpm: SoftwareTpm;
const home = (): string => join(place, "home");

/** Runs a program in the place of the tour, as its reader would. */
function run(file: string, words: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  const path = `${join(place, "bin")}:${process.env.PATH}`;
  const all = { HOME: place, PATH: path, PORTCULLIS_HOME: home(), TPM: tpm.uri, ...env };
  const { NODE_COMPILE_CACHE } = process.env;
  return new Promise((done) => {
    execFile(
      file,
      words,
      { cwd: place, env: { ...all, NODE_COMPILE_CACHE } },
      (error, out, err) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
        done({ code, out, err });
      },
    );
  });
}

/** A snippet as a program of its own; the package's names lead to the sources. */
async function runSnippet(name: string, text: string, env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  const at = (path: string): string => JSON.stringify(pathToFileURL(join(root, path)).href);
  const resolved = text
    .replaceAll('"portcullis/core"', at("src/core/index.ts"))
    .replaceAll('"portcullis"', at("src/index.ts"));
  await writeFile(join(place, name), resolved);
  return run(process.execPath, [name], env);
}

beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), "portcullis readme "));
  const machines = await preparedMachines();
  const [template = ""] = machines.states;
  tpm = await SoftwareTpm.start({ template });
  await writeFile(join(place, "vendor-root.pem"), machines.root);
  await writeFile(join(place, "vendor-issuer.pem"), machines.issuer);
  const main = join(root, "src/cli/main.ts");
  const shim = `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`;
  await mkdir(join(place, "bin"));
  await writeFile(join(place, "bin/portcullis"), shim);
  await chmod(join(place, "bin/portcullis"), 0o755);
});
afterAll(async () => {
  await tpm.stop();
  await rm(place, { recursive: true, force: true });
});

describe("README.md", () => {
  test("begins with one sentence and one block of commands that exist, before line 20", () => {
    const [title, sentence, block] = page("README.md").split("\n\n");
    expect(title).toBe("# Portcullis");
    expect(sentence?.match(/\.(?=\s|$)/g)).toHaveLength(1);
    expect(block).toMatch(/^```sh\n/);
    const [first] = snippetsOf("README.md");
    const commands = first?.text.trim().split("\n") ?? [];
    expect(commands.length).toBeGreaterThan(0);
    expect((first?.line ?? 0) + commands.length).toBeLessThan(20);
    for (const command of commands) {
      expect(existsSync(join(root, /^sh (\S+)/.exec(command)?.[1] ?? "none"))).toBe(true);
    }
  });

  test("states every exit code of the gate", () => {
    const rows = tableOf("README.md", "| code | |").map(([code]) => code);
    const stated = rows.flatMap((code) => code?.match(/\d+/g) ?? []).map(Number);
    expect(stated).toEqual(Object.values(EXIT));
  });
});

describe("the tour", () => {
  const tour = snippetsOf("README.md")[1]?.text.trim().split("\n") ?? [];
  const [init = ""] = tour;

  test("has ten lines, each a verb of portcullis", () => {
    expect(tour).toHaveLength(10);
    expect(init).toMatch(/^portcullis init example\.org /);
  });

  test.each(tour)("%s", async (line) => {
    const [, exit = "0", code = ""] = /# exit (\d+): (\S+)$/.exec(line) ?? [];
    const ran = await run("sh", ["-c", line]);
    expect(ran.err).toContain(code);
    expect(ran.code, ran.err).toBe(Number(exit));
    if (exit === "0" && line.startsWith("portcullis run")) {
      expect(ran.out).toBe(`${userInfo().username}\n`);
    }
  });

  test("left a log of one run and two denials", async () => {
    const { out } = await run("portcullis", ["audit", "verify", "--json"]);
    expect(JSON.parse(out).events).toMatchObject({ intent: 1, outcome: 1, denied: 2, aborted: 0 });
  });
});

describe("a control plane in five commands", () => {
  const commands = snippetsOf("README.md")[2]?.text.trim().split("\n") ?? [];

  test("leads from an empty machine to a job that it admitted", async () => {
    expect(commands).toHaveLength(5);
    const env = { PORTCULLIS_HOME: join(place, "plane") };
    const [init = "", serve = "", ...others] = commands;
    expect(await run("sh", ["-c", init], env)).toMatchObject({ code: 0, err: "" });
    expect(serve).toMatch(/ &$/);
    const plane = run("sh", ["-c", `echo $$ > plane.pid; exec ${serve.slice(0, -2)}`], env);
    const ran: Ran[] = [];
    for (const command of others) ran.push(await run("sh", ["-c", command], env));
    process.kill(Number(await readFile(join(place, "plane.pid"), "utf8")), "SIGTERM");
    expect(ran.map(({ code, err }) => [code, err])).toEqual(others.map(() => [0, ""]));
    expect(ran.at(-1)?.out).toBe(`${userInfo().username}\n`);
    expect((await plane).code).toBe(0);
  });
});

describe("the snippets", () => {
  test("of the core decides the case that the tour recorded", async () => {
    const store = openSqliteStore(join(home(), "state.db"));
    const leaves = (await store.leaves(0, 100)).map(({ bytes }) => parseLeaf(bytes));
    await store.close();
    const intent = leaves.find(({ event }) => event === "intent")?.case;
    if (!intent) throw new Error("the tour recorded no case");
    const bytes = await new CaseFolder(join(home(), "cases")).read(intent);
    await writeFile(join(place, "recorded.case"), bytes);
    const ran = await runSnippet("core.mts", snippetOf("README.md", "ts"));
    expect(ran).toEqual({ code: 0, out: `allowed\n${ABC}\n`, err: "" });
  });

  test("of the gate runs a job, once, in the log of the tour", async () => {
    const words = ["--exec", "/usr/bin/id", "--arg=-un", "--cwd", "/", "--out", "second.grant"];
    expect((await run("portcullis", ["authorize", ...words])).code).toBe(0);
    const { origin } = readConfig(homeAt(home()));
    const gate = snippetOf("docs/architecture.md", "ts");
    const ran = await runSnippet("gate.mts", gate, { ORIGIN: origin });
    expect(ran).toEqual({ code: 0, out: `${userInfo().username}\n`, err: "" });
    const again = await runSnippet("gate.mts", gate, { ORIGIN: origin });
    expect(again).toEqual({ code: 77, out: "", err: "replay.use\n" });
    const { out } = await run("portcullis", ["audit", "verify", "--json"]);
    expect(JSON.parse(out)).toMatchObject({ verified: true, open: [], events: { outcome: 2 } });
  });

  test("type-check against the package", async () => {
    const texts = PAGES.flatMap((path) => snippetsOf(path)).filter(
      ({ language }) => language === "ts",
    );
    expect(texts.length).toBeGreaterThan(1);
    const files = texts.map((_, i) => join(place, `snippet-${i}.mts`));
    for (const [i, { text }] of texts.entries()) await writeFile(files[i] ?? "", text);
    const paths = {
      portcullis: [join(root, "src/index.ts")],
      "portcullis/core": [join(root, "src/core/index.ts")],
    };
    const typeRoots = [join(root, "node_modules/@types")];
    const config = {
      extends: join(root, "tsconfig.json"),
      compilerOptions: { paths, typeRoots },
      files,
      include: [],
    };
    await writeFile(join(place, "tsconfig.json"), JSON.stringify(config));
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    const ran = await run(process.execPath, [tsc, "--noEmit", "-p", place]);
    expect(ran).toEqual({ code: 0, out: "", err: "" });
  });
});

describe("every page", () => {
  test.each(ALL_PAGES)("%s links to files that exist", (path) => {
    const links = [...page(path).matchAll(/\]\(([^)#]+?)(?:#[^)]*)?\)/g)].map(([, to]) => to ?? "");
    const files = links.filter((to) => !to.startsWith("https://"));
    for (const to of files) expect(existsSync(join(root, dirname(path), to)), to).toBe(true);
  });

  test.each(PAGES)("%s names verbs that exist", (path) => {
    const verbs = [...page(path).matchAll(/(?:^|`)portcullis ([a-z]+)/gm)].map(([, verb]) => verb);
    for (const verb of verbs) expect(Object.keys(VERBS)).toContain(verb);
  });

  test("stands in the README", () => {
    const linked = page("README.md");
    const others = ALL_PAGES.filter((path) => path !== "README.md");
    for (const path of others) expect(linked).toContain(`(${path})`);
  });
});
