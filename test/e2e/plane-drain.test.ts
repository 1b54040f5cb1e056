/** SIGTERM: what is under way is answered, nothing else is, and the process ends in order. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { expect, test } from "vitest";
import { PlaneSite } from "../support/plane-site.ts";

/** A plane on the loopback interface, with plain HTTP. */
async function served(): Promise<PlaneSite> {
  const site = await PlaneSite.make();
  await site.serve([], {}, []);
  return site;
}

async function begun(port: number, text: string): Promise<{ socket: Socket; all: () => string }> {
  const socket = connect(port, "127.0.0.1");
  let all = "";
  socket.on("data", (chunk: Buffer) => {
    all += chunk.toString("latin1");
  });
  socket.on("error", () => undefined);
  await once(socket, "connect");
  socket.write(text);
  return { socket, all: () => all };
}

test("a plane that is told to end answers what is under way, and takes nothing more", async () => {
  const site = await served();
  try {
    const head = "POST /v1/decisions HTTP/1.1\r\nhost: plane\r\ncontent-type: application/cbor\r\n";
    const slow = await begun(site.port, `${head}content-length: 4\r\n\r\nab`);
    const idle = await begun(site.port, "GET /healthz HTTP/1.1\r\nhost: plane\r\n\r\n");
    await expect.poll(idle.all).toContain("healthy");
    const ended = site.stop("SIGTERM");
    // The connection that waits for its next request is closed; a new one finds nobody.
    await once(idle.socket, "close");
    await expect.poll(() => refusedAt(site.port)).toBe(true);
    expect(slow.all()).toBe("");
    slow.socket.write("cd");
    await once(slow.socket, "close");
    expect(slow.all()).toMatch(/^HTTP\/1\.1 400 /);
    expect(slow.all()).toContain('"code":"plane.evidence"');
    // Or the connection would stay for its next request, and the process with it.
    expect(slow.all()).toMatch(/\r\nconnection: close\r\n/i);
    expect(await ended).toBe(0);
    await site.serve([], {}, []);
    expect(await site.stop()).toBe(0);
  } finally {
    await site.dispose();
  }
});

async function refusedAt(port: number): Promise<boolean> {
  const { socket, all } = await begun(port, "").catch(() => ({ socket: null, all: () => "" }));
  socket?.destroy();
  return socket === null && all() === "";
}
