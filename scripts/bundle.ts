/**
 * dist/src/cli as a few files: finding and compiling a hundred and forty modules cost `run` more than
 * all that it decides. Modules keep the address that they had, so that what lies beside them (the
 * core's builds, the page, a worker) is found where it was.
 */
import { realpath, rename, rm } from "node:fs/promises";
import { join, relative } from "node:path";
import { rolldown } from "rolldown";

/**
 * What is loaded together, besides what a verb alone needs: the first that matches takes a module
 * and all that it imports.
 */
const TOGETHER = [
  // Apart, and so before the library that needs it: what a part imports runs before its own code.
  ["reflect", /\/src\/enroll\/reflect\.js$/],
  ["command", /\/src\/cli\/(?:command|session)\.js$/],
  ["core", /\/src\/core\/index\.js$/],
  ["wire", /\/src\/wire\/objects\.js$/],
  ["files", /\/src\/(?:domain\/files|cli\/input-file|cli\/values)\.js$/],
  ["structures", /\/src\/tpm\/structures\//],
  ["state", /\/src\/(?:domain|log|store)\//],
  ["gate", /\/src\/cli\/run\.js$/],
  ["agent", /\/src\/agent\/index\.js$/],
] as const;

/** Replaces dist/src/cli, which tsc wrote, by its bundle. */
export async function bundle(dist: string): Promise<void> {
  const cli = join(await realpath(dist), "src/cli");
  const made = `${cli}.new`;
  const build = await rolldown({
    input: join(cli, "main.js"),
    platform: "node",
    external: /^(?:node:|[^./])/,
    plugins: [
      {
        name: "addresses",
        transform: (code, id) => {
          const address = `new URL(${JSON.stringify(`./${relative(cli, id)}`)}, import.meta.url).href`;
          return code.replaceAll("import.meta.url", address);
        },
      },
    ],
  });
  const groups = TOGETHER.map(([name, test], index) => ({
    name,
    test,
    priority: TOGETHER.length - index,
  }));
  await build.write({
    dir: made,
    format: "esm",
    entryFileNames: "[name].js",
    chunkFileNames: "[name].js",
    comments: false,
    codeSplitting: { groups },
  });
  await build.close();
  await rm(cli, { recursive: true });
  await rename(made, cli);
}
