import { chmod, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  formatConfig,
  homeAt,
  readConfig,
  requireHome,
  resolveHome,
} from "../../../src/cli/home.ts";

let path: string;
beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), "portcullis-home-"));
});
afterEach(() => rm(path, { recursive: true, force: true }));

describe("which home", () => {
  test("--home, then the variable, then the user's", () => {
    const environment = { PORTCULLIS_HOME: "/srv/p" };
    expect(resolveHome("/a/../b", environment)).toBe("/b");
    expect(resolveHome("relative", environment)).toBe(join(process.cwd(), "relative"));
    expect(resolveHome(undefined, environment)).toBe("/srv/p");
    const own = process.geteuid?.() === 0;
    const fallback = own ? "/var/lib/portcullis" : join(homedir(), ".local/share/portcullis");
    expect(resolveHome(undefined, {})).toBe(fallback);
    expect(resolveHome(undefined, { PORTCULLIS_HOME: "" })).toBe(fallback);
  });

  test("an empty option, or a relative variable, is refused", () => {
    expect(() => resolveHome("", {})).toThrow(/--home is empty/);
    expect(() => resolveHome(undefined, { PORTCULLIS_HOME: "p" })).toThrow(/not absolute/);
  });

  test("a folder that is none is told so, not to be closed to others", async () => {
    await chmod(path, 0o755);
    expect(() => requireHome(homeAt(path))).toThrow(/There is no home at/);
    await writeFile(join(path, "config.yaml"), "origin: a\n", { mode: 0o600 });
    expect(() => requireHome(homeAt(path))).toThrow(/mode 0755.*chmod 700/);
  });

  test("a symbolic link is no home: what it names could change", async () => {
    await writeFile(join(path, "config.yaml"), "origin: a\n", { mode: 0o600 });
    await symlink(path, `${path}.link`);
    expect(() => requireHome(homeAt(`${path}.link`))).toThrow(/is not a folder/);
    await rm(`${path}.link`);
  });
});

describe("config.yaml", () => {
  const configured = async (text: string) => {
    await writeFile(join(path, "config.yaml"), text, { mode: 0o600 });
    return () => readConfig(homeAt(path));
  };

  test("reads what it writes, whatever the values hold", async () => {
    for (const tpm of [null, "device:/dev/tpmrm0", 'a "b" # c: \\ d', "ü\u0000"]) {
      const config = { origin: "example.org/gate 1", tpm, eventLog: tpm, ima: tpm };
      expect((await configured(formatConfig(config)))()).toEqual(config);
    }
  });

  test("plain values, comments and blank lines", async () => {
    const read = await configured("# c\n\norigin:   log.example.org  \ntpm: swtpm:path=/run/x\n");
    expect(read()).toEqual({
      origin: "log.example.org",
      tpm: "swtpm:path=/run/x",
      eventLog: null,
      ima: null,
    });
  });

  test.each([
    ["", /lacks `origin`/],
    ["origin: a\norigin: b\n", /line 2: "origin" is set twice/],
    ["orign: a\n", /line 1: unknown setting "orign"/],
    ["origin:a\n", /line 1: expected `name: value`/],
    ["  origin: a\n", /line 1: expected/],
    ["origin: \n", /line 1: expected/],
    ['origin: "a\n', /line 1: the quoted value does not end/],
    ['origin: ""\n', /line 1: the value is empty/],
  ])("%j is refused", async (text, message) => {
    expect(await configured(text)).toThrow(message);
  });
});
