/**
 * Makes software TPMs with EKs and EK certificates from a CA of their own, as a vendor's factory
 * does. It takes about two seconds a TPM, so `preparedMachines` keeps finished ones for this user
 * and hands out copies.
 */
import { execFile } from "node:child_process";
import {
  access,
  constants,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Machines made by one factory: each state directory is one TPM with its own seeds and EKs. */
export interface Machines {
  readonly states: readonly string[];
  /** PEM of the CA's root and of the issuer between it and the EK certificates. */
  readonly root: string;
  readonly issuer: string;
}

/** SHA-1 and SHA-512 exist in these TPMs too and are inactive, as in most machines. */
const ACTIVE_BANKS = "sha256,sha384";
const MACHINES = 2;
/** A prepared set is used only if it was made in the same way. */
const FORMAT = "1";

/** The first program of this name in PATH. @throws Error that names the package to install. */
export async function findProgram(name: string): Promise<string> {
  const directories = (process.env.PATH ?? "").split(delimiter).filter((one) => one !== "");
  for (const directory of directories) {
    const path = join(directory, name);
    const executable = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (executable) return path;
  }
  throw new Error(`${name} is not installed; on Debian: apt-get install swtpm swtpm-tools.`);
}

async function writeConfiguration(directory: string, ca: string): Promise<string> {
  const [config, localca, options] = ["setup.conf", "localca.conf", "localca.options"].map((name) =>
    join(directory, name),
  ) as [string, string, string];
  const tool = await findProgram("swtpm_localca");
  await writeFile(
    config,
    `create_certs_tool = ${tool}\ncreate_certs_tool_config = ${localca}\n` +
      `create_certs_tool_options = ${options}\n`,
  );
  const at = (name: string): string => join(ca, name);
  await writeFile(
    localca,
    `statedir = ${ca}\nsigningkey = ${at("signkey.pem")}\nissuercert = ${at("issuercert.pem")}\n` +
      `certserial = ${at("certserial")}\n`,
  );
  await writeFile(
    options,
    "--platform-manufacturer Portcullis\n--platform-version 1\n--platform-model software\n",
  );
  return config;
}

/**
 * Makes `count` TPMs below `directory` (absolute, existing, empty), all certified by one new CA.
 * @throws Error with the output of swtpm_setup.
 */
export async function manufacture(
  directory: string,
  count: number,
  { rsaBits = 2048 }: { readonly rsaBits?: 2048 | 3072 } = {},
): Promise<Machines> {
  const ca = join(directory, "ca");
  await mkdir(ca, { mode: 0o700 });
  const config = await writeConfiguration(directory, ca);
  const setup = await findProgram("swtpm_setup");
  const states: string[] = [];
  for (let i = 0; i < count; i++) {
    const state = join(directory, `machine-${i}`);
    await mkdir(state, { mode: 0o700 });
    const what = [
      "--tpm2",
      "--create-ek-cert",
      "--create-platform-cert",
      "--pcr-banks",
      ACTIVE_BANKS,
      "--rsa-keysize",
      `${rsaBits}`,
    ];
    try {
      await run(setup, [...what, "--tpmstate", state, "--config", config]);
    } catch (cause) {
      const output = cause instanceof Error && "stdout" in cause ? String(cause.stdout).trim() : "";
      throw new Error(`swtpm_setup failed: ${output || String(cause)}`, { cause });
    }
    states.push(state);
  }
  return { states, ...(await readCa(ca)) };
}

async function readCa(ca: string): Promise<{ root: string; issuer: string }> {
  const [root, issuer] = await Promise.all([
    readFile(join(ca, "swtpm-localca-rootca-cert.pem"), "utf8"),
    readFile(join(ca, "issuercert.pem"), "utf8"),
  ]);
  return { root, issuer };
}

/**
 * Whether the finished set is there; another user's directory of this name is refused, not trusted.
 */
async function isOurs(directory: string): Promise<boolean> {
  try {
    const stat = await lstat(directory);
    if (!stat.isDirectory() || stat.uid !== process.getuid?.() || (stat.mode & 0o077) !== 0) {
      throw new Error(`${directory} is not a private directory of this user; remove it.`);
    }
    return true;
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return false;
    throw cause;
  }
}

const STATE_FILE = "tpm2-00.permall";

/** The set in a directory of ours; null where parts are missing, as after a clean-up of /tmp. */
async function readMachines(directory: string): Promise<Machines | null> {
  const states = Array.from({ length: MACHINES }, (_, i) => join(directory, `machine-${i}`));
  try {
    await Promise.all(states.map((state) => access(join(state, STATE_FILE), constants.R_OK)));
    return { states, ...(await readCa(join(directory, "ca"))) };
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return null;
    throw cause;
  }
}

/**
 * Two machines of one factory, made at the first call and kept in the temporary directory. Their
 * state directories are templates: copy them, never run them. Safe to call from several processes
 * at once.
 */
export async function preparedMachines(): Promise<Machines> {
  const kept = join(tmpdir(), `portcullis-swtpm-${process.getuid?.() ?? 0}-${FORMAT}`);
  if (await isOurs(kept)) {
    const machines = await readMachines(kept);
    if (machines) return machines;
    await rm(kept, { recursive: true, force: true });
  }
  const fresh = await mkdtemp(join(tmpdir(), "portcullis-swtpm-new-"));
  try {
    await manufacture(fresh, MACHINES);
    await rename(fresh, kept);
  } catch (cause) {
    await rm(fresh, { recursive: true, force: true });
    // Another process was faster, and its set is as good; anything else is an error.
    if (!(await isOurs(kept))) throw cause;
  }
  const machines = await readMachines(kept);
  if (!machines) throw new Error(`${kept} is not whole; remove it.`);
  return machines;
}
