/** `enroll --plane`: a new home from what a plane publishes, and this TPM enrolled by it. */
import { hostname } from "node:os";
import { type NodeEnrollment, writeAkFile } from "../agent/index.ts";
import { PlaneClient } from "../client/index.ts";
import { nowSeconds } from "../clock.ts";
import { makeFolder, readBounded, replaceFile } from "../domain/files.ts";
import { Layout } from "../domain/layout.ts";
import { LIMITS } from "../limits.ts";
import { createSqliteStore, openSqliteStore } from "../store/sqlite.ts";
import { coseKeyOf } from "../wire/keys.ts";
import { parseSigned } from "../wire/objects.ts";
import { UsageError } from "./error.ts";
import { formatConfig, type Home, readConfig } from "./home.ts";
import { readInput } from "./input-file.ts";
import { type Invitation, readInvitation } from "./invite.ts";
import { logKeyOf, tpmAddress } from "./machine.ts";
import { clearing, requireEmpty } from "./new-home.ts";
import { nodeFiles } from "./node-files.ts";
import { fetchGovernance, type PlaneOptions } from "./plane-client.ts";
import { hex } from "./print.ts";
import type { Session } from "./session.ts";
import { parseHex } from "./values.ts";

export interface JoinOptions extends PlaneOptions {
  readonly invite?: string;
  readonly tokenFile?: string;
  readonly pin?: string;
  readonly tpm?: string;
  /** False with --no-counter. */
  readonly counter: boolean;
}

/** A plane that is only just starting is waited for, for seconds. */
const TRIES = 40;

type Joining = Omit<Invitation, "pin"> & { readonly pin?: string };

/** Where, whom and with what: from the invitation, or word by word. */
async function invitationOf(options: JoinOptions): Promise<Joining> {
  const { plane, planeCa, tokenFile, pin } = options;
  if (options.invite !== undefined) return readInvitation(options.invite);
  if (plane === undefined || tokenFile === undefined) {
    throw new UsageError("--plane: name a --token-file, too.");
  }
  const text = async (file: string, bytesMax: number): Promise<string> =>
    Buffer.from(await readInput(file, bytesMax)).toString("latin1");
  const ca = planeCa === undefined ? null : await text(planeCa, 1_048_576);
  return { plane, token: (await text(tokenFile, 4_096)).trim(), ca, ...(pin && { pin }) };
}

/** Enrolls at the plane; gives the home, made where there was none. */
export async function enrollAt(session: Session, options: JoinOptions): Promise<Home> {
  const { plane: url, pin, token, ca } = await invitationOf(options);
  const client = new PlaneClient({ url, tries: TRIES, ...(ca !== null && { ca }) });
  try {
    const home = session.place;
    const known = (await readBounded(home.config, 65_536).catch(() => null)) !== null;
    if (!known) await makeHome(home, client, { ...options, ...(pin && { pin }) });
    else await fetchGovernance(home, client);
    await enrollNode(home, client, options, token);
    return home;
  } finally {
    client.close();
  }
}

/** The pin is the operator's word; what the plane sends must begin with it. */
async function makeHome(home: Home, client: PlaneClient, options: JoinOptions): Promise<void> {
  if (options.pin === undefined) {
    throw new UsageError(
      "--pin: name the charter's digest, which `portcullis init` or `status` shows on the plane: " +
        "without it, whoever answers would be the domain.",
    );
  }
  const pin = parseHex(options.pin, 32, "--pin");
  await requireEmpty(home);
  const { charters } = await client.governance();
  const pinned = charters
    .map((bytes) => parseSigned("charter", bytes))
    .find(({ digest }) => digest !== null && Buffer.compare(digest, pin) === 0);
  if (pinned === undefined) {
    throw new UsageError(
      "--pin: the plane has no charter with that digest: it is another domain's.",
    );
  }
  const { domain, number } = pinned.claims;
  await clearing(home, async () => {
    await makeFolder(home.path);
    createSqliteStore(home.state);
    const store = openSqliteStore(home.state);
    await store
      .transact((transaction) => transaction.pinCharter(pin, number))
      .finally(() => store.close());
    const layout = new Layout(home.path);
    for (const path of [layout.charters, layout.snapshots, layout.policies]) await makeFolder(path);
    const config = {
      origin: `${domain}/${hostname()}`,
      tpm: options.tpm ?? null,
      eventLog: null,
      ima: null,
    };
    await replaceFile(home.config, Buffer.from(formatConfig(config)));
    await fetchGovernance(home, client);
  });
}

async function enrollNode(
  home: Home,
  client: PlaneClient,
  options: JoinOptions,
  token: string,
): Promise<void> {
  const { NodeEnrollment } = await import("../agent/index.ts");
  const logKey = coseKeyOf(await logKeyOf(home));
  const tpm = tpmAddress(readConfig(home), options.tpm);
  const counter = await counterOf(home, options.counter);
  await using node = await NodeEnrollment.begin({ tpm, logKey, ...counter });
  const { id, challenge } = await client.enroll(node.request, token);
  const credential = await client.answer(id, await node.answer(challenge), token);
  const { publicArea } = parseSigned("node", credential).claims;
  if (hex(publicArea) !== hex(node.request.akPublic)) {
    throw new UsageError("The plane's credential is for another key.");
  }
  await keepNode(home, node, credential);
}

/** The NV counter that guards this home: the one it has, or a new one; none where not wanted. */
export async function counterOf(home: Home, wanted: boolean) {
  if (!wanted) return {};
  const store = openSqliteStore(home.state);
  const anchor = await store.anchor().finally(() => store.close());
  return { counter: anchor ?? ("new" as const) };
}

/**
 * Keeps key and credential. The new key's counters at enrollment are its floor; where TPM2_Clear
 * zeroed them, older ones would deny for ever. The state is the newest there is from here on, by
 * the enroller's word.
 */
export async function keepNode(
  home: Home,
  node: NodeEnrollment,
  credential: Uint8Array,
): Promise<void> {
  await writeAkFile(nodeFiles(home).ak, node.blob);
  await replaceFile(nodeFiles(home).credential, credential);
  const held = await node.keepCounter();
  const { name, counters } = parseSigned("node", credential).claims;
  const store = openSqliteStore(home.state);
  try {
    await store.transact(async (transaction) => {
      await transaction.replaceCounters(name, counters, nowSeconds());
      const { size } = await transaction.tree();
      const fresh = { announced: false, snapshotVersion: 0, size };
      await transaction.setAnchor(held && { ...held, ...fresh });
    });
  } finally {
    await store.close();
  }
}

export async function credentialOf(home: Home): Promise<Uint8Array> {
  const bytes = await readBounded(nodeFiles(home).credential, LIMITS.policyBytes);
  if (bytes !== null) return bytes;
  throw new UsageError(`${nodeFiles(home).credential} is absent.`);
}
