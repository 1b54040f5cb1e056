/** What a home takes from a plane, and what it does not. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { FastifyInstance } from "fastify";
import { afterAll, beforeAll, expect, test } from "vitest";
import { homeAt } from "../../../src/cli/home.ts";
import { fetchGovernance } from "../../../src/cli/plane-client.ts";
import { PlaneClient } from "../../../src/client/index.ts";
import { makeFolder, namesIn } from "../../../src/domain/files.ts";
import { Layout } from "../../../src/domain/layout.ts";
import { makeServer } from "../../../src/server/index.ts";
import { createSqliteStore, openSqliteStore } from "../../../src/store/sqlite.ts";
import { makePlaneWorld, type PlaneWorld } from "../../support/plane-world.ts";
import { quickFolder } from "../../support/quick-folder.ts";

let made: PlaneWorld;
let server: FastifyInstance;
let client: PlaneClient;
let charter: Uint8Array;
beforeAll(async () => {
  made = await makePlaneWorld();
  const built = await made.world.build({ snapshot: { policies: new Map() } });
  charter = built.charter.digest;
  const { snapshot, statusList } = built;
  const charters = [built.charter.bytes];
  made.published = { ...made.published, charters, snapshot: snapshot.bytes, statusList };
  const onFailure = (error: unknown): void => {
    throw error;
  };
  server = await makeServer({ service: made.service, tls: null, version: "0", onFailure });
  client = new PlaneClient({ url: await server.listen({ host: "127.0.0.1", port: 0 }) });
});
afterAll(async () => {
  await server.close();
  await made.dispose();
});

/** What lies in a home that pins this charter, once it was asked to fetch. */
async function fetched(pin: Uint8Array, number = 1) {
  const path = quickFolder("portcullis fetch ");
  const home = homeAt(path);
  const { charters, snapshots } = new Layout(path);
  try {
    createSqliteStore(join(path, "state.db"));
    const store = openSqliteStore(home.state);
    await store.transact((transaction) => transaction.pinCharter(pin, number));
    await store.close();
    for (const folder of [charters, snapshots]) await makeFolder(folder);
    const failure = await fetchGovernance(home, client).catch((error: unknown) => error);
    return { failure, names: [...(await namesIn(charters)), ...(await namesIn(snapshots))] };
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

test("a plane of the domain that is pinned gives its charters and its snapshot", async () => {
  const { failure, names } = await fetched(charter);
  expect(failure).toBeUndefined();
  expect(names).toEqual(["1.charter", "7"]);
});

test.each([
  ["another charter of that number", new Uint8Array(32).fill(1), 1],
  ["a later one than the plane has", new Uint8Array(32).fill(1), 2],
])(
  "a home that pins %s takes nothing, though it holds no charter yet",
  async (_what, pin, number) => {
    const { failure, names } = await fetched(pin, number);
    expect(failure).toMatchObject({ message: expect.stringMatching(/another domain's/) });
    expect(names).toEqual([]);
  },
);
