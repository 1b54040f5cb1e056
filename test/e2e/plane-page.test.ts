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

test("the bars stand in the chart, whatever the browser's clock says", async () => {
  const chart = await page.locator("#chart svg").boundingBox();
  const bars = await page.locator("#chart rect").all();
  expect(bars).toHaveLength(1);
  for (const bar of bars) {
    const box = await bar.boundingBox();
    if (chart === null || box === null) throw new Error("nothing is drawn");
    expect(box.x).toBeGreaterThanOrEqual(chart.x);
    expect(box.x + box.width).toBeLessThanOrEqual(chart.x + chart.width);
  }
});

test("decisions come by themselves", async () => {
  await made.plane.decide(await made.evidence({ grant: { exp: NOW } }));
  await page.locator("#decisions tr").nth(4).waitFor();
  expect(await page.locator("#decisions tr").first().innerText()).toMatch(/window\.expired/);
  expect(await page.locator("#legend").innerText()).toMatch(/window: 1/);
  const { SCREENSHOT } = process.env;
  if (SCREENSHOT !== undefined) await page.screenshot({ path: SCREENSHOT, fullPage: true });
});

test("held still, decisions stay for who reads them, by keyboard too", async () => {
  const first = page.locator("#decisions tr").first();
  const before = await first.innerText();
  const hold = page.getByRole("button", { name: "Hold still" });
  await hold.press("Space");
  await made.plane.decide(await made.evidence({ grant: { exp: NOW } }));
  await page.getByText("window: 2").waitFor();
  expect(await first.innerText()).toBe(before);
  await hold.press("Space");
  await expect.poll(() => first.innerText()).not.toBe(before);
});

test("a token that is forgotten ends what it began; the next one counts nothing twice", async () => {
  await page.getByRole("button", { name: "Forget token" }).click();
  await page.getByText("The token is forgotten.").waitFor();
  const focused = () => page.evaluate("document.activeElement.id");
  expect(await focused()).toBe("token");
  await page.keyboard.type(made.token("view"));
  await page.keyboard.press("Enter");
  expect(await focused()).toBe("title");
  await page.getByText("window: 2").waitFor();
  // Of two streams, either would have told of it before a later one.
  for (const _ of [1, 2]) await made.plane.decide(await made.evidence({ grant: { exp: NOW } }));
  await page.locator("#decisions tr").nth(7).waitFor();
  expect(await page.locator("#legend").innerText()).toMatch(/window: 4/);
  expect(await page.locator("#decisions tr").count()).toBe(8);
});

/** How far apart two colors are, as WCAG 2.2 defines contrast. */
function contrast(...colors: string[]): number {
  const [a = 0, b = 0] = colors.map((color) => {
    const [r = 0, g = 0, b = 0] = (color.match(/\d+/g) ?? []).map((part) => {
      const c = Number(part) / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  });
  return Math.max(a / b, b / a);
}

test.each(["light", "dark"] as const)(
  "text and bars can be told from the paper: %s",
  async (colorScheme) => {
    await page.emulateMedia({ colorScheme });
    const styled = (selector: string, property: string): Promise<string> =>
      page.evaluate(`getComputedStyle(document.querySelector("${selector}")).${property}`);
    const paper = await styled("body", "backgroundColor");
    expect(contrast(paper, await styled("body", "color"))).toBeGreaterThan(7);
    for (const quiet of ["dt", ".good", ".bad"]) {
      expect(contrast(paper, await styled(quiet, "color"))).toBeGreaterThan(4.5);
    }
    for (const color of [0, 1, 2, 3, 4, 5, 6, 7]) {
      await page
        .locator("#chart rect")
        .first()
        .evaluate((bar, name) => bar.setAttribute("class", name), `c${color}`);
      expect(contrast(paper, await styled("#chart rect", "fill"))).toBeGreaterThan(4.5);
    }
    await page.emulateMedia({ colorScheme: null });
  },
);

test.each(["/", "/docs"])("%s needs no scrolling sideways on a screen of 320 px", async (path) => {
  const size = page.viewportSize();
  await page.setViewportSize({ width: 320, height: 640 });
  await page.goto(`${origin}${path}`);
  await page.getByRole("heading", { level: 2 }).first().waitFor();
  expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(320);
  await page.goto(origin);
  if (size) await page.setViewportSize(size);
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

test("what is older than an hour is no longer counted", async () => {
  expect(await page.locator("#legend").innerText()).not.toBe("");
  clock.seconds += 3_660;
  await expect.poll(() => page.locator("#legend").innerText(), { timeout: 10_000 }).toBe("");
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
