/** A domain on disk for the tests of src/domain, in a folder of its own. */
import { rm } from "node:fs/promises";
import { type DomainPlan, draftDomain, writeDomain } from "../../../src/domain/creation.ts";
import { type Domain, loadDomain } from "../../../src/domain/domain.ts";
import type { Publication } from "../../../src/domain/publication.ts";
import { signersAtHand } from "../../../src/domain/signers.ts";
import { quickFolder } from "../../support/quick-folder.ts";

export const NOW = 1_900_000_000;

export const PLAN: DomainPlan = {
  domain: "example.test",
  curve: "P-256",
  root: { threshold: 2, keys: 3 },
  authority: { threshold: 2, keys: 3 },
  policy: { threshold: 1, keys: 1 },
  enrollers: 1,
  governance: { threshold: 2, keys: 2 },
  plane: null,
  log: null,
  witness: null,
  breakGlass: 3,
  charterSeconds: 86_400,
  bounds: { grantSeconds: 7_200, snapshotSeconds: 600, nodeSeconds: 86_400, depth: 1 },
  room: { grants: 8, nodes: 8 },
};

export class Operator {
  readonly path: string;
  readonly publication: Publication;

  constructor(path: string, publication: Publication) {
    this.path = path;
    this.publication = publication;
  }

  static async make(plan: Partial<DomainPlan> = {}): Promise<Operator> {
    const path = quickFolder("portcullis-domain-");
    await writeDomain(path, await draftDomain({ ...PLAN, ...plan }, NOW));
    const { layout } = await loadDomain(path);
    const signers = await signersAtHand(layout, "governance");
    return new Operator(path, { signers, nowSeconds: NOW });
  }

  load(): Promise<Domain> {
    return loadDomain(this.path);
  }

  remove(): Promise<void> {
    return rm(this.path, { recursive: true, force: true });
  }
}
