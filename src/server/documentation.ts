/** The interface's description as a page. */

interface Described {
  readonly summary?: string;
  readonly description?: string;
  readonly requestBody?: unknown;
  readonly responses?: { readonly [status: string]: { readonly description?: string } };
}

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** HTML from an OpenAPI document. */
export function documentationOf(document: object): string {
  const { info, paths = {} } = document as {
    info?: { title?: string; version?: string; description?: string };
    paths?: { [path: string]: { [method: string]: Described } };
  };
  const rows = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, described]) => section(method, path, described)),
  );
  const title = escaped(`${info?.title ?? ""} ${info?.version ?? ""}`);
  return [
    '<!doctype html><html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>${title}</title><link rel="stylesheet" href="/page.css"></head><body><main>`,
    `<h1>${title}</h1><p>${escaped(info?.description ?? "")}</p>`,
    '<p>For programs: <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1).</p>',
    ...rows,
    "</main></body></html>",
  ].join("\n");
}

function section(method: string, path: string, described: Described): string {
  const { summary = "", description = "", requestBody, responses = {} } = described;
  const body = requestBody === undefined ? "" : `<p>Body: ${shape(requestBody)}</p>`;
  const token = description === "" ? "" : `<p>${escaped(description)}</p>`;
  const answer = responses["200"]?.description;
  const gives = answer === undefined ? "" : `<p>Answers: ${escaped(answer)}</p>`;
  const head = `<code>${method.toUpperCase()} ${escaped(path)}</code>`;
  return `<section><h2>${head}</h2><p>${escaped(summary)}</p>${token}${body}${gives}</section>`;
}

function shape(body: unknown): string {
  const { content = {} } = body as { content?: Record<string, { schema?: unknown }> };
  return Object.entries(content)
    .map(([type, { schema }]) => `${escaped(type)} <code>${escaped(JSON.stringify(schema))}</code>`)
    .join(", ");
}
