/**
 * One side of bench/plane.ts, in a process of its own: `bare`, a fastify route with a body of 2 KB
 * checked by a schema; or `plane`, a whole plane. Tells its port, and for a plane its evidence.
 */
import { writeFileSync } from "node:fs";
import fastify, { type FastifyInstance } from "fastify";
import { Nonces } from "../src/plane/index.ts";
import { makeServer } from "../src/server/index.ts";
import { makePlaneWorld } from "../test/support/plane-world.ts";

const [, , kind = "bare", file = "", count = "0", cases = "keep"] = process.argv;

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

async function plane(): Promise<void> {
  // Evidence is made before it is sent: its nonces do not age here.
  const nonces = new Nonces({ clockMs: () => 1_000_000, usedMax: 10_000_000 });
  const made = await makePlaneWorld({ nonces, ...(cases === "none" && { cases: null }) });
  const scope = { scope: { uses: 10_000_000 } };
  const all: Uint8Array[] = [];
  for (let i = 0; i < Number(count); i++) all.push(await made.evidence(scope));
  const sizes = all.map(({ length }) => length);
  writeFileSync(file, Buffer.concat(all));
  const server = await makeServer({
    service: made.service,
    tls: null,
    ratePerSecond: 10_000_000,
    version: "bench",
    onFailure: (error) => console.error(error),
  });
  await server.listen({ host: "127.0.0.1", port: 0 });
  process.stderr.write(`${JSON.stringify(sizes)}\n`);
  tell(server);
  process.on(
    "SIGTERM",
    () =>
      void server
        .close()
        .then(made.dispose)
        .then(() => process.exit(0)),
  );
}

await (kind === "bare" ? bare() : plane());
