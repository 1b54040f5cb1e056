/** `portcullis agent`: runs share it, need it not, and are deceived by none that lies. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { openAgent } from "../../src/agent/index.ts";
import { encodeQuoted, encodeRefusal, receive, send } from "../../src/agent/messages.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { preparedMachines } from "../../swtpm/index.ts";
import { Place, root } from "./cli-support.ts";
import { softwareTpm } from "./tpm-support.ts";

const tpms = softwareTpm();
let place: Place;
const socket = (): string => join(place.home, "node/agent.sock");
const words = ["run", "--json", "--grant", "echo.grant", "--", "/bin/echo", "hello"];
const admitted = { code: 0, out: "hello\n" };

beforeAll(async () => {
  place = await Place.make();
  const { root: vendor, issuer } = await preparedMachines();
  const files = [await place.write("root.pem", vendor), await place.write("issuer.pem", issuer)];
  const trust = ["--root", files[0] ?? "", "--intermediate", files[1] ?? ""];
  await place.json(["init", "example.org", "--tpm", tpms.machine.uri]);
  await place.json(["enroll", ...trust]);
  await place.json(["policy", "capture", "base"]);
  await place.json(["policy", "activate", "base"]);
  const job = ["--exec", "/bin/echo", "--arg", "hello", "--uses", "30"];
  await place.json(["authorize", ...job, "--out", "echo.grant"]);
});
afterAll(() => place.remove());

describe("an agent", () => {
  let agent: ChildProcess;
  afterEach(async () => {
    agent.kill("SIGKILL");
    if (agent.exitCode === null && agent.signalCode === null) await once(agent, "exit");
    await rm(socket(), { force: true });
  });

  /** Resolves when it says that it listens. */
  async function start(): Promise<void> {
    const env = { PATH: process.env.PATH, PORTCULLIS_HOME: place.home };
    const main = join(root, "src/cli/main.ts");
    agent = spawn(process.execPath, [main, "agent"], { env, stdio: ["ignore", "pipe", "inherit"] });
    if (agent.stdout === null) throw new Error("no standard output");
    const [said] = await once(agent.stdout, "data");
    expect(String(said)).toMatch(/^The agent listens at .*agent\.sock, for swtpm:/);
  }

  test("serves runs at once, refuses a second one, and ends when it is asked to", async () => {
    await start();
    const runs = await Promise.all([1, 2, 3].map(() => place.run(words)));
    expect(runs).toEqual(runs.map(() => expect.objectContaining(admitted)));
    const second = await place.run(["agent"]);
    expect(second).toMatchObject({ code: 64, err: expect.stringContaining("already") });
    agent.kill("SIGTERM");
    expect(await once(agent, "exit")).toEqual([0, null]);
    expect(await place.run(words)).toMatchObject(admitted);
  });

  test("that was killed is done without", async () => {
    await start();
    agent.kill("SIGKILL");
    await once(agent, "exit");
    expect(await place.run(words)).toMatchObject(admitted);
    await start();
    expect(await place.run(words)).toMatchObject(admitted);
  });
});

describe("who stands at the agent's place and lies", () => {
  let liar: Server;
  afterEach(async () => {
    await new Promise((done) => liar.close(done));
  });

  async function lie(answer: Uint8Array): Promise<void> {
    liar = createServer(async (client) => {
      client.on("error", () => undefined);
      await receive(client, 5_000);
      send(client, answer);
      client.end();
    });
    await new Promise<void>((done) => liar.listen(socket(), done));
  }

  const denial = async () => {
    const { code, out } = await place.run(words);
    return { exit: code, ...JSON.parse(out) };
  };

  test("with something else than an answer: denied, and a retry may help", async () => {
    await lie(new Uint8Array([1, 2, 3]));
    const detail = expect.stringContaining("agent gave no answer");
    expect(await denial()).toMatchObject({ exit: 75, code: "internal.tpm-unavailable", detail });
    // Who names the TPM asks no agent.
    const named = ["run", "--tpm", tpms.machine.uri, ...words.slice(1)];
    expect(await place.run(named)).toMatchObject(admitted);
  });

  test("with a genuine quote for another request: the core denies", async () => {
    await using tpm = await openAgent({
      tpm: tpms.machine.uri,
      akFile: join(place.home, "node/ak"),
    });
    const banks = [{ hash: 0x000b, pcrs: [0, 1, 2, 3, 4, 5, 6, 7] }];
    const { attest, signature, values } = await tpm.quote(new Uint8Array(32), banks);
    const store = openSqliteStore(join(place.home, "state.db"));
    const anchor = await store.anchor().finally(() => store.close());
    const counter = anchor && (await tpm.counter(anchor));
    await lie(encodeQuoted({ attest, signature, values, index: 0, size: 1, path: [], counter }));
    expect(await denial()).toMatchObject({ exit: 77, code: "environment.quote-nonce" });
  });

  test("with the TPM's word that the key is lost: told as such", async () => {
    await lie(encodeRefusal("TPM2_Load: TPM_RC_INTEGRITY", "TPM_RC_INTEGRITY"));
    expect(await denial()).toMatchObject({ exit: 70, code: "internal.attestation-key" });
  });
});
