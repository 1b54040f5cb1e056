/**
 * Evidence for bench/plane.ts, made in well under a millisecond: of the trust domain of the tests,
 * by some nodes, each over a nonce of the plane's. What a request renews (proof, quote, and the
 * grant where each job has its own) is signed natively; the rest is made once.
 */
import { randomBytes, sign } from "node:crypto";
import { decode, encode } from "../src/wire/cbor.ts";
import type { CborKey, CborMap, CborValue } from "../src/wire/cbor-value.ts";
import { objectDigest, requestDigest } from "../src/wire/digests.ts";
import { type Signer, signerOf } from "../src/wire/keys.ts";
import { merkleRoot } from "../src/wire/merkle.ts";
import { type Grant, parseSigned, signObject } from "../src/wire/objects.ts";
import { softwareAk, TPM_ALG, tpm2b, u16 } from "../test/support/ak.ts";
import { DOMAIN } from "../test/support/domain.ts";
import { nodeKey, testSigner } from "../test/support/keys.ts";
import { type BuiltCase, makeWorld, type World } from "../test/support/world.ts";

const ECDSA = 0x0018;
/** Labels of the evidence (docs/wire-format.md). */
const [ELEMENTS, PROOF, TPM, PLANE_NONCE] = [4, 5, 9, 13] as const;
const USES = 1_000_000_000;

/** One node, whose evidence differs by nonce, and by grant if asked. */
export class EvidenceMaker {
  readonly #world: World;
  readonly #built: BuiltCase;
  readonly #map: CborMap;
  readonly #agent: Signer;
  readonly #authority: readonly [Signer, Signer];
  readonly #grant: Grant;
  readonly #ak;

  private constructor(world: World, name: string, built: BuiltCase) {
    const { agent, authority } = world.signers;
    this.#world = world;
    this.#built = built;
    this.#map = decode(built.evidenceBytes) as CborMap;
    this.#agent = signerOf(nodeKey(agent));
    this.#authority = [signerOf(nodeKey(authority[0])), signerOf(nodeKey(authority[2]))];
    this.#grant = parseSigned("grant", built.grant.bytes).claims;
    this.#ak = nodeKey(testSigner(name, "P-256"));
  }

  static async make(place: number): Promise<EvidenceMaker> {
    const name = `ak ${place}`;
    const world = makeWorld(softwareAk("ecdsa-p256", name));
    return new EvidenceMaker(
      world,
      name,
      await world.build({ plane: true, scope: { uses: USES } }),
    );
  }

  async over(planeNonce: Uint8Array, ownGrant: boolean): Promise<Uint8Array> {
    const grant = ownGrant ? await this.#newGrant() : this.#built.grant;
    const { jobDigest: job, snapshot } = this.#built;
    const request = requestDigest({
      purpose: "start",
      domain: DOMAIN,
      akName: this.#world.ak.name,
      gateNonce: this.#world.gateNonce,
      planeNonce,
      job,
      chain: grant.digest,
      snapshot: snapshot.digest,
      run: null,
    });
    const proof = await signObject("proof", { request }, [this.#agent]);
    const map = new Map<CborKey, CborValue>(this.#map);
    map.set(ELEMENTS, [grant.bytes]).set(PROOF, proof).set(PLANE_NONCE, planeNonce);
    map.set(TPM, this.#quoted(request));
    return encode(map);
  }

  async #newGrant() {
    const claims = { ...this.#grant, cti: new Uint8Array(randomBytes(16)) };
    const bytes = await signObject("grant", claims, this.#authority);
    return { bytes, digest: objectDigest("grant", parseSigned("grant", bytes).message) };
  }

  /** The quote of the first evidence with other extraData, signed anew. */
  #quoted(request: Uint8Array): CborValue {
    const [type, slot, ...values] = this.#map.get(TPM) as readonly CborValue[];
    const [, , ...path] = slot as readonly CborValue[];
    const attest = Buffer.from(this.#built.quote.attest);
    attest.set(merkleRoot([request]), attest.indexOf(merkleRoot([this.#built.request])));
    const raw = sign("sha256", attest, { key: this.#ak, dsaEncoding: "ieee-p1363" });
    const halves = [raw.subarray(0, 32), raw.subarray(32)].map(tpm2b);
    const signature = Buffer.concat([u16(ECDSA), u16(TPM_ALG.sha256), ...halves]);
    return [type ?? null, [attest, signature, ...path], ...values];
  }
}
