/** Charters that follow one another: what is drafted, refused, and handed to a gate. */
import { afterEach, describe, expect, test } from "vitest";
import { signatureCheck } from "../../../src/cli/candidate.ts";
import { loadCore } from "../../../src/core/index.ts";
import { combine, quorumsOf } from "../../../src/domain/collection.ts";
import { createFile } from "../../../src/domain/files.ts";
import { gatherGovernance } from "../../../src/domain/materials.ts";
import { draftSnapshot, renewSnapshot } from "../../../src/domain/publication.ts";
import { ratify } from "../../../src/domain/ratification.ts";
import { type CharterChange, draftCharter } from "../../../src/domain/rotation.ts";
import { signersAtHand } from "../../../src/domain/signers.ts";
import { draftObject, parseDraft, signDraft } from "../../../src/wire/draft.ts";
import { generateKey, type Signer, signerOf, thumbprint } from "../../../src/wire/keys.ts";
import { type Charter, signObject } from "../../../src/wire/objects.ts";
import { NOW, Operator } from "./operator.ts";

const made: Operator[] = [];
afterEach(async () => {
  for (const one of made.splice(0)) await one.remove();
});
async function operator(): Promise<Operator> {
  const one = await Operator.make();
  made.push(one);
  return one;
}

const check = signatureCheck(await loadCore());
const NOTHING: CharterChange = { keysets: {}, classes: new Map(), bounds: {} };
const fresh = (): Signer => signerOf(generateKey("P-256"));
const listed = (signer: Signer) => ({ key: signer.key, labels: null });

async function signedBy(bytes: Uint8Array, signers: readonly Signer[]) {
  let signed = bytes;
  for (const signer of signers) signed = await signDraft(signed, signer);
  return { file: "a file", draft: parseDraft(signed) };
}

/** Publishes the next charter and its snapshot, with all keys at hand. */
async function rotate(one: Operator, change: Partial<CharterChange> = {}): Promise<Charter> {
  const domain = await one.load();
  const claims = draftCharter(domain, { ...NOTHING, ...change }, NOW + 1);
  const roots = await signersAtHand(domain.layout, "root");
  const file = await signedBy(draftObject("charter", claims), roots.slice(0, 2));
  await ratify(one.path, [file], {
    check,
    judge: async () => undefined,
    governance: one.publication.signers,
    lists: [],
    nowSeconds: NOW + 1,
  });
  return claims;
}

describe("the next charter", () => {
  test("keeps what is not changed, and names its predecessor", async () => {
    const domain = await (await operator()).load();
    const { claims: before } = domain.charter.object;
    expect(draftCharter(domain, NOTHING, NOW + 5)).toEqual({
      ...before,
      iat: NOW + 5,
      exp: NOW + 5 + 86_400,
      number: 2,
      predecessor: domain.charter.digest,
    });
  });

  test("a removed authority key leaves its classes as well", async () => {
    const domain = await (await operator()).load();
    const { keys } = domain.charter.object.claims.keysets.authority;
    const kids = keys.map(thumbprint).sort(Buffer.compare);
    const [gone = new Uint8Array(0), ...left] = kids;
    const members = new Map([
      ["standard", { members: kids }],
      ["break-glass", { threshold: 2 }],
    ]);
    const { authority } = draftCharter(
      domain,
      { ...NOTHING, keysets: { authority: { remove: [gone] } }, classes: members },
      NOW,
    ).keysets;
    expect(authority.keys).toHaveLength(2);
    expect(authority.classes.get("standard")?.members).toEqual(left);
  });

  test.each<[string, (kids: Uint8Array[]) => Partial<CharterChange>, RegExp]>([
    ["threshold 0", () => ({ keysets: { root: { threshold: 0 } } }), /0 signatures of 3 keys/],
    ["a threshold nobody reaches", () => ({ keysets: { root: { threshold: 4 } } }), /4 signatures/],
    ["no key left", (kids) => ({ keysets: { governance: { remove: kids } } }), /cannot be/],
    [
      "a key that is not there",
      () => ({ keysets: { root: { remove: [new Uint8Array(32)] } } }),
      /no key/,
    ],
    [
      "a class that nobody reaches",
      () => ({ classes: new Map([["standard", { threshold: 4 }]]) }),
      /The class standard/,
    ],
    [
      "no class",
      () => ({
        classes: new Map([
          ["standard", null],
          ["break-glass", null],
        ]),
      }),
      /one class/,
    ],
    ["an unknown class to remove", () => ({ classes: new Map([["x", null]]) }), /no class x/],
    [
      "a new class without threshold",
      () => ({ classes: new Map([["x", { depth: 1 }]]) }),
      /threshold/,
    ],
    [
      "a threshold of enrollers",
      () => ({ keysets: { enroller: { threshold: 1 } } }),
      /signs alone/,
    ],
  ])("%s is refused before anyone signs", async (_, change, message) => {
    const domain = await (await operator()).load();
    const kids = domain.charter.object.claims.keysets.governance.keys.map(thumbprint);
    const draft = () => draftCharter(domain, { ...NOTHING, ...change(kids) }, NOW);
    expect(draft).toThrow(message);
  });
});

describe("signatures", () => {
  test("of a change of roots: both thresholds, each by its own keys", async () => {
    const domain = await (await operator()).load();
    const roots = await signersAtHand(domain.layout, "root");
    const heirs = [fresh(), fresh(), fresh()];
    const kids = domain.charter.object.claims.keysets.root.keys.map(thumbprint);
    const change = { root: { add: heirs.map(listed), remove: kids } };
    const bytes = draftObject(
      "charter",
      draftCharter(domain, { ...NOTHING, keysets: change }, NOW),
    );
    const quorums = quorumsOf(domain, parseDraft(bytes));
    const combined = async (signers: readonly Signer[]) =>
      combine([await signedBy(bytes, signers)], quorums, check);
    await expect(combined(heirs)).rejects.toThrow(/charter 1 asks for 2 signatures, and 0/);
    await expect(combined(roots)).rejects.toThrow(/charter 2 asks for 2 signatures, and 0/);
    await expect(combined([...heirs, ...roots.slice(1, 2)])).rejects.toThrow(/charter 1 asks/);
    await expect(combined([...heirs, ...roots, fresh()])).rejects.toThrow(/may not sign/);
    // No more than it needs: both thresholds of 2.
    const { message } = parseDraft(await combined([...heirs, ...roots]));
    expect(message.signatures).toHaveLength(4);
  });

  test("one key in many files counts once", async () => {
    const domain = await (await operator()).load();
    const [root] = await signersAtHand(domain.layout, "root");
    const bytes = draftObject("charter", draftCharter(domain, NOTHING, NOW));
    const file = await signedBy(bytes, root === undefined ? [] : [root]);
    const quorums = quorumsOf(domain, file.draft);
    const again = await signedBy(bytes, root === undefined ? [] : [root]); // another ECDSA nonce
    expect(() => combine([file, again], quorums, check)).toThrow(/2 signatures, and 1 is there/);
  });
});

describe("what a gate is handed", () => {
  const gathered = async (one: Operator, pinned = 1) =>
    (await gatherGovernance((await one.load()).layout, pinned, [])).charters;

  test("every charter since the pinned one, and the removed keys sign nothing more", async () => {
    const one = await operator();
    const { layout, charter } = await one.load();
    const [first] = charter.object.claims.keysets.governance.keys;
    const heir = fresh();
    const remove = first === undefined ? [] : [thumbprint(first)];
    const publication = { ...one.publication, signers: [...one.publication.signers, heir] };
    const rich = new Operator(one.path, publication);
    await rotate(rich, { keysets: { governance: { add: [listed(heir)], remove } } });
    await rotate(rich);
    expect(await gathered(one)).toHaveLength(3);
    expect(await gathered(one, 2)).toHaveLength(2);
    await expect(renewSnapshot(layout.path, one.publication)).rejects.toThrow(
      /needs 2 of 2 keys, and 1 of them is/,
    );
  });

  test("no charter ahead of the snapshot that names it", async () => {
    const one = await operator();
    const domain = await one.load();
    const roots = await signersAtHand(domain.layout, "root");
    const [a, b] = roots;
    if (a === undefined || b === undefined) throw new Error("no roots");
    const bytes = await signObject("charter", draftCharter(domain, NOTHING, NOW), [a, b]);
    await createFile(domain.layout.charterFile(2), bytes); // and the machine dies here
    expect(await gathered(one)).toHaveLength(1);
    await renewSnapshot(one.path, one.publication);
    expect(await gathered(one)).toHaveLength(2);
  });

  test("two that publish one number at once: the second is told, and changes nothing", async () => {
    const one = await operator();
    const domain = await one.load();
    const roots = (await signersAtHand(domain.layout, "root")).slice(0, 2);
    const [x, y] = await Promise.all(
      [100, 200].map(async (lifetimeSeconds) => {
        const claims = draftCharter(domain, { ...NOTHING, lifetimeSeconds }, NOW);
        return signedBy(draftObject("charter", claims), roots);
      }),
    );
    if (x === undefined || y === undefined) throw new Error("two drafts");
    const common = { check, judge: async () => undefined, lists: [], nowSeconds: NOW };
    const governance = one.publication.signers;
    // The second is already past its own checks when the first publishes.
    const judge = async () => void (await ratify(one.path, [x], { ...common, governance }));
    const late = ratify(one.path, [y], { ...common, governance, judge });
    await expect(late).rejects.toThrow(/Another charter 2 was published meanwhile/);
    expect((await one.load()).charter.digest).toEqual(x.draft.digest);
    const next = draftSnapshot(await one.load(), one.publication, {});
    expect(next.claims.charter).toEqual(x.draft.digest);
  });
});
