/** DESIGN "Layout and directions": no import of assembly/ or src/ runs against the table. */
import { describe, expect, test } from "vitest";
import { misdirected } from "./directions.ts";
import { filesUnder, importsOf, read } from "./source.ts";

describe("the imports of", () => {
  test.each(["assembly", "src"])("%s/ follow the table", (folder) => {
    const files = filesUnder([folder]).filter((path) => path.endsWith(".ts"));
    expect(files.length).toBeGreaterThan(5);
    expect(files.flatMap((path) => misdirected(path, read(path)))).toEqual([]);
  });
});

describe("a forbidden import is found", () => {
  const cases: [path: string, text: string][] = [
    // Layers of the core.
    ["assembly/codec/cbor.ts", 'import { verify } from "../sig/ecdsa";'],
    ["assembly/codec/cbor.ts", 'import { sha256 } from "../hash/sha256";'],
    ["assembly/sig/ecdsa.ts", 'import { readCose } from "../cose/message";'],
    ["assembly/hash/sha256.ts", 'export { quote } from "../tpm/quote";'],
    ["assembly/tpm/quote.ts", 'import { charter } from "../grant/charter";'],
    ["assembly/case.ts", 'import { allow } from "./verdict";'],
    ["assembly/abi.ts", 'import { digest } from "./hash/hash";'],
    ["assembly/case.ts", 'import { JSON } from "assemblyscript-json";'],
    ["assembly/case.ts", 'import { CODES } from "../src/core/codes";'],
    ["assembly/novel/thing.ts", 'import { trap } from "../abi";'],
    // Areas of the host.
    ["src/wire/cbor.ts", 'import { loadCore } from "../core/index.ts";'],
    ["src/gate/gate.ts", 'import { openTpm } from "../tpm/open.ts";'],
    ["src/gate/gate.ts", 'import type { Tpm } from "../tpm/tpm.ts";'],
    ["src/gate/gate.ts", 'type Tpm = import("../tpm/tpm.ts").Tpm;'],
    ["src/gate/gate.ts", 'export type { Tpm } from "../tpm/tpm.ts";'],
    ["src/gate/gate.ts", 'const cli = await import("../cli/main.ts");'],
    ["src/gate/gate.ts", 'import { openStore } from "../store/sqlite.ts";'],
    ["src/enroll/enroll.ts", 'import { openTpm } from "../tpm/open.ts";'],
    ["src/index.ts", 'export { main } from "./cli/main.ts";'],
    ["src/errors.ts", 'import { decode } from "./wire/cbor.ts";'],
    ["src/agent/agent.ts", 'import { SoftwareTpm } from "../../swtpm/software-tpm.ts";'],
    ["src/novel/thing.ts", 'import { LIMITS } from "../wire/cbor.ts";'],
    // One home for each dangerous import.
    ["src/gate/gate.ts", 'import fastify from "fastify";'],
    ["src/log/log.ts", 'import { DatabaseSync } from "node:sqlite";'],
    ["src/gate/seal.ts", 'import koffi from "koffi";'],
    ["src/tpm/tcti.ts", 'import { spawn } from "node:child_process";'],
    ["src/cli/demo.ts", 'import { spawn } from "node:child_process";'],
    ["src/agent/agent.ts", 'import { X509Certificate } from "@peculiar/x509";'],
    ["src/core/verdict.ts", 'import { sha256 } from "@noble/hashes/sha2.js";'],
    ["src/log/merkle.ts", 'import { sha256 } from "@noble/hashes/sha2.js";'],
    ["src/core/load.ts", 'import { readFile } from "node:fs/promises";'],
    ["src/core/load.ts", 'const { createHash } = await import("node:crypto");'],
    ["src/core/load.ts", 'import { Worker } from "node:worker_threads";'],
    ["src/core/index.ts", 'export { createPool } from "./pool.ts";'],
    ["src/gate/gate.ts", 'import { createPool } from "../core/pool.ts";'],
    ["src/server/app.ts", 'import { decode } from "../wire/cbor.ts";'],
    ["src/plane/plane.ts", 'import fastify from "fastify";'],
    ["src/gate/gate.ts", 'import vm from "node:vm";'],
    ["src/gate/gate.ts", 'import { spawn } from "child_process";'],
    ["src/gate/gate.ts", 'import lodash from "lodash";'],
    ["src/gate/gate.ts", 'import "fastify";'],
    // Names that hide.
    ["src/gate/gate.ts", "const module = await import(name);"],
    ["src/gate/gate.ts", 'const module = await import("node:" + name);'],
    ["src/gate/gate.ts", "const module = await import(`node:vm`);"],
    ["src/gate/gate.ts", "const run = createRequire(import.meta.url);"],
    ["src/gate/gate.ts", 'const vm = process.getBuiltinModule("node:vm");'],
    ["src/gate/gate.ts", "const text = `\u0024{await import(name)}`;"],
    ["src/gate/gate.ts", 'import {\n  a,\n  b,\n} from\n  "fastify";'],
  ];
  test.each(cases)("%s: %s", (path, text) => {
    expect(misdirected(path, text)).toHaveLength(1);
  });
});

describe("what is no import, or an allowed one, is not reported", () => {
  const cases: [path: string, text: string][] = [
    ["src/gate/gate.ts", '// import fastify from "fastify";'],
    ["src/gate/gate.ts", '/* import fastify from "fastify"; */'],
    ["src/gate/gate.ts", "const text = 'import fastify from \"fastify\"';"],
    ["src/gate/gate.ts", 'const pattern = /"/; const list = Array.from("ab");'],
    ["src/gate/gate.ts", 'const text = `from "\u0024{"fastify"}"`;'],
    ["src/gate/gate.ts", "const here = import.meta.url;"],
    ["src/gate/launch.ts", 'import { spawn } from "node:child_process";'],
    ["src/gate/gate.ts", 'import type { Store } from "../store/contract.ts";'],
    ["src/tpm/tcti.ts", 'const koffi = await import("koffi");'],
    ["src/core/pool.ts", 'import { Worker } from "node:worker_threads";'],
    ["src/cli/serve.ts", 'import { createPool } from "../core/pool.ts";'],
    ["src/core/load.ts", 'const { readFile } = await import("node:fs/promises");'],
    ["src/cli/demo.ts", 'import { SoftwareTpm } from "../../swtpm/software-tpm.ts";'],
    ["assembly/cose/message.ts", 'import { Reader } from "../codec/cbor";'],
    ["assembly/codec/cbor.ts", 'import { LIMIT } from "../generated";'],
  ];
  test.each(cases)("%s: %s", (path, text) => {
    expect(misdirected(path, text)).toEqual([]);
  });

  test("the reader names module, line and manner", () => {
    const text = '/* one\ntwo */\nimport a from "a";\nconst b = import("./b.ts");\n';
    expect(importsOf(text)).toEqual([
      { module: "a", line: 3, dynamic: false },
      { module: "./b.ts", line: 4, dynamic: true },
    ]);
  });
});
