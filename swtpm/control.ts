/** swtpm's control channel (swtpm_ioctls.h): power, not TPM commands. One request a connection. */
import { createConnection } from "node:net";

/**
 * CMD_GET_CAPABILITY is answered once the TPM is up, with 64 bits of which the upper half is 0;
 * CMD_INIT resets the TPM as power-on does (TPM_Init); CMD_SHUTDOWN ends swtpm.
 */
const COMMANDS = { capability: 1, init: 2, shutdown: 3 } as const;
/** Control requests take milliseconds; a paused swtpm must not hold its caller for ever. */
const TIMEOUT_MS = 5_000;

/**
 * Sends one control request and waits for its result.
 * @throws Error where nothing listens, or swtpm refuses.
 */
export function control(path: string, command: keyof typeof COMMANDS): Promise<void> {
  const request = Buffer.alloc(command === "init" ? 8 : 4);
  request.writeUInt32BE(COMMANDS[command], 0);
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path });
    let answer = Buffer.alloc(0);
    const fail = (why: string, cause?: unknown): void => {
      socket.destroy();
      reject(new Error(`swtpm did not obey ${command}: ${why}.`, { cause }));
    };
    socket.setTimeout(TIMEOUT_MS, () => fail(`no answer in ${TIMEOUT_MS} ms`));
    socket.on("error", (cause) => fail(cause.message, cause));
    socket.on("close", () => fail("it closed the control channel"));
    socket.on("connect", () => socket.write(request));
    socket.on("data", (chunk) => {
      answer = Buffer.concat([answer, chunk]);
      if (answer.length < 4) return;
      const result = answer.readUInt32BE(0);
      if (result !== 0) return fail(`result 0x${result.toString(16)}`);
      resolve();
      socket.destroy();
    });
  });
}

/** Whether a control channel listens at `path`. */
export function listens(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ path });
    socket.once("error", () => resolve(false));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}
