/**
 * `portcullis governance propose | show | sign | publish | pin`: the next charter, and what k of n keys
 * sign where the keys lie apart. A signer sees all that it signs, and names the digest that it saw.
 */
import type { Command } from "commander";
import { nowSeconds } from "../clock.ts";
import { type Core, loadCore } from "../core/index.ts";
import {
  collectSignatures,
  type PartialFile,
  quorumsOf,
  type Standing,
  sameDraft,
  standings,
} from "../domain/collection.ts";
import { type Domain, loadDomain } from "../domain/domain.ts";
import { type Ratified, ratify } from "../domain/ratification.ts";
import { draftCharter } from "../domain/rotation.ts";
import { requireMembers, signersAtHand, signersFrom } from "../domain/signers.ts";
import { draftObject, signDraft, type UnverifiedDraft } from "../wire/draft.ts";
import { judgeCandidate, signatureCheck } from "./candidate.ts";
import { readCharterDocument, SETS } from "./charter-document.ts";
import { Field, parseYaml } from "./document.ts";
import { readDrafts, readLists, readUnder, writeDraft } from "./draft-files.ts";
import { textOf } from "./draft-text.ts";
import { UsageError } from "./error.ts";
import { readInput } from "./input-file.ts";
import { registerPin } from "./pin.ts";
import { hex, type Json, oneLine, pairs } from "./print.ts";
import type { Session } from "./session.ts";
import { collect, parseHex } from "./values.ts";
import { defineFamily, defineVerb } from "./verb.ts";

const DOCUMENT_BYTES_MAX = 262_144;

interface ProposeOptions {
  readonly add?: readonly string[];
  readonly remove?: readonly string[];
  readonly threshold?: readonly string[];
  readonly lifetime?: string;
  readonly out: string;
}

/** `set=value` flags, by set: the same document that YAML would give. */
function documentOf({ add = [], remove = [], threshold = [], lifetime }: ProposeOptions): Field {
  const sets = new Map<string, Map<string, unknown>>();
  const put = (flag: string, text: string, name: string, list: boolean): void => {
    const split = text.indexOf("=");
    const set = text.slice(0, split);
    if (!SETS.some((one) => one === set)) {
      throw new UsageError(`${flag}: "${text}" is not <set>=<value>; sets: ${SETS.join(", ")}.`);
    }
    const fields = sets.get(set) ?? new Map<string, unknown>();
    const value = text.slice(split + 1);
    const before = fields.get(name);
    if (!list && before !== undefined) throw new UsageError(`${flag}: ${set} is given twice.`);
    fields.set(name, list ? [...(Array.isArray(before) ? before : []), value] : value);
    sets.set(set, fields);
  };
  for (const text of add) put("--add", text, "add", true);
  for (const text of remove) put("--remove", text, "remove", true);
  for (const text of threshold) put("--threshold", text, "threshold", false);
  const all = new Map<string, unknown>(sets);
  if (lifetime !== undefined) all.set("lifetime", lifetime);
  return new Field(all, "flags");
}

async function propose(session: Session, options: ProposeOptions, [file]: string[]) {
  const domain = await loadDomain(session.home().path);
  const flags = documentOf(options);
  if (file !== undefined && flags.members().length > 0) {
    throw new UsageError("A document and flags exclude each other (but --out).");
  }
  const document =
    file === undefined ? flags : parseYaml(await readInput(file, DOCUMENT_BYTES_MAX), file);
  const change = await readCharterDocument(document, domain);
  const claims = draftCharter(domain, change, nowSeconds());
  const out = await writeDraft(options.out, draftObject("charter", claims));
  await tellDraft(session, domain, await readDrafts([out]), { lists: [] });
}

interface Shown {
  readonly lists: readonly Uint8Array[];
  readonly under?: string;
}

const title = ({ kind, claims }: UnverifiedDraft): string => {
  if (kind === "charter") return `charter ${claims.number}`;
  if (kind === "snapshot") return `snapshot ${claims.version}`;
  return kind === "policy" ? `policy ${claims.name}, version ${claims.version}` : "grant";
};

const standingShape = ({ quorum, signed }: Standing): Json => ({
  keyset: quorum.name,
  threshold: quorum.threshold,
  keys: quorum.keys.length,
  signed,
});

async function standingsOf(
  domain: Domain,
  files: readonly PartialFile[],
  draft: UnverifiedDraft,
  under: string | undefined,
): Promise<Standing[]> {
  const quorums = quorumsOf(domain, draft, await readUnder(under));
  const check = signatureCheck(await loadCore());
  return standings(collectSignatures(files, quorums, check), quorums);
}

/** Everything that the bytes say, what is new in it, and who has signed. */
async function tellDraft(
  session: Session,
  domain: Domain,
  files: readonly PartialFile[],
  { lists, under }: Shown,
): Promise<void> {
  const draft = sameDraft(files);
  const { against, changes, full } = await textOf(draft, domain, lists);
  const standing = await standingsOf(domain, files, draft, under);
  const digest = hex(draft.digest);
  const [{ file } = { file: "" }] = files;
  session.tell(
    {
      file,
      kind: draft.kind,
      digest,
      against,
      changes,
      content: full,
      signatures: standing.map(standingShape),
    },
    [
      ...pairs([
        [draft.kind, title(draft)],
        ["file", file],
        ["digest", digest],
      ]),
      ...(against === null ? [] : [`changes against ${oneLine(against)}:`]),
      ...changes.map((line) => `  ${line}`),
      "in full:",
      ...full.map((line) => `  ${line}`),
      "signatures:",
      ...standing.map(
        ({ quorum, signed }) =>
          `  ${quorum.name}: ${signed} of ${quorum.threshold} (${quorum.keys.length} keys)`,
      ),
      `next: portcullis governance sign ${file} --digest ${digest} --key <file> --out <file>`,
    ],
  );
}

interface ShowOptions {
  readonly status?: readonly string[];
  readonly under?: string;
}

async function show(session: Session, options: ShowOptions, names: string[]): Promise<void> {
  const domain = await loadDomain(session.home().path);
  const lists = await readLists(names, options.status);
  await tellDraft(session, domain, await readDrafts(names), { ...options, lists });
}

interface SignOptions extends ShowOptions {
  readonly digest: string;
  readonly key: readonly string[];
  readonly out: string;
}

async function sign(session: Session, options: SignOptions, [name = ""]: string[]) {
  const domain = await loadDomain(session.home().path);
  const files = await readDrafts([name]);
  const draft = sameDraft(files);
  const digest = hex(draft.digest);
  if (digest !== hex(parseHex(options.digest, 32, "--digest"))) {
    throw new UsageError(
      `--digest: ${name} has another digest than the one you saw: \`governance show\` it again.`,
    );
  }
  // Shows nothing, but refuses what could not have been shown.
  await textOf(draft, domain, await readLists([name], options.status));
  const standing = await standingsOf(domain, files, draft, options.under);
  const signers = await signersFrom(options.key);
  const all = standing.flatMap(({ quorum }) => [...quorum.keys]);
  requireMembers(signers, { name: title(draft), threshold: 1, keys: all });
  let bytes = await readInput(name);
  for (const signer of signers) bytes = await signDraft(bytes, signer);
  const out = await writeDraft(options.out, bytes);
  const now = await standingsOf(domain, await readDrafts([out]), draft, options.under);
  session.tell({ file: out, digest, signatures: now.map(standingShape) }, [
    ...pairs([
      ["signed", title(draft)],
      ["digest", digest],
      ["file", out],
    ]),
    ...now.map(({ quorum, signed }) => `  ${quorum.name}: ${signed} of ${quorum.threshold}`),
  ]);
}

interface PublishOptions {
  readonly status?: readonly string[];
  readonly signer?: readonly string[];
}

async function publish(session: Session, options: PublishOptions, names: string[]) {
  const { path } = session.home();
  const { layout } = await loadDomain(path);
  const core: Core = await loadCore();
  const { signer } = options;
  const published = await ratify(path, await readDrafts(names), {
    check: signatureCheck(core),
    judge: (candidate) => judgeCandidate(core, candidate),
    governance:
      signer === undefined ? await signersAtHand(layout, "governance") : await signersFrom(signer),
    lists: await readLists(names, options.status),
    nowSeconds: nowSeconds(),
  });
  const shape = ({ kind, digest, file }: Ratified): Json => ({ kind, digest: hex(digest), file });
  session.tell({ published: published.map(shape) }, [
    ...published.flatMap(({ kind, digest, file }) =>
      pairs([
        [kind, file],
        ["digest", hex(digest)],
      ]),
    ),
    ...(published[0]?.kind === "policy" ? ["next: portcullis policy activate <name>"] : []),
  ]);
}

const STATUS = ["--status <file>", "the status list of a snapshot (default: beside it)"] as const;
const UNDER = ["--under <charter>", "the proposed charter that the snapshot names"] as const;

function registerShowing(family: Command): void {
  const shape =
    "JSON: {file, kind, digest, against, changes, content, signatures: [{keyset, ...}]}";
  defineVerb<ShowOptions>(family, {
    name: "show",
    summary: "what would be signed, what is new in it, and who has signed",
    examples: ["portcullis governance show charter-2.draft"],
    notes: ["Signatures that are there are verified; one that is not good is refused.", shape],
    setup: (command) =>
      command
        .argument("<files...>", "a proposal, or the same with signatures")
        .option(...STATUS, collect)
        .option(...UNDER),
    run: show,
  });
  defineVerb<SignOptions>(family, {
    name: "sign",
    summary: "sign what `show` showed, with keys that lie here",
    examples: [
      "portcullis governance sign charter-2.draft --digest 5f1c...9e --key root-1.pem --out a.part",
    ],
    notes: [
      "--digest is the one that `show` printed: what you saw is what you sign.",
      "JSON: {file, digest, signatures: [{keyset, threshold, keys, signed}]}",
    ],
    setup: (command) =>
      command
        .argument("<file>", "a charter, snapshot, policy or grant to be signed")
        .requiredOption("--digest <hex>", "what you saw")
        .requiredOption("--key <file>", "a private key; again for each further one", collect)
        .requiredOption("--out <file>", "the same with your signature (mode 0600)")
        .option(...STATUS, collect)
        .option(...UNDER),
    run: sign,
  });
}

export function register(program: Command): void {
  const summary = "rotate the charter, and sign where k of n keys lie apart";
  const family = defineFamily(program, "governance", summary);
  defineVerb<ProposeOptions>(family, {
    name: "propose",
    summary: "write the next charter, unsigned, from a document or from flags",
    examples: [
      "portcullis governance propose change.yaml --out charter-2.draft",
      "portcullis governance propose --add governance=new.pub --remove governance=3b1f8a02 \\\n" +
        "      --threshold root=3 --out charter-2.draft",
    ],
    notes: [
      "The document names what changes: {lifetime, <set>: {add, remove, threshold}, classes,",
      "remove-classes, bounds}; docs/governance.md has it in full.",
      "JSON: as of `show`",
    ],
    setup: (command) =>
      command
        .argument("[document]", "the changes in YAML; or use flags")
        .option("--add <set=key file>", "a key to list; again for others", collect)
        .option("--remove <set=kid>", "a key to leave out, or its file; again", collect)
        .option("--threshold <set=k>", "signatures that a set must give; again", collect)
        .option("--lifetime <span>", "of the new charter (default: as the one in force)")
        .requiredOption("--out <file>", "the proposal (mode 0600)"),
    run: propose,
  });
  registerShowing(family);
  registerPin(family);
  defineVerb<PublishOptions>(family, {
    name: "publish",
    summary: "put the signatures together, have the core judge, and publish",
    examples: [
      "portcullis governance publish a.part b.part",
      "portcullis governance publish charter-*.part snapshot-*.part",
    ],
    notes: [
      "A charter takes effect with the snapshot that names it: that is signed here where the keys",
      "are at hand, or handed over too (`snapshot renew --under <charter> --for-signing <file>`).",
      "JSON: {published: [{kind, digest, file}]}",
    ],
    setup: (command) =>
      command
        .argument("<files...>", "files with signatures, in any order")
        .option(...STATUS, collect)
        .option("--signer <key file>", "a governance key, instead of those in keys/", collect),
    run: publish,
  });
}
