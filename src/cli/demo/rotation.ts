/** The demo's rotation: governance by one key becomes governance by two of three new ones. */
import { nowSeconds } from "../../clock.ts";
import { ratify } from "../../domain/ratification.ts";
import { draftCharter } from "../../domain/rotation.ts";
import { signersAtHand } from "../../domain/signers.ts";
import type { Materials } from "../../gate/evidence.ts";
import { draftObject, parseDraft, signDraft } from "../../wire/draft.ts";
import { writeKeyFile } from "../../wire/key-files.ts";
import { generateKey, type Signer, signerOf, thumbprint } from "../../wire/keys.ts";
import { signObject } from "../../wire/objects.ts";
import { judgeCandidate, signatureCheck } from "../candidate.ts";
import type { Site } from "./site.ts";

const NEW_KEYS = [2, 3, 4];

/** Two root keys sign the proposal, each a file of its own; the new keys sign the snapshot. */
export async function rotateGovernance(site: Site): Promise<void> {
  const domain = await site.domain();
  const keys = NEW_KEYS.map((number) => ({ number, key: generateKey("Ed25519") }));
  for (const { number, key } of keys) {
    await writeKeyFile(site.layout.keyFile("governance", number), key);
  }
  const governance = {
    threshold: 2,
    add: keys.map(({ key }) => ({ key: signerOf(key).key, labels: null })),
    remove: domain.charter.object.claims.keysets.governance.keys.map(thumbprint),
  };
  const change = { keysets: { governance }, classes: new Map(), bounds: {} };
  const proposal = draftObject("charter", draftCharter(domain, change, nowSeconds()));
  const roots = (await signersAtHand(site.layout, "root")).slice(0, 2);
  const files = await Promise.all(
    roots.map(async (root) => ({ file: "", draft: parseDraft(await signDraft(proposal, root)) })),
  );
  await ratify(site.home.path, files, {
    check: signatureCheck(site.core),
    judge: (candidate) => judgeCandidate(site.core, candidate),
    governance: (await site.publication()).signers,
    lists: [],
    nowSeconds: nowSeconds(),
  });
}

/** The next snapshot, signed by these governance keys, as the files at `keys/` are numbered. */
export async function snapshotBy(
  site: Site,
  materials: Materials,
  numbers: readonly number[],
): Promise<Materials> {
  const all = await signersAtHand(site.layout, "governance");
  const [first, ...rest] = numbers.flatMap((number): Signer[] => all.slice(number - 1, number));
  if (first === undefined) throw new Error("no governance key");
  const { claims } = (await site.domain()).snapshot.object;
  const next = { ...claims, version: claims.version + 1 };
  return { ...materials, snapshot: await signObject("snapshot", next, [first, ...rest]) };
}
