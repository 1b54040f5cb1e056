/** Which version this is. */
import { readFileSync } from "node:fs";

/** From package.json, which lies above both src/ and dist/src/. */
export function versionOf(): string {
  for (const up of ["../../package.json", "../../../package.json"]) {
    const path = new URL(up, import.meta.url);
    let text: string;
    try {
      text = readFileSync(path, "utf8");
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") continue;
      throw error;
    }
    const found: { name?: unknown; version?: unknown } = JSON.parse(text);
    if (found.name === "portcullis" && typeof found.version === "string") return found.version;
  }
  throw new Error("package.json is absent");
}
