/**
 * Enrollment over HTTP, by a software TPM: what is issued, and what every other request is told.
 */
import type { FastifyInstance } from "fastify";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { NodeEnrollment } from "../../src/agent/index.ts";
import { PlaneClient } from "../../src/client/index.ts";
import { nowSeconds } from "../../src/clock.ts";
import { Enroller } from "../../src/enroll/index.ts";
import { makeToken, type NodeRegister, PlaneService } from "../../src/plane/index.ts";
import { makeServer } from "../../src/server/index.ts";
import { type EnrollmentRequest, encodeEnrollment } from "../../src/wire/enrollment.ts";
import { type NodeCredential, parseSigned } from "../../src/wire/objects.ts";
import { type Machines, preparedMachines } from "../../swtpm/index.ts";
import { testSigner } from "../support/keys.ts";
import { makePlaneWorld, type PlaneWorld } from "../support/plane-world.ts";
import { softwareTpm } from "./tpm-support.ts";

const tpms = softwareTpm();
const logKey = testSigner("log").key;
const { text: token, record } = makeToken({
  role: "enroll",
  labels: ["web"],
  replace: false,
  expires: 2 ** 40,
});
const kept: NodeCredential[] = [];
const register: NodeRegister = {
  enrolled: async () => kept.at(-1) ?? null,
  reserve: async () => kept.length,
  keep: async (_index, credential) => {
    kept.push(parseSigned("node", credential).claims);
  },
};

let machines: Machines;
let made: PlaneWorld;
const servers: FastifyInstance[] = [];
beforeAll(async () => {
  machines = await preparedMachines();
  made = await makePlaneWorld();
});
afterAll(async () => {
  for (const server of servers) await server.close();
  await made.dispose();
});
beforeEach(() => {
  kept.length = 0;
});

/** A plane's server that trusts these roots; null enrolls nobody. */
async function served(roots: readonly string[] | null): Promise<PlaneClient> {
  const certificates = { roots: roots ?? [], intermediates: [machines.issuer] };
  const enroller = new Enroller({
    domain: "example.test",
    signer: testSigner("enroller"),
    ...certificates,
  });
  const { plane, store } = made;
  const parts = { enroller, register, store, lifetimeSeconds: 3_600, waitingMax: 3 };
  const server = await makeServer({
    service: new PlaneService({
      plane,
      enrollment: roots && parts,
      tokens: { find: async (id) => (id === record.id ? record : null) },
    }),
    tls: null,
    version: "0.0.0",
    onFailure: (error) => {
      throw error;
    },
  });
  servers.push(server);
  return new PlaneClient({ url: await server.listen({ host: "127.0.0.1", port: 0 }) });
}

const refused = (problem: string) =>
  expect.objectContaining({ code: "client.refused", problem }) as Error;
const begin = () => NodeEnrollment.begin({ tpm: tpms.machine.uri, logKey });

test("a node gets its credential, with the token's labels, for one answer", async () => {
  const plane = await served([machines.root]);
  await using node = await begin();
  const { id, challenge } = await plane.enroll(node.request, token);
  const answer = await node.answer(challenge);
  const { claims } = parseSigned("node", await plane.answer(id, answer, token));
  expect(claims).toMatchObject({ labels: ["web"], statusIndex: 0, logKey });
  expect(claims.exp).toBeLessThanOrEqual(nowSeconds() + 3_600);
  expect(await made.store.counters(claims.name)).toEqual(claims.counters);
  await expect(plane.answer(id, answer, token)).rejects.toThrow(refused("plane.enrollment"));
  expect(kept).toHaveLength(1);
});

describe("refused", () => {
  test("another key of a known node, by a token that may not replace it", async () => {
    const plane = await served([machines.root]);
    for (const again of [false, true]) {
      await using node = await begin();
      const { id, challenge } = await plane.enroll(node.request, token);
      const issued = plane.answer(id, await node.answer(challenge), token);
      if (again) await expect(issued).rejects.toThrow(refused("enroll.rekey"));
      else await issued;
    }
    expect(kept).toHaveLength(1);
  });

  test("a wrong answer, which spends its challenge", async () => {
    const plane = await served([machines.root]);
    await using node = await begin();
    const { id, challenge } = await plane.enroll(node.request, token);
    const answer = await node.answer(challenge);
    const wrong = { ...answer, secret: answer.secret.map((byte) => byte ^ 1) };
    await expect(plane.answer(id, wrong, token)).rejects.toThrow(refused("enroll.challenge"));
    await expect(plane.answer(id, answer, token)).rejects.toThrow(refused("plane.enrollment"));
    expect(kept).toEqual([]);
  });

  test("an answer to a challenge that nobody made", async () => {
    const plane = await served([machines.root]);
    const some = Uint8Array.of(1);
    const answer = { secret: new Uint8Array(16), attest: some, signature: some };
    const asked = plane.answer(new Uint8Array(16), answer, token);
    await expect(asked).rejects.toThrow(refused("plane.enrollment"));
  });

  test("a TPM of a vendor that is not trusted, without a certificate, or with another's", async () => {
    const plane = await served([machines.root]);
    const strict = await served([]);
    await using node = await begin();
    const told = async (at: PlaneClient, change: Partial<EnrollmentRequest>) =>
      at.enroll({ ...node.request, ...change }, token).then(
        () => "accepted",
        (error: { problem: string }) => error.problem,
      );
    expect(await told(strict, {})).toBe("enroll.roots");
    expect(await told(plane, { ekCertificate: null })).toBe("enroll.certificate-missing");
    const noise = new Uint8Array(40).fill(7);
    expect(await told(plane, { ekCertificate: noise })).toBe("enroll.certificate-malformed");
    expect(await told(plane, { ekPublic: node.request.akPublic })).toMatch(/^enroll\.ek$/);
    expect(await told(plane, { akPublic: node.request.ekPublic })).toBe("enroll.ak");
  });

  test("any request where this plane enrolls nobody", async () => {
    const plane = await served(null);
    await using node = await begin();
    await expect(plane.enroll(node.request, token)).rejects.toThrow(refused("plane.enrollment"));
  });

  test("more challenges at once than are kept", async () => {
    const plane = await served([machines.root]);
    await using node = await begin();
    const all = Array.from({ length: 5 }, () => plane.enroll(node.request, token));
    const told = await Promise.allSettled(all);
    expect(told.map(({ status }) => status).sort()).toEqual([
      ...["fulfilled", "fulfilled", "fulfilled"],
      ...["rejected", "rejected"],
    ]);
    const later = plane.enroll(node.request, token);
    await expect(later).rejects.toThrow(refused("server.busy"));
  });

  test("a request at every truncation, by its form", async () => {
    const server = servers[0];
    await using node = await begin();
    const whole = Buffer.from(encodeEnrollment("request", node.request));
    for (let size = 1; size < whole.length; size += 7) {
      const answer = await server?.inject({
        method: "POST",
        url: "/v1/enrollments",
        headers: { "content-type": "application/cbor", authorization: `Bearer ${token}` },
        payload: whole.subarray(0, size),
      });
      expect([answer?.statusCode, answer?.json().code]).toEqual([400, "wire.cbor"]);
    }
  });
});
