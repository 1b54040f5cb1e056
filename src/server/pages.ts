/** The page for people, and the interface's documentation: no assets from elsewhere. */
import { readFileSync } from "node:fs";
import type { FastifyInstance, FastifyReply } from "fastify";
import { documentationOf } from "./documentation.ts";
import { NO_QUERY, plain } from "./schema.ts";

/** Nothing but this origin's own script and style, and nothing around the page. */
export const PAGE_HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
    "require-trusted-types-for 'script'; trusted-types 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
} as const;

const FILES = [
  ["/", "index.html", "text/html; charset=utf-8"],
  ["/page.js", "page.js", "text/javascript; charset=utf-8"],
  ["/page.css", "page.css", "text/css; charset=utf-8"],
] as const;

const HTML = FILES[0][2];
const JSON_TYPE = "application/json; charset=utf-8";

export function addPages(server: FastifyInstance): void {
  const base = { querystring: NO_QUERY, tags: ["people"] };
  const send = (reply: FastifyReply, type: string, text: string) =>
    reply
      .headers({ ...PAGE_HEADERS, "cache-control": "no-cache" })
      .type(type)
      .send(text);
  for (const [path, name, type] of FILES) {
    const text = readFileSync(new URL(`./page/${name}`, import.meta.url), "utf8");
    server.get(path, {
      config: { access: "open" },
      schema: { ...base, summary: "The page", response: plain(type, name) },
      handler: async (_request, reply) => send(reply, type, text),
    });
  }
  server.get("/docs", {
    config: { access: "open" },
    schema: { ...base, summary: "This interface, for people", response: plain(HTML, "a page") },
    handler: async (_request, reply) => send(reply, HTML, documentationOf(server.swagger())),
  });
  server.get("/openapi.json", {
    config: { access: "open" },
    schema: { ...base, summary: "This interface, OpenAPI 3.1", response: plain(JSON_TYPE, "it") },
    handler: async (_request, reply) =>
      reply.type(JSON_TYPE).send(JSON.stringify(server.swagger())),
  });
}
