/** `portcullis init`: a trust domain in a new home. */
import { hostname } from "node:os";
import type { Command } from "commander";
import { nowSeconds } from "../clock.ts";
import {
  type DomainPlan,
  type DraftDomain,
  draftDomain,
  type KeysetPlan,
  writeDomain,
} from "../domain/creation.ts";
import { makeFolder, replaceFile } from "../domain/files.ts";
import { LIMITS } from "../limits.ts";
import { createSqliteStore, openSqliteStore } from "../store/sqlite.ts";
import type { Curve } from "../wire/keys.ts";
import { UsageError } from "./error.ts";
import { formatConfig, type Home } from "./home.ts";
import { clearing, requireEmpty } from "./new-home.ts";
import { hex, isoTime, pairs } from "./print.ts";
import type { Session } from "./session.ts";
import { countOption, parseCount, spanOption } from "./values.ts";
import { defineVerb } from "./verb.ts";

interface Options {
  readonly root: KeysetPlan;
  readonly authority: KeysetPlan;
  readonly policy: KeysetPlan;
  readonly governance: KeysetPlan;
  readonly enroller: KeysetPlan;
  readonly plane?: KeysetPlan | null;
  readonly log?: KeysetPlan | null;
  readonly witness?: KeysetPlan | null;
  readonly breakGlass?: KeysetPlan | null;
  readonly curve: Curve;
  readonly charterLifetime: number;
  readonly snapshotLifetime: number;
  readonly grantLifetime: number;
  readonly nodeLifetime: number;
  readonly depth: number;
  readonly origin?: string;
  readonly tpm?: string;
  readonly capture?: string;
}

const CURVES: readonly Curve[] = ["Ed25519", "P-256", "P-384"];
const ROOM = { grants: 8_192, nodes: 8_192 };
const DAY = 86_400;

/** `k/n`: k signatures of n keys. `0` where a set may be absent. */
function keyset(flag: string, optional: boolean): (text: string) => KeysetPlan | null {
  return (text) => {
    if (optional && text === "0") return null;
    const [, k, n] = /^(\d{1,2})\/(\d{1,2})$/.exec(text) ?? [];
    if (k !== undefined && n !== undefined) return { threshold: Number(k), keys: Number(n) };
    throw new UsageError(`${flag}: "${text}" is no keyset: write 2/3 for two signatures of three.`);
  };
}

function curve(text: string): Curve {
  const found = CURVES.find((one) => one === text);
  if (found !== undefined) return found;
  throw new UsageError(`--curve: "${text}" is none of ${CURVES.join(", ")}.`);
}

function breakGlass(text: string): KeysetPlan | null {
  if (text === "0") return null;
  return { threshold: parseCount(text, 1, LIMITS.signers, "--break-glass"), keys: 0 };
}

function setup(command: Command): void {
  const sets = [
    ["root", "2/3", "signs charters"],
    ["authority", "2/3", "signs grants"],
    ["policy", "1/1", "signs reference policies"],
    ["enroller", "1/1", "signs node credentials; each key signs alone"],
    ["governance", "1/1", "signs snapshots"],
  ] as const;
  command.argument("<domain>", "the trust domain's name, such as example.org");
  for (const [set, text, what] of sets) {
    const flag = `--${set}`;
    const parse = keyset(flag, false);
    command.option(`${flag} <k/n>`, `${what} (default: ${text})`, parse, parse(text));
  }
  for (const set of ["plane", "log", "witness"]) {
    const parse = keyset(`--${set}`, true);
    command.option(`--${set} <k/n>`, `the ${set} keyset, absent where not given or 0`, parse);
  }
  const span = (flag: string, what: string, seconds: number, text: string) =>
    command.option(`${flag} <span>`, `${what} (default: ${text})`, spanOption(flag), seconds);
  command
    .option(
      "--break-glass <k>",
      "signatures of the class break-glass; 0 for no such class",
      breakGlass,
    )
    .option("--curve <name>", `of every key: ${CURVES.join(", ")}`, curve, "Ed25519");
  span("--charter-lifetime", "how long the charter is valid", 365 * DAY, "365d");
  span(
    "--snapshot-lifetime",
    "longest life of a snapshot, at most 1h",
    LIMITS.snapshotSeconds,
    "1h",
  );
  span("--grant-lifetime", "longest life of a grant", 30 * DAY, "30d");
  span("--node-lifetime", "longest life of a node credential", 365 * DAY, "365d");
  command
    .option("--depth <n>", "how often a grant may be delegated", countOption("--depth", 0, 4), 4)
    .option("--origin <name>", "names this machine's audit log (default: <domain>/<host name>)")
    .option("--tpm <address>", "this machine's TPM, such as device:/dev/tpmrm0")
    .option("--capture <policy>", "sign and activate what PCR 0 to 7 hold now, under this name");
}

/** Where nothing is said: one signature more than the others need, if there are keys for it. */
function breakGlassOf(options: Options): number | null {
  if (options.breakGlass !== undefined) return options.breakGlass?.threshold ?? null;
  const { threshold, keys } = options.authority;
  return threshold < Math.min(keys, LIMITS.signers) ? threshold + 1 : null;
}

function planOf(domain: string, options: Options): DomainPlan {
  if (options.enroller.threshold !== 1) {
    throw new UsageError("--enroller: each enroller key signs alone: write 1/n.");
  }
  if (options.snapshotLifetime > LIMITS.snapshotSeconds) {
    throw new UsageError(`--snapshot-lifetime: at most ${LIMITS.snapshotSeconds} s.`);
  }
  return {
    domain,
    curve: options.curve,
    root: options.root,
    authority: options.authority,
    policy: options.policy,
    enrollers: options.enroller.keys,
    governance: options.governance,
    plane: options.plane ?? null,
    log: options.log ?? null,
    witness: options.witness ?? null,
    breakGlass: breakGlassOf(options),
    charterSeconds: options.charterLifetime,
    bounds: {
      grantSeconds: options.grantLifetime,
      snapshotSeconds: options.snapshotLifetime,
      nodeSeconds: options.nodeLifetime,
      depth: options.depth,
    },
    room: ROOM,
  };
}

/** The store and its pin come first and the charter last: a home without a charter is none. */
async function writeHome(home: Home, draft: DraftDomain, config: string): Promise<void> {
  await makeFolder(home.path);
  createSqliteStore(home.state);
  const store = openSqliteStore(home.state);
  try {
    await store.transact((transaction) => transaction.pinCharter(draft.charterDigest, 1));
  } finally {
    await store.close();
  }
  await replaceFile(home.config, Buffer.from(config));
  await writeDomain(home.path, draft);
}

async function run(session: Session, options: Options, words: string[]): Promise<void> {
  const [domain = ""] = words;
  const home = session.place;
  await requireEmpty(home);
  const plan = planOf(domain, options);
  const now = nowSeconds();
  const draft = await draftDomain(plan, now);
  const origin = options.origin ?? `${domain}/${hostname()}`;
  if (!/^[^\s+\p{Cc}]+$/u.test(origin)) {
    throw new UsageError(`--origin: "${origin}" cannot name a log: no spaces, no "+".`);
  }
  const config = formatConfig({ origin, tpm: options.tpm ?? null, eventLog: null, ima: null });
  await clearing(home, async () => {
    await writeHome(home, draft, config);
    if (options.capture === undefined) return;
    const { captureActive } = await import("./capture.ts");
    await captureActive(home, options.capture, options.tpm);
  });
  const charterDigest = hex(draft.charterDigest);
  const snapshotExpires = isoTime(now + plan.bounds.snapshotSeconds);
  session.tell(
    { home: home.path, domain, charter: { number: 1, digest: charterDigest }, snapshotExpires },
    [
      ...pairs([
        ["domain", domain],
        ["home", home.path],
        ["charter", `1, digest ${charterDigest}`],
        ["snapshot", `1, until ${snapshotExpires}`],
      ]),
      "Every key lies in keys/: move away those that this machine need not hold, root first.",
      "next: portcullis enroll",
    ],
  );
}

export function register(program: Command): void {
  defineVerb<Options>(program, {
    name: "init",
    summary: "set up a trust domain: keys, first charter, first snapshot",
    examples: [
      "portcullis init example.org",
      "portcullis init example.org --root 3/5 --authority 2/4 --plane 1/2 --curve P-256",
    ],
    notes: ["JSON: {home, domain, charter: {number, digest}, snapshotExpires}"],
    setup,
    run,
  });
}
