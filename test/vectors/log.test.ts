import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseCheckpoint, verifyCheckpoint } from "../../src/log/checkpoint.ts";
import { append, EMPTY_FRONTIER, leafHash, rootOf } from "../../src/log/merkle.ts";
import { parseNoteVerifier, verifyNote } from "../../src/log/note.ts";
import { consistencyProof, verifyConsistency, verifyInclusion } from "../../src/log/proof.ts";
import { describeVectors } from "../support/vectors.ts";

const bytes = (base64: string | null) => Buffer.from(base64 ?? "", "base64");
const list = (items: string[] | null) => (items ?? []).map(bytes);

interface InclusionCase {
  leafIdx: number;
  treeSize: number;
  root: string | null;
  leafHash: string | null;
  proof: string[] | null;
  wantErr: boolean;
}
interface NoteVectors {
  verifier_keys: string[];
  bad_verifier_keys: string[];
  note: string;
  text: string;
  tree_notes: { good: string; bad: string[] };
}
interface ConsistencyCase {
  size1: number;
  size2: number;
  root1: string | null;
  root2: string | null;
  proof: string[] | null;
  wantErr: boolean;
}

describeVectors("transparency-dev merkle", (dir) => {
  const read = (name: string) =>
    JSON.parse(readFileSync(join(dir, "transparency-merkle", name), "utf8"));
  const inclusion: Record<string, InclusionCase> = read("inclusion.json");
  const consistency: Record<string, ConsistencyCase> = read("consistency.json");

  test("the files hold what their README says", () => {
    expect([Object.keys(inclusion).length, Object.keys(consistency).length]).toEqual([59, 43]);
  });

  test.each(Object.entries(inclusion))("%s", (_, vector) => {
    const verify = () =>
      verifyInclusion({
        index: vector.leafIdx,
        size: vector.treeSize,
        leafHash: bytes(vector.leafHash),
        proof: list(vector.proof),
        root: bytes(vector.root),
      });
    if (vector.wantErr) expect(verify).toThrow();
    else verify();
  });

  test.each(Object.entries(consistency))("%s", (_, vector) => {
    const verify = () =>
      verifyConsistency({
        size1: vector.size1,
        size2: vector.size2,
        root1: bytes(vector.root1),
        root2: bytes(vector.root2),
        proof: list(vector.proof),
      });
    if (vector.wantErr) expect(verify).toThrow();
    else verify();
  });
});

describeVectors("golang sumdb note", (dir) => {
  const path = join(dir, "golang-sumdb/note-vectors.json");
  const vector: NoteVectors = JSON.parse(readFileSync(path, "utf8"));
  const keys = () => vector.verifier_keys.map(parseNoteVerifier);
  const note = Buffer.from(vector.note);

  test("both signatures verify, together and alone", () => {
    expect(verifyNote(note, keys())).toEqual({
      text: vector.text,
      signers: ["PeterNeumann", "EnochRoot"],
    });
    for (const key of keys()) expect(verifyNote(note, [key]).signers).toEqual([key.name]);
  });

  test.each(vector.bad_verifier_keys)("bad key %s", (key) => {
    expect(() => parseNoteVerifier(key)).toThrow();
  });

  test("tree notes", () => {
    const tree = parseCheckpoint(vector.tree_notes.good);
    expect(tree.size).toBe(123_456_789_012);
    expect(tree.root).toEqual(leafHash(Buffer.from("hello world")));
    const [origin = "", size = "", root = ""] = vector.tree_notes.bad;
    expect(parseCheckpoint(origin).origin).not.toBe(tree.origin);
    expect(() => parseCheckpoint(size)).toThrow();
    expect(() => parseCheckpoint(root)).toThrow();
  });
});

describeVectors("the Go checksum database", (dir) => {
  const path = join(dir, "torchwood/sumdb-checkpoint.json");
  const { verifier_key, checkpoint } = JSON.parse(readFileSync(path, "utf8"));

  test("a real checkpoint verifies, for its origin", () => {
    const key = parseNoteVerifier(verifier_key);
    const note = Buffer.from(checkpoint);
    expect(verifyCheckpoint(note, "go.sum database tree", [key]).size).toBe(35_225_469);
    expect(() => verifyCheckpoint(note, "sum.golang.org", [key])).toThrow();
  });
});

describeVectors("tessera", (dir) => {
  const key = parseNoteVerifier(readFileSync(join(dir, "tessera/log-vkey.txt"), "utf8"));
  const read = (name: string) => readFileSync(join(dir, "tessera/log", name));
  const head = (size: number) =>
    verifyCheckpoint(read(`checkpoint.${size}`), "example.com/log/testdata", [key]);

  /** An entry bundle (https://c2sp.org/tlog-tiles): each entry after its length in two bytes. */
  function* entries(size: number): Generator<Uint8Array> {
    const bundle = read(`${size}`);
    for (let at = 0; at < bundle.length; ) {
      const end = at + 2 + bundle.readUInt16BE(at);
      yield bundle.subarray(at + 2, end);
      at = end;
    }
  }
  const hashes = [...entries(15)].map(leafHash);

  test("the roots of all bundles are those of the signed checkpoints", () => {
    expect(head(0).root).toEqual(rootOf(EMPTY_FRONTIER));
    for (let size = 1; size <= 15; size++) {
      const frontier = [...entries(size)].map(leafHash).reduce(append, EMPTY_FRONTIER);
      expect({ size: frontier.size, root: rootOf(frontier) }).toEqual({
        size: head(size).size,
        root: head(size).root,
      });
    }
    expect(head(15)).toEqual(
      verifyCheckpoint(read("checkpoint"), "example.com/log/testdata", [key]),
    );
  });

  test("the checkpoints are consistent with each other", () => {
    for (let size2 = 0; size2 <= 15; size2++) {
      for (let size1 = 0; size1 <= size2; size1++) {
        const proof = consistencyProof(hashes.slice(0, size2), size1);
        const [root1, root2] = [head(size1).root, head(size2).root];
        verifyConsistency({ size1, size2, root1, root2, proof });
      }
    }
  });
});
