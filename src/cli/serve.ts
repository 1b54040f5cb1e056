/** `portcullis serve`: this home as the control plane of its domain. */
import { resolve } from "node:path";
import { inspect } from "node:util";
import type { Command } from "commander";
import { loadCore } from "../core/index.ts";
import { createPool } from "../core/pool.ts";
import { loadDomain } from "../domain/domain.ts";
import { PublishedDomain } from "../domain/published.ts";
import { signersAtHand } from "../domain/signers.ts";
import { TokenFolder } from "../domain/tokens.ts";
import { CaseFolder } from "../log/cases.ts";
import { Journal } from "../log/journal.ts";
import { noteSigner } from "../log/note.ts";
import { Plane, PlaneService } from "../plane/index.ts";
import { openSqliteStore } from "../store/sqlite.ts";
import { addCertificateOptions } from "./certificates.ts";
import { asked } from "./end.ts";
import { UsageError } from "./error.ts";
import { type Home, readConfig } from "./home.ts";
import { readInput } from "./input-file.ts";
import { writeInvitation } from "./invite.ts";
import { logKeyOf } from "./machine.ts";
import { type EnrollOptions, enrollmentOf } from "./plane-enrollment.ts";
import { startRenewal } from "./plane-renewal.ts";
import { complain } from "./print.ts";
import type { Session } from "./session.ts";
import { collect, countOption, spanOption } from "./values.ts";
import { defineVerb } from "./verb.ts";
import { versionOf } from "./version.ts";

interface Options extends EnrollOptions {
  readonly listen: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly workers: number;
  readonly rate: number;
  readonly cases: boolean;
  readonly renew: boolean;
  readonly invite?: string;
  readonly label?: readonly string[];
  readonly publicUrl?: string;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

/** What an invitation says, and nothing else. @throws UsageError where nobody could come by it. */
function requireInvitation(options: Options, enrolls: boolean): void {
  if (options.invite === undefined) {
    if (options.label === undefined && options.publicUrl === undefined) return;
    throw new UsageError(
      "--label and --public-url are what an invitation says: name --invite, too.",
    );
  }
  if (enrolls) return;
  throw new UsageError(
    "--invite: this plane would enroll nobody: it needs an enroller key in keys/, and the TPM " +
      "vendors' roots (--root, --roots), or EKs by themselves (--allow-ek).",
  );
}

const LOOPBACK = ["127.0.0.1", "::1", "localhost"];

function addressOf(text: string): Address {
  const [, ipv6, host = ipv6, port = ""] =
    /^(?:\[([0-9a-f:]+)\]|([\w.-]+)):(\d{1,5})$/.exec(text) ?? [];
  if (host !== undefined && Number(port) <= 65_535) return { host, port: Number(port) };
  throw new UsageError(`--listen: "${text}" is no address: write 127.0.0.1:8404.`);
}

async function tlsOf(options: Options, { host }: Address) {
  const { tlsCert, tlsKey } = options;
  if (tlsCert !== undefined && tlsKey !== undefined) {
    const [cert, key] = await Promise.all([
      readInput(tlsCert, 1_048_576),
      readInput(tlsKey, 65_536),
    ]);
    const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
    return { cert: text(cert), key: text(key) };
  }
  if (tlsCert !== undefined || tlsKey !== undefined) {
    throw new UsageError("--tls-cert and --tls-key belong together.");
  }
  if (LOOPBACK.includes(host)) return null;
  throw new UsageError(`${host} is reached by others: name --tls-cert and --tls-key.`);
}

interface Served extends AsyncDisposable {
  readonly service: PlaneService;
  readonly published: PublishedDomain;
}

/** Everything behind the routes. */
async function openPlane(home: Home, options: Options): Promise<Served> {
  const { origin } = readConfig(home);
  const domain = await loadDomain(home.path);
  const [signer] = await signersAtHand(domain.layout, "plane");
  if (signer === undefined) {
    throw new UsageError(
      "No plane key is in keys/: the domain needs `portcullis init --plane 1/1`.",
    );
  }
  const published = new PublishedDomain(
    home.path,
    await signersAtHand(domain.layout, "governance"),
  );
  const store = openSqliteStore(home.state);
  const enrollment = await enrollmentOf(home, domain, store, options);
  requireInvitation(options, enrollment !== null);
  const core = await loadCore();
  if (core.wasmDigest === null) throw new UsageError("The core has no digest.");
  const judge = await createPool({ workers: options.workers });
  const cases = options.cases ? new CaseFolder(home.cases) : null;
  const plane = new Plane({
    judge,
    store,
    journal: new Journal({ store, origin, signer: noteSigner(origin, await logKeyOf(home)) }),
    cases,
    governance: published,
    signer,
    coreDigest: core.wasmDigest,
  });
  const service = new PlaneService({
    plane,
    enrollment,
    tokens: new TokenFolder(home.path),
  });
  const dispose = async (): Promise<void> => {
    await judge.close();
    await cases?.close();
    await store.close();
  };
  return { service, published, [Symbol.asyncDispose]: dispose };
}

/** With what lay beneath it: clients are not told. */
function tellFailure(error: unknown): void {
  complain(`portcullis: ${inspect(error)}`);
}

async function invite(home: Home, options: Options, url: string, certificate: string | null) {
  const { charter } = await loadDomain(home.path);
  const { invite: file = "", label: labels = [], publicUrl: plane = url } = options;
  const pin = Buffer.from(charter.digest).toString("hex");
  await writeInvitation(home, resolve(file), labels, { plane, pin, certificate });
}

async function serve(session: Session, options: Options): Promise<void> {
  const home = session.home();
  const address = addressOf(options.listen);
  const tls = await tlsOf(options, address);
  await using plane = await openPlane(home, options);
  const { makeServer } = await import("../server/index.ts");
  const server = await makeServer({
    service: plane.service,
    tls,
    ratePerSecond: options.rate,
    version: versionOf(),
    onFailure: tellFailure,
  });
  const end = asked();
  const renewal = options.renew ? startRenewal(plane.published, tellFailure) : null;
  try {
    const url = await server.listen(address);
    if (options.invite !== undefined) await invite(home, options, url, tls?.cert ?? null);
    session.tell({ listening: url }, [`The plane listens at ${url}`]);
    await end;
  } finally {
    renewal?.();
    await server.close();
  }
}

export function register(program: Command): void {
  defineVerb<Options>(program, {
    name: "serve",
    summary: "be the control plane of this home's domain",
    examples: [
      "portcullis serve",
      "portcullis serve --listen 0.0.0.0:8404 --tls-cert plane.crt --tls-key plane.key --root vendor.pem",
    ],
    notes: [
      "Needs a plane key in keys/, and to renew snapshots and revoke, enough governance keys; to enroll, an " +
        "enroller key and the TPM vendors' roots. SIGTERM ends it once what is under way has been answered, or 20 s " +
        "have passed.",
      "JSON: {listening}, once it listens",
    ],
    setup: (command) =>
      addCertificateOptions(command)
        .option("--listen <host:port>", "where", "127.0.0.1:8404")
        .option(
          "--tls-cert <file>",
          "certificate chain (PEM); needed beyond the loopback interface",
        )
        .option("--tls-key <file>", "its private key (PEM)")
        .option(
          "--node-lifetime <span>",
          "of credentials (default: a year, where the charter allows it)",
          spanOption("--node-lifetime"),
        )
        .option("--invite <file>", "write an invitation for nodes, good for a day")
        .option("--label <label>", "of nodes that come by it; again for others", collect)
        .option("--public-url <url>", "how nodes reach this plane, where not at --listen")
        .option("--workers <n>", "threads that decide", countOption("--workers", 1, 64), 1)
        .option(
          "--rate <n>",
          "requests a second from one address",
          countOption("--rate", 1, 1e6),
          1_000,
        )
        .option("--no-cases", "do not keep the cases that were decided")
        .option("--no-renew", "do not renew the snapshot before it expires"),
    run: serve,
  });
}
