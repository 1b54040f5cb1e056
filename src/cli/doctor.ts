/**
 * `portcullis doctor`: what a run needs, tried one by one, each with what to do. Changes nothing.
 */
import type { Command } from "commander";
import { openAgent } from "../agent/index.ts";
import { boottimeMs, nowSeconds } from "../clock.ts";
import { loadCore } from "../core/index.ts";
import { loadDomain } from "../domain/domain.ts";
import { requireAnchored, StateRollback } from "../gate/anchor.ts";
import { EXIT } from "../gate/exit-codes.ts";
import { prepareJob } from "../gate/job.ts";
import { launch } from "../gate/launch.ts";
import { LIMITS } from "../limits.ts";
import { requirePrivate } from "../private.ts";
import { openSqliteStore } from "../store/sqlite.ts";
import { openTpm, pcrBanks, readClock, TPM_ALG } from "../tpm/index.ts";
import { Complaint } from "./complaint.ts";
import { lookAtBootLog, lookAtIma } from "./doctor-logs.ts";
import { type Home, readConfig, requireHome } from "./home.ts";
import { TPM_MS_MAX, tpmAddress } from "./machine.ts";
import { loadNode, nodeFiles } from "./node-files.ts";
import { hex, isoTime, oneLine, printLines, span } from "./print.ts";
import type { Session } from "./session.ts";
import { defineVerb } from "./verb.ts";

/** What was found, and, where something is wrong, what to do. */
interface Finding {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
  readonly next: string | null;
}

interface Check {
  readonly name: string;
  /** What to do where it fails. */
  readonly next: string;
  /** Says what was found; throws, or gives a Complaint, where something is wrong. */
  readonly look: (place: Home, tpm: string) => Promise<string | Complaint> | string | Complaint;
}

const BANK_NAMES: ReadonlyMap<number, string> = new Map([
  [TPM_ALG.SHA1, "sha1"],
  [TPM_ALG.SHA256, "sha256"],
  [TPM_ALG.SHA384, "sha384"],
  [TPM_ALG.SHA512, "sha512"],
]);

const CHECKS: readonly Check[] = [
  {
    name: "core",
    next: "Build it: `npm run build`.",
    look: async () => {
      const { wasmDigest } = await loadCore();
      return `SHA-256 ${wasmDigest === null ? "unknown" : hex(wasmDigest)}`;
    },
  },
  {
    name: "home",
    next: "Make it private to its user (chmod -R go= on the folder), or set up with `portcullis init`.",
    look: (home) => `${requireHome(home).path}, private`,
  },
  {
    name: "state",
    next: "Check disk and permissions; `portcullis restore` brings back a backup.",
    look: lookAtState,
  },
  {
    name: "governance",
    next: "Renew it with `portcullis snapshot renew`, or fetch the newest.",
    look: lookAtGovernance,
  },
  {
    name: "charters",
    next: "Pin one that leads to the last, by your word: `portcullis governance pin`.",
    look: lookAtCharters,
  },
  { name: "log key", next: "Restore node/log.pem from a backup.", look: lookAtLogKey },
  {
    name: "TPM",
    next: "Set `tpm:` in config.yaml (or --tpm); the user needs read and write access to the device.",
    look: lookAtTpm,
  },
  {
    name: "TPM clock",
    next: "Wait until the TPM saves its clock (seconds to 70 minutes, by its maker).",
    look: lookAtTpmClock,
  },
  { name: "enrollment", next: "Enroll with `portcullis enroll`.", look: lookAtEnrollment },
  {
    name: "attestation key",
    next: "Enroll again with `portcullis enroll --replace`: the TPM was cleared or exchanged.",
    look: lookAtKey,
  },
  {
    name: "boot log",
    next: "Name a copy that this user may read with `event-log:` in config.yaml; it must be this boot's.",
    look: lookAtBootLog,
  },
  {
    name: "IMA list",
    next: "Name a copy that this user may read with `ima:` in config.yaml; boot with ima_policy=tcb.",
    look: lookAtIma,
  },
  {
    name: "state counter",
    next: "Enroll again with `portcullis enroll`, after revoking what was issued since the copy.",
    look: lookAtCounter,
  },
  {
    name: "confinement",
    next: "Install util-linux 2.38 or newer and perl; allow user namespaces to this user.",
    look: lookAtConfinement,
  },
];

async function lookAtState(home: Home): Promise<string | Complaint> {
  const store = openSqliteStore(home.state);
  try {
    const floors = await store.floors();
    if (floors === null) return new Complaint("no charter is pinned");
    const behind = floors.timeSeconds - nowSeconds();
    if (behind > 0) return new Complaint(`this machine's clock is ${span(behind)} behind`);
    const { size } = await store.tree();
    return `charter ${floors.charterNumber} pinned, snapshot ${floors.snapshotVersion}, ${size} leaves`;
  } finally {
    await store.close();
  }
}

async function lookAtGovernance(home: Home): Promise<string | Complaint> {
  const { snapshot } = await loadDomain(home.path);
  const { version, exp, freeze } = snapshot.object.claims;
  const left = exp - nowSeconds();
  if (left <= 0) return new Complaint(`snapshot ${version} expired ${span(left)} ago`);
  if (freeze !== "none") return new Complaint(`frozen (${freeze})`);
  return `snapshot ${version}, ${span(left)} left`;
}

/** The way from the pinned charter to the one in force: the core follows no other. */
async function lookAtCharters(home: Home): Promise<string | Complaint> {
  const { charters, charter } = await loadDomain(home.path);
  const store = openSqliteStore(home.state);
  const floors = await store.floors().finally(() => store.close());
  if (floors === null) return new Complaint("no charter is pinned");
  const inForce = charter.object.claims.number;
  const told = `${floors.charterNumber} pinned, ${inForce} in force`;
  const way = charters.filter(({ object }) => object.claims.number >= floors.charterNumber);
  if (way.length > LIMITS.charters) {
    return new Complaint(`${told}: this gate follows at most ${LIMITS.charters - 1} rotations`);
  }
  const expired = way.find(({ object }) => object.claims.exp <= nowSeconds());
  if (expired !== undefined) {
    return new Complaint(`${told}: charter ${expired.object.claims.number} has expired`);
  }
  return told;
}

function lookAtLogKey(home: Home): string {
  const there = requirePrivate(nodeFiles(home).log, "file") !== null;
  return there ? "present, private" : "none yet: made at the first run or enrollment";
}

async function lookAtTpm(_home: Home, address: string): Promise<string | Complaint> {
  await using tpm = await openTpm(address, { timeoutMs: TPM_MS_MAX });
  const banks = (await pcrBanks(tpm)).filter(({ pcrs }) => pcrs.length > 0);
  const names = banks.map(({ hash }) => BANK_NAMES.get(hash) ?? `0x${hash.toString(16)}`);
  const told = `${address}, active banks: ${names.join(", ")}`;
  return names.includes("sha256") ? told : new Complaint(`${told}; sha256 is not among them`);
}

async function lookAtTpmClock(_home: Home, address: string): Promise<string | Complaint> {
  await using tpm = await openTpm(address, { timeoutMs: TPM_MS_MAX });
  const { resetCount, restartCount, clock, safe } = (await readClock(tpm)).clockInfo;
  const told = `resetCount ${resetCount}, restartCount ${restartCount}, clock ${clock} ms`;
  return safe ? told : new Complaint(`${told}; safe = NO after an unorderly shutdown`);
}

async function lookAtEnrollment(home: Home): Promise<string | Complaint> {
  const node = await loadNode(home);
  if (node === null) return new Complaint("this machine is not enrolled");
  const { exp, labels } = node.claims;
  if (exp <= nowSeconds()) return new Complaint(`the node credential expired ${isoTime(exp)}`);
  return `until ${isoTime(exp)}, labels: ${labels.join(", ") || "none"}`;
}

async function lookAtKey(home: Home, tpm: string): Promise<string | Complaint> {
  const node = await loadNode(home);
  if (node === null) return new Complaint("this machine is not enrolled");
  await using agent = await openAgent({ tpm, akFile: nodeFiles(home).ak, timeoutMs: TPM_MS_MAX });
  if (hex(agent.name) !== hex(node.claims.name)) {
    return new Complaint("the key in node/ is not the credential's");
  }
  const started = boottimeMs();
  await agent.quote(new Uint8Array(32), [{ hash: TPM_ALG.SHA256, pcrs: [0] }]);
  return `in the endorsement hierarchy, a quote takes about ${boottimeMs() - started} ms`;
}

async function lookAtCounter(home: Home, tpm: string): Promise<string | Complaint> {
  const store = openSqliteStore(home.state);
  const anchor = await store.anchor().finally(() => store.close());
  const node = await loadNode(home);
  const credential = node?.claims.nvIndexName ?? null;
  if (anchor === null && credential === null) return "none: restoring a copy would go unnoticed";
  await using agent = await openAgent({ tpm, akFile: nodeFiles(home).ak, timeoutMs: TPM_MS_MAX });
  const counter = anchor && (await agent.counter(anchor));
  try {
    requireAnchored({ before: anchor, after: anchor, credential, counter });
  } catch (error) {
    if (error instanceof StateRollback) return new Complaint(error.message);
    throw error;
  }
  return `at ${counter}, as the state says`;
}

async function lookAtConfinement(home: Home): Promise<string | Complaint> {
  const prepared = await prepareJob({
    executable: "/bin/true",
    argv: ["true"],
    environment: [],
    cwd: "/",
    stdin: "none",
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    runtimeSeconds: 1,
    place: { kind: "memory", directory: home.path },
  });
  try {
    const pending = await launch(prepared);
    await pending.cancel();
    if (pending.warnings.length > 0) return new Complaint(pending.warnings.join(", "));
    return "sealed image, PID namespace";
  } finally {
    await prepared.close();
  }
}

async function examine(check: Check, home: Home, tpm: string): Promise<Finding> {
  const { name, next } = check;
  try {
    const found = await check.look(home, tpm);
    if (found instanceof Complaint) return { name, ok: false, detail: found.message, next };
    return { name, ok: true, detail: found, next: null };
  } catch (error) {
    const detail = oneLine(error instanceof Error ? error.message : String(error));
    return { name, ok: false, detail, next };
  }
}

function addressOf(home: Home, option: string | undefined): string {
  try {
    return tpmAddress(readConfig(home), option);
  } catch {
    // The check of the home names what is wrong with it; the TPM is still worth a look.
    return option ?? "device:/dev/tpmrm0";
  }
}

async function doctor(session: Session, options: { readonly tpm?: string }): Promise<number> {
  const home = session.place;
  const tpm = addressOf(home, options.tpm);
  const findings: Finding[] = [];
  for (const check of CHECKS) {
    const finding = await examine(check, home, tpm);
    findings.push(finding);
    if (session.json) continue;
    const { ok, name, detail, next } = finding;
    printLines([`${ok ? "ok  " : "FAIL"}  ${name.padEnd(16)} ${detail}`]);
    if (next !== null) printLines([`      ${"".padEnd(16)} next: ${next}`]);
  }
  const ok = findings.every((finding) => finding.ok);
  if (session.json) session.tell({ ok, checks: findings.map((one) => ({ ...one })) }, []);
  return ok ? 0 : EXIT.internal;
}

export function register(program: Command): void {
  defineVerb<{ readonly tpm?: string }>(program, {
    name: "doctor",
    summary: "check what a run needs, and say what to do",
    examples: ["portcullis doctor", "portcullis doctor --tpm swtpm:path=/run/swtpm/sock"],
    notes: [
      "Exit code 0 if all is well, 70 if not.",
      "JSON: {ok, checks: [{name, ok, detail, next}]}",
    ],
    setup: (command) => command.option("--tpm <address>", "the TPM, as in config.yaml"),
    run: doctor,
  });
}
