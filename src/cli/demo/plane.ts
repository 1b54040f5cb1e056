/** The demo's plane, with a store and a log of its own, and what may happen to its answers. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Core } from "../../core/index.ts";
import { makeFolder } from "../../domain/files.ts";
import type { Layout } from "../../domain/layout.ts";
import { PublishedDomain } from "../../domain/published.ts";
import { signersAtHand } from "../../domain/signers.ts";
import type { PlaneSource } from "../../gate/plane.ts";
import { Journal } from "../../log/journal.ts";
import { noteSigner } from "../../log/note.ts";
import { Plane } from "../../plane/index.ts";
import { createSqliteStore, openSqliteStore, type SqliteStore } from "../../store/sqlite.ts";
import { generateKey, signerOf } from "../../wire/keys.ts";
import { parseSigned, signObject } from "../../wire/objects.ts";

const ORIGIN = "example.org/demo-plane";

export class DemoPlane implements AsyncDisposable {
  readonly source: PlaneSource;
  readonly #store: SqliteStore;

  private constructor(plane: Plane, store: SqliteStore) {
    this.#store = store;
    this.source = {
      nonce: async () => plane.nonce(),
      judge: (evidence) => plane.decide(evidence),
    };
  }

  static async open(layout: Layout, charterDigest: Uint8Array, core: Core): Promise<DemoPlane> {
    const folder = join(layout.path, "plane");
    await makeFolder(folder);
    const path = join(folder, "state.db");
    createSqliteStore(path);
    const store = openSqliteStore(path);
    await store.transact((transaction) => transaction.pinCharter(charterDigest, 1));
    const [signer] = await signersAtHand(layout, "plane");
    if (signer === undefined) throw new Error("the domain has no plane key");
    const logSigner = noteSigner(ORIGIN, generateKey("Ed25519"));
    const plane = new Plane({
      judge: { decide: async (bytes) => core.decide(bytes) },
      store,
      journal: new Journal({ store, origin: ORIGIN, signer: logSigner }),
      cases: null,
      governance: new PublishedDomain(layout.path, []),
      signer,
      coreDigest: core.wasmDigest ?? new Uint8Array(32),
    });
    return new DemoPlane(plane, store);
  }

  /** As another node would: one use of this grant, through this plane. */
  async claimElsewhere(grant: Uint8Array): Promise<void> {
    const { digest, claims } = parseSigned("grant", grant);
    if (digest === null) throw new Error("a grant has a digest");
    const element = { digest, max: claims.scope.uses, expires: claims.exp };
    const request = new Uint8Array(randomBytes(32));
    await this.#store.transact((transaction) => transaction.claimUses(request, [element]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store.close();
  }
}

/** A plane whose signed results pass through someone's hands. */
export function meddled(
  real: PlaneSource,
  change: (result: Uint8Array) => Uint8Array | Promise<Uint8Array>,
): PlaneSource {
  return {
    nonce: () => real.nonce(),
    judge: async (evidence) => {
      const { result, code } = await real.judge(evidence);
      return { result: result && (await change(result)), code };
    },
  };
}

/** The same claims, signed by a key of nobody's. */
export function forged(result: Uint8Array): Promise<Uint8Array> {
  const { claims } = parseSigned("result", result);
  return signObject("result", claims, [signerOf(generateKey("Ed25519"))]);
}
