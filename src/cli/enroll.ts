/**
 * `portcullis enroll`: this machine's TPM becomes a node of the domain. Both sides of the exchange
 * run here.
 */
import type { Command } from "commander";
import { NodeEnrollment } from "../agent/index.ts";
import { nowSeconds } from "../clock.ts";
import { type Domain, loadDomain } from "../domain/domain.ts";
import { coverIndex, revoke } from "../domain/publication.ts";
import { keepIssued, reserveIndex } from "../domain/register.ts";
import { signersAtHand } from "../domain/signers.ts";
import { Enroller } from "../enroll/index.ts";
import { coseKeyOf, type Signer } from "../wire/keys.ts";
import { parseSigned, type UnverifiedNode } from "../wire/objects.ts";
import { addCertificateOptions, type CertificateOptions, certificatesOf } from "./certificates.ts";
import { UsageError } from "./error.ts";
import { type Home, readConfig } from "./home.ts";
import { logKeyOf, tpmAddress } from "./machine.ts";
import { loadNode } from "./node-files.ts";
import { credentialSeconds } from "./plane-enrollment.ts";
import { counterOf, credentialOf, enrollAt, type JoinOptions, keepNode } from "./plane-join.ts";
import { hex, isoTime, pairs } from "./print.ts";
import { publicationOf } from "./publishing.ts";
import type { Session } from "./session.ts";
import { collect, spanOption } from "./values.ts";
import { defineVerb } from "./verb.ts";

interface Options extends CertificateOptions, JoinOptions {
  readonly tpm?: string;
  readonly label?: readonly string[];
  readonly lifetime?: number;
  readonly replace?: true;
  /** False with --no-counter. */
  readonly counter: boolean;
}

/** The first enroller key at hand that may give all of these labels. */
async function enrollerKey(domain: Domain, labels: readonly string[]): Promise<Signer> {
  const { enroller } = domain.charter.object.claims.keysets;
  const may = (signer: Signer): boolean =>
    enroller.some(
      ({ key, labels: given }) =>
        hex(keyBytes(key)) === hex(keyBytes(signer.key)) &&
        (given === null || labels.every((label) => given.includes(label))),
    );
  const found = (await signersAtHand(domain.layout, "enroller")).find(may);
  if (found !== undefined) return found;
  const what = labels.length === 0 ? "" : ` that may give ${labels.join(", ")}`;
  throw new UsageError(`No enroller key${what} is in keys/.`);
}

function keyBytes(key: Signer["key"]): Uint8Array {
  return key.kty === "EC2" ? Buffer.concat([key.x, key.y]) : key.x;
}

async function makeEnroller(domain: Domain, options: Options, signer: Signer): Promise<Enroller> {
  const certificates = await certificatesOf(options);
  if (certificates.roots.length === 0 && options.allowEk === undefined) {
    throw new UsageError(
      "name the TPM vendor's root certificates with --root or --roots, or the EK itself with --allow-ek.",
    );
  }
  return new Enroller({ domain: domain.name, signer, ...certificates });
}

async function enroll(session: Session, options: Options): Promise<void> {
  if (options.plane !== undefined || options.invite !== undefined) {
    const home = await enrollAt(session, options);
    return tell(session, await credentialOf(home));
  }
  const home = session.home();
  const domain = await loadDomain(home.path);
  const labels = [...new Set(options.label ?? [])].sort();
  const lifetime = credentialSeconds(domain, "--lifetime", options.lifetime);
  const signer = await enrollerKey(domain, labels);
  const enroller = await makeEnroller(domain, options, signer);
  const logKey = coseKeyOf(await logKeyOf(home));
  const known = await loadNode(home);
  const tpm = tpmAddress(readConfig(home), options.tpm);
  const counter = await counterOf(home, options.counter);
  await using node = await NodeEnrollment.begin({ tpm, logKey, ...counter });
  const pending = await enroller.challenge(node.request, new Date());
  const answer = await node.answer(pending.challenge);
  const iat = nowSeconds();
  const bytes = await enroller.issue(pending, answer, {
    labels,
    statusIndex: () => reserveIndex(domain.layout, "nodes"),
    iat,
    exp: iat + lifetime,
    enrolled: known && { ueid: known.claims.ueid, name: known.claims.name },
    replace: options.replace === true,
  });
  const { statusIndex } = parseSigned("node", bytes).claims;
  await coverIndex(home.path, await publicationOf(home, {}), "nodes", statusIndex);
  await keepIssued(domain.layout, "nodes", statusIndex, bytes);
  if (known) await revokeOld(home, domain, known);
  await keepNode(home, node, bytes);
  tell(session, bytes);
}

/**
 * A node has one credential at a time. The old one is revoked before the new one is in place: who
 * is interrupted in between enrolls again.
 */
async function revokeOld(home: Home, domain: Domain, { claims }: UnverifiedNode): Promise<void> {
  if (claims.domain !== domain.name) return;
  const old = { kind: "nodes", index: claims.statusIndex } as const;
  await revoke(home.path, await publicationOf(home, {}), [old]);
}

function tell(session: Session, bytes: Uint8Array): void {
  const { ueid, name, labels, exp, statusIndex, ekCertificate } = parseSigned("node", bytes).claims;
  session.tell(
    {
      ueid: hex(ueid),
      akName: hex(name),
      labels,
      expires: isoTime(exp),
      statusIndex,
      ekCertificate: ekCertificate && hex(ekCertificate),
    },
    pairs([
      ["node", hex(ueid)],
      ["attestation key", hex(name)],
      ["labels", labels.join(", ") || "none"],
      ["expires", isoTime(exp)],
      ["EK certificate", ekCertificate === null ? "none: allowlisted" : hex(ekCertificate)],
    ]),
  );
}

export function register(program: Command): void {
  defineVerb<Options>(program, {
    name: "enroll",
    summary: "make this machine's TPM a node of the domain",
    examples: [
      "portcullis enroll --root vendor-root.pem --label web",
      "portcullis enroll --roots vendors/ --replace",
      "portcullis enroll --invite node.invite",
      "portcullis enroll --plane https://plane.example.org:8404 --token-file token --pin 3f9a...",
    ],
    notes: [
      "The EK certificate must lead to one of the roots. A TPM without a certificate is enrolled only by the digest " +
        "of its EK public area (--allow-ek), which you take from the machine yourself.",
      "A bundle is a folder of certificates and a file `fingerprints` (docs/enrollment.md). Revocation lists, given " +
        "any, must cover every certificate below the root.",
      "An NV counter is defined beside the home, so that an older copy of it is denied; --no-counter does without.",
      "JSON: {ueid, akName, labels, expires, statusIndex, ekCertificate}",
    ],
    setup: (command) =>
      addCertificateOptions(command)
        .option("--tpm <address>", "the TPM, as in config.yaml")
        .option("--label <label>", "a label of this node; again for each further one", collect)
        .option("--lifetime <span>", "until it expires (default: 365d)", spanOption("--lifetime"))
        .option("--replace", "a new key for an enrolled node; revokes its old one")
        .option("--no-counter", "without an NV counter: an older copy of the home goes unnoticed")
        .option("--invite <file>", "an invitation that the plane wrote (`serve --invite`)")
        .option(
          "--plane <url>",
          "or word by word: the plane that enrolls; labels are then its token's",
        )
        .option("--plane-ca <file>", "authorities of its certificate (PEM); else the system's")
        .option("--token-file <file>", "the token for it")
        .option("--pin <digest>", "the charter to trust, where this home is new"),
    run: enroll,
  });
}
