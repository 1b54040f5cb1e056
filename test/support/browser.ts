/** Headless Chromium, with pages from a server on the loopback interface that serves dist/. */
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { extname, join, normalize } from "node:path";
import { chromium } from "playwright-core";
import { distribution, type Engine, programOf } from "./engine.ts";

/** No sandbox, because root and containers have none; and no traffic of the browser's own. */
export const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const TYPES: Readonly<Record<string, string>> = {
  ".js": "text/javascript",
  ".wasm": "application/wasm",
};

/** What the page asks for beside dist/: itself, and the modules to run. */
type Pages = Map<string, { readonly type: string; readonly text: string }>;

async function answer(
  dist: string,
  pages: Pages,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { pathname } = new URL(request.url ?? "/", "http://localhost");
  const page = pages.get(pathname);
  if (page !== undefined) {
    response.writeHead(200, { "content-type": page.type }).end(page.text);
    return;
  }
  // URL has resolved every "..", so that the path stays below dist/.
  const type = TYPES[extname(pathname)];
  const path = join(dist, normalize(decodeURIComponent(pathname)).replace(/^\/dist\//, ""));
  const bytes = type === undefined ? null : await readFile(path).catch(() => null);
  if (type === undefined || bytes === null) response.writeHead(404).end();
  else response.writeHead(200, { "content-type": type }).end(bytes);
}

async function serve(dist: string, pages: Pages): Promise<{ server: Server; origin: string }> {
  const server = createServer((request, response) => {
    answer(dist, pages, request, response).catch(() => response.writeHead(500).end());
  });
  await new Promise<void>((done, fail) => {
    server.once("error", fail).listen(0, "127.0.0.1", done);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The server has no port.");
  return { server, origin: `http://127.0.0.1:${address.port}` };
}

/** Starts the system's Chromium. @throws where it is not installed. */
export async function openBrowser(): Promise<Engine> {
  const pages: Pages = new Map([["/", { type: "text/html", text: "<!doctype html>" }]]);
  const dist = await distribution();
  const browser = await chromium.launch({ executablePath: programOf("chromium"), args: FLAGS });
  const { server, origin } = await serve(dist, pages);
  return {
    name: `Chromium ${browser.version()}`,
    async run(source, input) {
      const path = `/job-${pages.size}.js`;
      pages.set(path, { type: "text/javascript", text: source });
      const page = await browser.newPage();
      try {
        await page.goto(origin);
        // As text: what vitest makes of an import() in a function means nothing to a browser.
        const values = [input, `${origin}/dist/`].map((value) => JSON.stringify(value));
        return await page.evaluate(
          `import("${path}").then((module) => module.default(${values.join(", ")}))`,
        );
      } finally {
        await page.close();
      }
    },
    async close() {
      await browser.close();
      await new Promise((done) => server.close(done));
    },
  };
}
