/**
 * One side of bench/plane.ts, in a process of its own: `bare`, a fastify route with a body of 2 KB
 * checked by a schema; or `plane`, a whole plane. Tells its port.
 */
import fastify, { type FastifyInstance } from "fastify";
import { boottimeMs } from "../src/clock.ts";
import { createPool } from "../src/core/pool.ts";
import { Nonces } from "../src/plane/index.ts";
import { makeServer } from "../src/server/index.ts";
import { signerOf } from "../src/wire/keys.ts";
import { nodeKey } from "../test/support/keys.ts";
import { makePlaneWorld } from "../test/support/plane-world.ts";
import { makeWorld } from "../test/support/world.ts";

const [, , kind = "bare", cases = "keep"] = process.argv;

function tell(server: FastifyInstance): void {
  const address = server.server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  process.stdout.write(`${address.port}\n`);
}

async function bare(): Promise<void> {
  const server = fastify();
  const text = { type: "string", maxLength: 4_096 } as const;
  const body = {
    type: "object",
    additionalProperties: false,
    required: ["id", "name", "payload", "tags"],
    properties: {
      id: { type: "integer" },
      name: text,
      payload: text,
      tags: { type: "array", items: text },
    },
  } as const;
  const response = { 200: { type: "object", properties: { ok: { type: "boolean" } } } } as const;
  server.post("/", { schema: { body, response } }, async () => ({ ok: true }));
  await server.listen({ host: "127.0.0.1", port: 0 });
  tell(server);
}

/** As `serve` makes one: a core in a thread of its own, keys of node:crypto, a store on the disk. */
async function plane(): Promise<void> {
  // Much evidence is made before it is sent: here its nonces live for 100 s.
  const clockMs = (): number => Math.floor(boottimeMs() / 10);
  const nonces = new Nonces({ clockMs, usedMax: 100_000_000 });
  const { signers } = makeWorld();
  const judge = await createPool({ workers: 1 });
  const signer = signerOf(nodeKey(signers.plane[0]));
  const parts = { nonces, judge, signer, ...(cases === "none" && { cases: null }) };
  const made = await makePlaneWorld(parts);
  const server = await makeServer({
    service: made.service,
    tls: null,
    ratePerSecond: 100_000_000,
    version: "bench",
    onFailure: (error) => console.error(error),
  });
  await server.listen({ host: "127.0.0.1", port: 0 });
  tell(server);
  const end = async (): Promise<void> => {
    await server.close();
    await judge.close();
    await made.dispose();
    process.exit(0);
  };
  process.on("SIGTERM", () => void end());
}

await (kind === "bare" ? bare() : plane());
