/** Writes the kernels that are generated, before the compiler runs: AssemblyScript neither unrolls nor has macros. */
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { f25519Kernels } from "./kernel-25519.ts";
import { p256Kernels } from "./kernel-p256.ts";
import { p384Kernels } from "./kernel-p384.ts";
import { productKernels } from "./kernel-products.ts";
import { rowKernel } from "./kernel-rows.ts";
import { scalarKernels } from "./kernel-scalar.ts";

const FILES = {
  "assembly/field/products.generated.ts": productKernels,
  "assembly/field/p256-lanes.generated.ts": p256Kernels,
  "assembly/field/f25519-lanes.generated.ts": f25519Kernels,
  "assembly/field/p384-lanes.generated.ts": p384Kernels,
  "assembly/field/rows.generated.ts": rowKernel,
  "assembly/field/montgomery.generated.ts": scalarKernels,
};

/** Writes those that differ, each in one step, below the project's root. */
export async function writeKernels(root: string): Promise<void> {
  for (const [name, make] of Object.entries(FILES)) {
    const path = join(root, name);
    const text = make();
    const old = await readFile(path, "utf8").catch(() => null);
    if (old === text) continue;
    await writeFile(`${path}.${process.pid}`, text);
    await rename(`${path}.${process.pid}`, path);
  }
}
