/** tpm2-tss is optional: what is said where a part of it is missing. */
import { execFile } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const run = promisify(execFile);
const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");

/** Opens a TPM through tpm2-tss in a program where the package koffi is `replacement`. */
async function openWith(replacement: string): Promise<string> {
  const program = `
    import { registerHooks } from "node:module";
    registerHooks({
      resolve(specifier, context, next) {
        if (specifier !== "koffi") return next(specifier, context);
        return { url: ${JSON.stringify(replacement)}, shortCircuit: true };
      },
    });
    const { openTpm } = await import(${JSON.stringify(join(root, "src/tpm/open.ts"))});
    const opened = await Promise.allSettled([openTpm("tcti:swtpm"), openTpm("tcti:swtpm")]);
    for (const { reason } of opened) console.log(reason.name + ": " + reason.message);
  `;
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", program]);
  const [first = "", second] = stdout.trim().split("\n");
  expect(second).toBe(first);
  return first;
}

test("the package koffi", async () => {
  const said = await openWith("file:///nowhere/koffi.js");
  expect(said).toMatch(/^TpmTransportError: The package koffi is not installed/);
});

test("the library libtss2-tctildr", async () => {
  const stub = 'export default { load() { throw new Error("cannot open shared object file") } }';
  const said = await openWith(`data:text/javascript,${encodeURIComponent(stub)}`);
  expect(said).toBe(
    "TpmTransportError: libtss2-tctildr.so.0 cannot be loaded; " +
      "install libtss2-tctildr0 or tpm2-tss: cannot open shared object file.",
  );
});

test("nothing native is loaded for the other transports", async () => {
  const program = `
    import { openTpm } from ${JSON.stringify(join(root, "src/tpm/open.ts"))};
    await openTpm("swtpm:path=/nowhere/s").catch(() => undefined);
    console.log(process.report.getReport().sharedObjects.some((name) => /koffi|tss2/.test(name)));
  `;
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", program]);
  expect(stdout.trim()).toBe("false");
});
