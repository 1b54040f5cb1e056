/** A plane and its nodes as real processes, on software TPMs, over TLS. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Machines, preparedMachines, SoftwareTpm } from "../../swtpm/index.ts";
import { root } from "./snippets.ts";

const main = join(root, "src/cli/main.ts");

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  await new Promise((done) => server.close(done));
  return address.port;
}

export class PlaneSite {
  readonly path: string;
  readonly machines: Machines;
  readonly port: number;
  pin = "";
  token = "";
  #server: ChildProcess | null = null;
  readonly #tpms: SoftwareTpm[] = [];

  private constructor(path: string, machines: Machines, port: number) {
    this.path = path;
    this.machines = machines;
    this.port = port;
  }

  get url(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** A domain with a plane, a certificate for 127.0.0.1, and tokens; not served yet. */
  static async make(machines?: Machines): Promise<PlaneSite> {
    const path = await mkdtemp(join(tmpdir(), "portcullis plane "));
    const site = new PlaneSite(path, machines ?? (await preparedMachines()), await freePort());
    await writeFile(site.file("root.pem"), site.machines.root);
    await writeFile(site.file("issuer.pem"), site.machines.issuer);
    const subject = ["-subj", "/CN=plane", "-addext", "subjectAltName=IP:127.0.0.1"];
    const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    const files = ["-keyout", site.file("tls.key"), "-out", site.file("tls.crt")];
    await promisify(execFile)("openssl", ["req", "-x509", ...kind, ...subject, ...files]);
    const init = ["init", "example.org", "--plane", "1/1", "--authority", "1/1", "--json"];
    const { charter } = JSON.parse((await site.must("plane", init)).out);
    site.pin = charter.digest;
    const words = ["token", "create", "enroll", "--label", "web", "--json"];
    const { token } = JSON.parse((await site.must("plane", words)).out);
    site.token = token;
    await writeFile(site.file("token"), token, { mode: 0o600 });
    return site;
  }

  /** Runs the command line with one of the homes. */
  run(home: string, words: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
    const all = {
      PATH: process.env.PATH,
      HOME: this.path,
      PORTCULLIS_HOME: this.file(home),
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
      ...env,
    };
    return new Promise((done) => {
      const options = { cwd: this.path, env: all };
      execFile(process.execPath, [main, ...words], options, (error, out, err) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
        done({ code, out, err });
      });
    });
  }

  /** The same for what must succeed. */
  async must(home: string, words: readonly string[]): Promise<Ran> {
    const ran = await this.run(home, words);
    if (ran.code === 0) return ran;
    throw new Error(`${words.join(" ")}: exit ${ran.code}: ${ran.err}`);
  }

  /** Starts the plane, and waits until it listens. */
  async serve(
    words: readonly string[] = [],
    more: NodeJS.ProcessEnv = {},
    tls: readonly string[] = ["--tls-cert", "tls.crt", "--tls-key", "tls.key"],
  ): Promise<void> {
    const listen = ["--listen", `127.0.0.1:${this.port}`];
    const roots = ["--root", "root.pem", "--intermediate", "issuer.pem"];
    const all = [main, "serve", ...listen, ...tls, ...roots, ...words];
    const env = {
      PATH: process.env.PATH,
      PORTCULLIS_HOME: this.file("plane"),
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
      ...more,
    };
    const stdio = ["ignore", "pipe", "pipe"] as const;
    const server = spawn(process.execPath, all, { cwd: this.path, env, stdio: [...stdio] });
    this.#server = server;
    let said = "";
    server.stderr?.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    const ended = once(server, "exit").then(() => {
      throw new Error(`the plane ended: ${said}`);
    });
    const listening = server.stdout ? once(server.stdout, "data") : ended;
    await Promise.race([listening, ended]);
    ended.catch(() => undefined);
  }

  /** SIGTERM ends it in order, SIGKILL at once. Gives its exit code. */
  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<number | null> {
    const server = this.#server;
    this.#server = null;
    if (server === null || server.exitCode !== null) return null;
    const gone = once(server, "exit");
    server.kill(signal);
    const [code] = await gone;
    return code as number | null;
  }

  /** Once it has ended by itself: by which signal. */
  async ended(): Promise<NodeJS.Signals | null> {
    const server = this.#server;
    if (server === null) return null;
    if (server.exitCode === null && server.signalCode === null) await once(server, "exit");
    this.#server = null;
    return server.signalCode;
  }

  get pid(): number {
    return this.#server?.pid ?? 0;
  }

  /** A machine with a TPM of its own, enrolled at the plane into a new home. */
  async enroll(home: string, state: string): Promise<SoftwareTpm> {
    const tpm = await SoftwareTpm.start({ template: state });
    this.#tpms.push(tpm);
    const where = ["--plane", this.url, "--plane-ca", "tls.crt"];
    const trust = ["--token-file", "token", "--pin", this.pin, "--tpm", tpm.uri];
    await this.must(home, ["enroll", ...where, ...trust]);
    return tpm;
  }

  /** Signs and activates what this TPM's PCRs hold, and has the plane decide from now on. */
  async bless(tpm: SoftwareTpm): Promise<void> {
    await this.must("plane", ["policy", "capture", "base", "--tpm", tpm.uri]);
    await this.must("plane", ["policy", "activate", "base"]);
    await this.must("plane", ["snapshot", "renew", "--decision", "plane"]);
  }

  /** A grant for `/usr/bin/id -un`. */
  async authorize(file: string, uses = 1, more: readonly string[] = []): Promise<string> {
    const job = ["--exec", "/usr/bin/id", "--arg=-un", "--cwd", "/", "--label", "web"];
    const words = ["authorize", ...job, "--uses", String(uses), "--out", file, ...more];
    await this.must("plane", words);
    return file;
  }

  /** `run --plane` of that job. */
  job(
    home: string,
    grant: string,
    env: NodeJS.ProcessEnv = {},
    url: string = this.url,
  ): Promise<Ran> {
    const where = ["--plane", url, "--plane-ca", "tls.crt"];
    return this.run(home, ["run", ...where, "--grant", grant, "--", "/usr/bin/id", "-un"], env);
  }

  async dispose(): Promise<void> {
    await this.stop("SIGKILL");
    for (const tpm of this.#tpms) await tpm.stop();
    await rm(this.path, { recursive: true, force: true });
  }
}
