/** The plane's page in a browser: what it shows, and that nothing comes from elsewhere. */
import type { FastifyInstance } from "fastify";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { NODES_PER_PAGE } from "../../src/plane/service.ts";
import { makeServer } from "../../src/server/index.ts";
import { FLAGS } from "../support/browser.ts";
import { NOW } from "../support/domain.ts";
import { programOf } from "../support/engine.ts";
import { makePlaneWorld, type PlaneWorld } from "../support/plane-world.ts";

let made: PlaneWorld;
let server: FastifyInstance;
let browser: Browser;
let page: Page;
const complaints: string[] = [];
const asked: string[] = [];
let origin: string;
const clock = { seconds: NOW };

beforeAll(async () => {
  // The page shows the last hour by the browser's clock; the domain lives at its own time.
  made = await makePlaneWorld({ clockSeconds: () => clock.seconds });
  const failed = (error: unknown): void => void complaints.push(String(error));
  server = await makeServer({
    service: made.service,
    tls: null,
    version: "0.0.0",
    onFailure: failed,
  });
  origin = await server.listen({ host: "127.0.0.1", port: 0 });
  browser = await chromium.launch({ executablePath: programOf("chromium"), args: [...FLAGS] });
  page = await browser.newPage({ viewport: { width: 960, height: 900 } });
  await page.clock.setFixedTime(NOW * 1000);
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => asked.push(request.url()));
});
afterAll(async () => {
  await browser?.close();
  await server?.close();
  await made?.dispose();
});

test("a wrong token is told; a good one shows nodes, decisions, denials and the snapshot", async () => {
  await page.goto(origin);
  await page.getByLabel(/Token/).fill("wrong");
  await page.getByRole("button", { name: "Show" }).click();
  await page.getByText("The token is refused.").waitFor();
  // The browser itself reports a refused request; nothing else may have been said.
  complaints.splice(0);
  // One use, asked for four times.
  const once = { scope: { uses: 1 } };
  for (let i = 0; i < 4; i++) await made.plane.decide(await made.evidence(once));
  await page.getByLabel(/Token/).fill(made.token("view"));
  await page.getByRole("button", { name: "Show" }).click();
  await page.getByRole("heading", { name: "Nodes" }).waitFor();
  expect(await page.locator("#nodes tr").count()).toBe(1);
  expect(await page.locator("#decisions tr").count()).toBe(4);
  expect(await page.locator("#state").innerText()).toMatch(/Snapshot\s+version \d+/);
  expect(await page.locator("#chart svg").getAttribute("aria-label")).toMatch(/replay 3/);
});

test("decisions come by themselves", async () => {
  await made.plane.decide(await made.evidence({ grant: { exp: NOW } }));
  await page.locator("#decisions tr").nth(4).waitFor();
  expect(await page.locator("#decisions tr").first().innerText()).toMatch(/window\.expired/);
  expect(await page.locator("#legend").innerText()).toMatch(/window: 1/);
  const { SCREENSHOT } = process.env;
  if (SCREENSHOT !== undefined) await page.screenshot({ path: SCREENSHOT, fullPage: true });
});

test("more nodes than a page shows are shown a page at a time", async () => {
  const { world } = made;
  const more = page.locator("#more");
  expect(await more.isHidden()).toBe(true);
  made.nodes = Array.from({ length: NODES_PER_PAGE + 2 }, (_, statusIndex) => ({
    claims: world.node({ statusIndex, labels: [`place-${statusIndex}`] }),
    revoked: false,
  }));
  await page.reload();
  await more.waitFor();
  expect(await page.locator("#nodes tr").count()).toBe(NODES_PER_PAGE);
  await more.click();
  await page.getByText(`place-${NODES_PER_PAGE + 1}`).waitFor();
  expect(await page.locator("#nodes tr").count()).toBe(2);
  expect(await more.innerText()).toBe("First nodes");
  await more.click();
  await page.getByText("place-0", { exact: true }).waitFor();
  expect(await page.locator("#nodes tr").count()).toBe(NODES_PER_PAGE);
});

test("an answer that comes late does not show another page of nodes", async () => {
  const first = /\/v1\/nodes\?from=0$/;
  let answer = (): void => undefined;
  const clicked = new Promise<void>((done) => {
    answer = done;
  });
  await page.route(first, async (route) => {
    await clicked;
    await route.continue();
  });
  // The page asks again by itself, and is answered after the click.
  const late = await page.waitForRequest(first);
  await page.locator("#more").click();
  await page.getByText(`place-${NODES_PER_PAGE + 1}`).waitFor();
  answer();
  await (await late.response())?.finished();
  await page.unroute(first);
  expect(await page.locator("#nodes tr").count()).toBe(2);
});

test("every table and control has its name, and one heading stands above all", async () => {
  expect(await page.locator("h1").count()).toBe(1);
  expect(await page.locator("th:not([scope])").count()).toBe(0);
  expect(await page.locator("html[lang]").count()).toBe(1);
  const unnamed = "input:not([id]), button:empty, section:not([aria-labelledby])";
  expect(await page.locator(unnamed).count()).toBe(0);
});

test("the interface's page names every route", async () => {
  await page.goto(`${origin}/docs`);
  const { paths = {} } = server.swagger() as { paths?: object };
  expect(await page.locator("section").count()).toBeGreaterThanOrEqual(Object.keys(paths).length);
});

test("nothing was asked of anyone else, and the browser had nothing to complain of", () => {
  const strangers = asked.filter((url) => !url.startsWith(origin) && !url.startsWith("data:"));
  expect(strangers).toEqual([]);
  expect(complaints).toEqual([]);
});
