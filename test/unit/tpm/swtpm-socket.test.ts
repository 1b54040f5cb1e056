/** A server that answers as it likes: what a socket can do to us that a TPM does not. */

import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { getRandom } from "../../../src/tpm/startup.ts";
import { TpmTransportError } from "../../../src/tpm/structures/errors.ts";
import { openSwtpmSocket } from "../../../src/tpm/swtpm-socket.ts";
import { Tpm } from "../../../src/tpm/tpm.ts";

const RANDOM = Buffer.from("80010000001000000000000401020304", "hex");
const cleanups: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

/** A TPM behind a server whose answer to each command is what `answer` does with the socket. */
async function serve(answer: (socket: Socket, command: number) => void): Promise<Tpm> {
  const folder = await mkdtemp(join(tmpdir(), "socket "));
  const path = join(folder, "s");
  const sockets: Socket[] = [];
  const server: Server = createServer((socket) => {
    let commands = 0;
    sockets.push(socket);
    socket.on("error", () => socket.destroy());
    socket.on("data", () => answer(socket, ++commands));
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const tpm = new Tpm(await openSwtpmSocket({ path }), { timeoutMs: 2_000 });
  cleanups.push(
    () => tpm.close(),
    () => sockets.forEach((socket) => void socket.destroy()),
    () => void server.close(),
    () => rm(folder, { recursive: true }),
  );
  return tpm;
}

describe("an answer", () => {
  test("may come byte by byte", async () => {
    const tpm = await serve(async (socket) => {
      for (const byte of RANDOM) {
        socket.write(Uint8Array.of(byte));
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
    expect(await getRandom(tpm, 4)).toEqual(Uint8Array.of(1, 2, 3, 4));
    expect(await getRandom(tpm, 4)).toEqual(Uint8Array.of(1, 2, 3, 4));
  });

  const resized = (size: number): Buffer => {
    const bytes = Buffer.from(RANDOM);
    bytes.writeUInt32BE(size, 2);
    return bytes;
  };
  test.each([
    [
      "that ends in the middle",
      (socket: Socket) => socket.end(RANDOM.subarray(0, 12)),
      /connection was closed/,
    ],
    ["that is none", (socket: Socket) => socket.end(), /connection was closed/],
    [
      "that claims more than any TPM sends",
      (socket: Socket) => socket.write(resized(4_097)),
      /claims 4097 bytes/,
    ],
    [
      "that claims 4 GiB",
      (socket: Socket) => socket.write(resized(0xffffffff)),
      /claims 4294967295 bytes/,
    ],
    [
      "that claims less than a header",
      (socket: Socket) => socket.write(resized(9)),
      /claims 9 bytes/,
    ],
    [
      "with another one behind it",
      (socket: Socket) => socket.write(Buffer.concat([RANDOM, RANDOM])),
      /bytes follow the response/,
    ],
    [
      "that never ends",
      (socket: Socket) => socket.write(resized(4_096)),
      /did not answer TPM2_GetRandom within 2000 ms/,
    ],
  ])("%s ends the connection", async (_, answer, why) => {
    const tpm = await serve(answer);
    await expect(getRandom(tpm, 4)).rejects.toThrow(why);
    await expect(getRandom(tpm, 4)).rejects.toThrow(TpmTransportError);
  });

  test("that no command asked for is not taken for the next command's", async () => {
    const tpm = await serve((socket, command) => {
      socket.write(RANDOM);
      if (command === 1) setTimeout(() => socket.write(RANDOM), 20);
    });
    await getRandom(tpm, 4);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await expect(getRandom(tpm, 4)).rejects.toThrow(/bytes came that no command asked for/);
  });
});

test("closing ends a command that is waiting", async () => {
  const tpm = await serve(() => undefined);
  const waiting = getRandom(tpm, 4);
  setTimeout(() => void tpm.close(), 20);
  await expect(waiting).rejects.toThrow(TpmTransportError);
});
