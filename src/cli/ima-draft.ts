/**
 * The `ima` section of a draft policy: an allowlist of what a machine measured since it booted, to
 * be reviewed, widened and signed.
 */
import type { ImaEntry } from "../core/ima.ts";
import type { HashName, Pcrs } from "../core/index.ts";
import { digestOf } from "./event-facts.ts";
import { type Measured, measuredOf } from "./ima-text.ts";
import { hex, oneLine } from "./print.ts";

/** Folders that programs write to: what ran from there deserves a second look. */
const WRITABLE = ["/tmp/", "/var/tmp/", "/dev/shm/", "/run/", "/home/", "/root/", "/memfd:"];
const HASHES: readonly string[] = ["sha1", "sha256", "sha384", "sha512"];
const AGGREGATE = "boot_aggregate";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** YAML takes JSON's strings as they are (YAML 1.2.2 §7.3.1). */
const quoted = (text: string): string => JSON.stringify(text);

export interface ImaDraft {
  readonly lines: readonly string[];
  readonly files: number;
  readonly buffers: number;
  /** What the draft could not take in, a line each. */
  readonly left: readonly string[];
}

/** A name as text; null where it is no UTF-8, which a map in YAML could not name. */
function nameOf({ name }: Measured): string | null {
  try {
    return utf8.decode(name);
  } catch {
    return null;
  }
}

/** Digests by name, both in order. */
class Listing {
  readonly rows = new Map<string, Set<string>>();

  add(name: string, digest: Uint8Array): void {
    this.rows.set(name, (this.rows.get(name) ?? new Set()).add(hex(digest)));
  }

  lines(head: string): string[] {
    if (this.rows.size === 0) return [];
    const rows = [...this.rows].sort(([a], [b]) => (a < b ? -1 : 1));
    return [
      `  ${head}:`,
      ...rows.map(([name, digests]) => {
        const all = [...digests].sort();
        const value = all.length === 1 ? all[0] : `[${all.join(", ")}]`;
        const note = WRITABLE.some((folder) => name.startsWith(folder))
          ? "  # in a folder that programs write to"
          : "";
        return `    ${quoted(name)}: ${value}${note}`;
      }),
    ];
  }
}

/** The boot_aggregate of these PCRs, in the bank of the entry's own hash (docs/ima.md). */
export function isAggregateOf(entry: Measured, pcrs: Pcrs): boolean {
  const values = pcrs[entry.hash as HashName];
  if (values === undefined) return false;
  return (entry.hash === "sha1" ? [8] : [10, 8]).some((count) => {
    const read = Array.from({ length: count }, (_, pcr) => values[pcr] ?? null);
    const all = read.flatMap((value) => value ?? []);
    if (all.length < count) return false;
    return hex(digestOf(entry.hash as HashName, Buffer.concat(all))) === hex(entry.digest);
  });
}

/** Drafts the section from a list that leads to PCR 10, and the PCRs of the same boot. */
export function draftIma(list: readonly ImaEntry[], pcrs: Pcrs): ImaDraft {
  const [files, buffers, left] = [new Listing(), new Listing(), [] as string[]];
  let aggregate = "false  # the list does not begin with a boot_aggregate";
  for (const entry of list) {
    const found = measuredOf(entry);
    const name = found && nameOf(found);
    const place = `entry ${entry.index}`;
    if (entry.violation) {
      left.push(`${place}: a violation (${name ?? "?"}): it denies until the next boot`);
    } else if (found === null) left.push(`${place}: of template ${entry.template}, not understood`);
    else if (entry.index === 0 && name === AGGREGATE) {
      const own = isAggregateOf(found, pcrs);
      aggregate = own ? "true" : "false  # the first entry is not that of PCR 0 to 9 as they are";
    } else if (name === null) {
      left.push(`${place}: the name is no UTF-8: list it by digest, ${hex(found.digest)}`);
    } else if (!HASHES.includes(found.hash)) {
      left.push(`${place}: ${oneLine(name)} has a digest of ${found.hash}, which no rule matches`);
    } else (found.kind === "buffer" ? buffers : files).add(name, found.digest);
  }
  return {
    lines: [
      "# What ran since the boot, by path and digest: nothing else may. Versions to come go beside",
      "# these, as a list of digests; `excluded`, `keys` and `stages` are in docs/policies.md.",
      ...left.map((line) => `# left out: ${line}`),
      "ima:",
      `  aggregate: ${aggregate}`,
      ...files.lines("files"),
      ...buffers.lines("buffers"),
    ],
    files: files.rows.size,
    buffers: buffers.rows.size,
    left,
  };
}
