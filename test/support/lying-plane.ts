/** Someone between nodes and their plane, with a certificate that the nodes believe. */
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { createServer, request as requestHttps, type Server } from "node:https";

export interface Passed {
  readonly status: number;
  readonly type: string;
  readonly body: Buffer;
}
export type Meddler = (
  path: string,
  body: Buffer,
  forward: (body?: Buffer) => Promise<Passed>,
) => Promise<Passed>;

async function all(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

export class LyingPlane {
  /** What happens to each exchange; by default nothing. */
  meddle: Meddler = (_path, _body, forward) => forward();
  readonly #server: Server;
  readonly #plane: string;
  readonly #ca: string;

  private constructor(plane: string, tls: { readonly cert: string; readonly key: string }) {
    this.#plane = plane;
    this.#ca = tls.cert;
    this.#server = createServer(tls, (request, response) => {
      void all(request)
        .then(async (body) => {
          const path = request.url ?? "/";
          const passed = await this.meddle(path, body, (changed = body) =>
            this.#forward(request, changed),
          );
          response.writeHead(passed.status, { "content-type": passed.type }).end(passed.body);
        })
        .catch(() => response.destroy());
    });
  }

  static async start(
    plane: string,
    tls: { readonly cert: string; readonly key: string },
  ): Promise<LyingPlane> {
    const made = new LyingPlane(plane, tls);
    made.#server.listen(0, "127.0.0.1");
    await once(made.#server, "listening");
    return made;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    return `https://127.0.0.1:${address.port}`;
  }

  #forward({ method, url, headers }: IncomingMessage, body: Buffer): Promise<Passed> {
    const { host: _, connection: __, ...kept } = headers;
    const length = method === "GET" ? {} : { "content-length": body.length };
    const options = { method, headers: { ...kept, ...length }, ca: this.#ca };
    return new Promise((done, fail) => {
      const request = requestHttps(new URL(url ?? "/", this.#plane), options, (response) => {
        all(response)
          .then((answer) =>
            done({
              status: response.statusCode ?? 0,
              type: response.headers["content-type"] ?? "",
              body: answer,
            }),
          )
          .catch(fail);
      });
      request.on("error", fail);
      request.end(method === "GET" || body.length === 0 ? undefined : body);
    });
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }
}
