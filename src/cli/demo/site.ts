/**
 * The demo's stage: a software TPM, a trust domain and a gate in a temporary folder, all of it the
 * real thing.
 */
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Machines, preparedMachines } from "../../../swtpm/index.ts";
import { NodeEnrollment, writeAkFile } from "../../agent/index.ts";
import { nowSeconds } from "../../clock.ts";
import { type Core, loadCore } from "../../core/index.ts";
import { draftDomain, writeDomain } from "../../domain/creation.ts";
import { type Domain, loadDomain } from "../../domain/domain.ts";
import { makeFolder, replaceFile } from "../../domain/files.ts";
import { Layout } from "../../domain/layout.ts";
import { gatherGovernance } from "../../domain/materials.ts";
import { type PolicyRequest, signPolicy } from "../../domain/policies.ts";
import { activatePolicy, type Publication } from "../../domain/publication.ts";
import { signersAtHand } from "../../domain/signers.ts";
import { Enroller } from "../../enroll/index.ts";
import type { EvidenceSource, Materials } from "../../gate/evidence.ts";
import { Gate } from "../../gate/gate.ts";
import { type JobRequest, type PreparedJob, prepareJob } from "../../gate/job.ts";
import type { PlaneSource } from "../../gate/plane.ts";
import { CaseFolder } from "../../log/cases.ts";
import { Journal } from "../../log/journal.ts";
import { type Leaf, parseLeaf } from "../../log/leaf.ts";
import { noteSigner, noteVerifier } from "../../log/note.ts";
import { createSqliteStore, openSqliteStore, type SqliteStore } from "../../store/sqlite.ts";
import { coseKeyOf, generateKey, type Signer, signerOf } from "../../wire/keys.ts";
import { type ImaRules, parseSigned } from "../../wire/objects.ts";
import { type Home, homeAt } from "../home.ts";
import { type TpmWay, tpmEvidence } from "../machine.ts";
import { nodeFiles } from "../node-files.ts";
import { DemoAuthority, type GrantChange } from "./authority.ts";
import { bootPolicy, COMMAND_LINE } from "./boot.ts";
import { DemoMachine } from "./machine.ts";
import { DemoPlane } from "./plane.ts";

export const ORIGIN = "example.org/demo";
const POLICY = "workshop";
const DAY = 86_400;
/** What the demo's machine runs: its output is its own name. */
export const MESSAGE = "the portcullis is up";

/** Everything of the demo that stays open until its end. */
export class Site implements AsyncDisposable {
  readonly home: Home;
  readonly layout: Layout;
  readonly machine: DemoMachine;
  readonly core: Core;
  readonly logKey = generateKey("Ed25519");
  /** An agent that is handed grants, and hands them on. */
  readonly agent = signerOf(generateKey("Ed25519"));
  /** Descriptor that admitted jobs print to. */
  jobOutput = 1;
  /** What a scenario puts aside for later. */
  remembered: Uint8Array = new Uint8Array(0);
  older: Materials | null = null;
  store: SqliteStore | null = null;
  #authority: DemoAuthority | null = null;
  #plane: DemoPlane | null = null;

  private constructor(home: Home, machine: DemoMachine, core: Core) {
    this.home = home;
    this.layout = new Layout(home.path);
    this.machine = machine;
    this.core = core;
  }

  /** Builds the stage; `step` hears what is done. */
  static async build(step: (what: string) => void): Promise<Site> {
    step("making a software TPM, with an EK certificate of its own CA");
    const machines = await preparedMachines();
    const [template = ""] = machines.states;
    const home = homeAt(await mkdtemp(join(tmpdir(), "portcullis demo ")));
    step("booting it: firmware, boot loader and command line, measured into PCR 0 to 8");
    const machine = await DemoMachine.start(template, home.path);
    const site = new Site(home, machine, await loadCore());
    step("setting up the trust domain example.org: root 2 of 3, authority 2 of 3");
    await site.#makeDomain();
    step("enrolling the TPM: EK certificate chain, attestation key, credential activation");
    await site.#enroll(machines);
    step("capturing policies, one from its PCRs and one from its boot event log; activating them");
    await site.capture();
    await site.activateBoot([COMMAND_LINE]);
    return site;
  }

  async #makeDomain(): Promise<void> {
    const draft = await draftDomain(
      {
        domain: "example.org",
        curve: "Ed25519",
        root: { threshold: 2, keys: 3 },
        authority: { threshold: 2, keys: 3 },
        policy: { threshold: 1, keys: 1 },
        enrollers: 1,
        governance: { threshold: 1, keys: 1 },
        plane: { threshold: 1, keys: 1 },
        log: null,
        witness: null,
        breakGlass: 3,
        charterSeconds: 30 * DAY,
        bounds: { grantSeconds: DAY, snapshotSeconds: 3_600, nodeSeconds: 7 * DAY, depth: 1 },
        room: { grants: 64, nodes: 8 },
      },
      nowSeconds(),
    );
    await writeDomain(this.home.path, draft);
    await makeFolder(this.home.node);
    createSqliteStore(this.home.state);
    this.store = openSqliteStore(this.home.state);
    await this.store.transact((tx) => tx.pinCharter(draft.charterDigest, 1));
    this.#plane = await DemoPlane.open(this.layout, draft.charterDigest, this.core);
  }

  async #enroll({ root, issuer }: Machines): Promise<void> {
    const [signer] = await signersAtHand(this.layout, "enroller");
    if (signer === undefined) throw new Error("the domain has no enroller");
    const enroller = new Enroller({
      domain: "example.org",
      signer,
      roots: [root],
      intermediates: [issuer],
    });
    const logKey = coseKeyOf(this.logKey);
    await using node = await NodeEnrollment.begin({ tpm: this.machine.uri, logKey });
    const pending = await enroller.challenge(node.request, new Date());
    const answer = await node.answer(pending.challenge);
    const iat = nowSeconds();
    const grant = {
      labels: ["workshop"],
      statusIndex: () => 0,
      iat,
      exp: iat + DAY,
      enrolled: null,
    };
    const credential = await enroller.issue(pending, answer, grant);
    this.#authority = await DemoAuthority.open(this.layout, pending.ueid, POLICY);
    await writeAkFile(nodeFiles(this.home).ak, node.blob);
    await replaceFile(nodeFiles(this.home).credential, credential);
  }

  /** Makes the active policy anew, from the PCRs as they are, with IMA rules where there are any. */
  async capture(ima?: ImaRules): Promise<void> {
    const pcrs = await this.machine.readPcrs();
    const request = { name: POLICY, pcrs: { sha256: pcrs }, ...(ima && { ima }) };
    await this.#activate(request, { replace: true });
  }

  /** Activates a policy that lists these command lines, beside those that list others. */
  activateBoot(commandLines: readonly string[]): Promise<void> {
    return this.#activate(bootPolicy(commandLines), { replace: false });
  }

  async #activate(request: PolicyRequest, how: { readonly replace: boolean }): Promise<void> {
    const signers = await signersAtHand(this.layout, "policy");
    const { digest } = await signPolicy(await this.domain(), request, signers, nowSeconds());
    const choice = { name: request.name, digest };
    await activatePolicy(this.home.path, await this.publication(), choice, how);
  }

  domain(): Promise<Domain> {
    return loadDomain(this.home.path);
  }

  async publication(): Promise<Publication> {
    const signers = await signersAtHand(this.layout, "governance");
    return { signers, nowSeconds: nowSeconds() };
  }

  /** Of the policy that is active. */
  async policyDigest(): Promise<Uint8Array> {
    const { policies } = (await this.domain()).snapshot.object.claims;
    const [digest] = policies.get(POLICY) ?? [];
    if (digest === undefined) throw new Error("the policy is not active");
    return digest;
  }

  get authority(): DemoAuthority {
    if (this.#authority === null) throw new Error("the node is not enrolled yet");
    return this.#authority;
  }

  /** Puts a file where the folder of recorded cases stands: no user can write below it. */
  async blockCases(): Promise<void> {
    await rename(this.home.cases, `${this.home.cases}.aside`);
    await writeFile(this.home.cases, "in the way");
  }

  async unblockCases(): Promise<void> {
    await rm(this.home.cases);
    await rename(`${this.home.cases}.aside`, this.home.cases);
  }

  get policyName(): string {
    return POLICY;
  }

  /** The job of the demo: it prints one line. */
  prepare(change: Partial<JobRequest> = {}): Promise<PreparedJob> {
    return prepareJob({
      executable: "/bin/echo",
      argv: ["echo", MESSAGE],
      environment: [],
      cwd: "/",
      stdin: "none",
      uid: process.getuid?.() ?? 0,
      gid: process.getgid?.() ?? 0,
      runtimeSeconds: 10,
      place: { kind: "memory", directory: this.home.path },
      streams: [0, this.jobOutput, 2],
      ...change,
    });
  }

  /** A grant for the demo's job on this node, with something about it changed. */
  async grant(change: GrantChange = {}): Promise<Uint8Array> {
    const prepared = await this.prepare();
    const grant = await this.authority.grant(prepared, change);
    await prepared.close();
    return grant;
  }

  /** The files of the home as they are now, around these grants. */
  async materials(elements: readonly Uint8Array[], policies = [POLICY]): Promise<Materials> {
    const pinned = (await this.open().floors())?.charterNumber ?? 1;
    const gathered = await gatherGovernance(this.layout, pinned, policies);
    const { unverifiedPolicies: _, ...files } = gathered;
    const node = await this.credential();
    return { ...files, elements, node };
  }

  async credential(): Promise<Uint8Array> {
    return new Uint8Array(await readFile(nodeFiles(this.home).credential));
  }

  /** The software TPM, which no agent serves. */
  get tpm(): TpmWay {
    return { address: this.machine.uri, ak: nodeFiles(this.home).ak, socket: null };
  }

  /** Quotes of the enrolled key over what the policy reads. */
  evidence(names = [POLICY]): EvidenceSource {
    return {
      attest: async (request) => {
        const { unverifiedPolicies } = await gatherGovernance(this.layout, 1, names);
        const files = { eventLog: this.machine.eventLog, ima: null };
        const source = tpmEvidence(this.tpm, unverifiedPolicies, this.open(), files);
        return source.attest(request);
      },
    };
  }

  get plane(): DemoPlane {
    if (this.#plane === null) throw new Error("the domain is not made yet");
    return this.#plane;
  }

  gate(evidence: EvidenceSource = this.evidence(), plane: PlaneSource | null = null): Gate {
    const store = this.open();
    const signer = noteSigner(ORIGIN, this.logKey);
    return new Gate({
      core: this.core,
      store,
      journal: new Journal({ store, origin: ORIGIN, signer }),
      cases: new CaseFolder(this.home.cases),
      evidence,
      coreDigest: this.coreDigest,
      ...(plane && { plane }),
    });
  }

  /** How many leaves the log has, and how many uses of this grant the ledger knows. */
  async holdings(grant: Uint8Array): Promise<{ readonly leaves: number; readonly uses: number }> {
    const { digest } = parseSigned("grant", grant);
    const [uses = 0] = digest === null ? [] : await this.open().uses([digest]);
    return { leaves: (await this.open().tree()).size, uses };
  }

  async leavesFrom(index: number): Promise<Leaf[]> {
    return (await this.open().leaves(index, 100)).map(({ bytes }) => parseLeaf(bytes));
  }

  /** The store while it is open. */
  open(): SqliteStore {
    if (this.store === null) throw new Error("the store is closed");
    return this.store;
  }

  get coreDigest(): Uint8Array {
    return this.core.wasmDigest ?? new Uint8Array(32);
  }

  get signer(): Signer {
    return signerOf(this.logKey);
  }

  /** The log's public key, as the node credential states it. */
  async verifier() {
    const { logKey } = parseSigned("node", await this.credential()).claims;
    if (logKey.kty !== "OKP") throw new Error("the log key is no Ed25519 key");
    return noteVerifier(ORIGIN, logKey.x);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store?.close();
    await this.#plane?.[Symbol.asyncDispose]();
    await this.machine[Symbol.asyncDispose]();
    await rm(this.home.path, { recursive: true, force: true });
  }
}
