/** One string that chooses the TPM. */
import { openDevice } from "./device.ts";
import { TpmTransportError } from "./structures/errors.ts";
import { openSwtpmSocket } from "./swtpm-socket.ts";
import { openTcti } from "./tcti.ts";
import type { Transport } from "./transport.ts";

/** How a TPM is reached, parsed. */
export type TpmAddress =
  | { readonly kind: "device"; readonly path: string }
  | { readonly kind: "swtpm"; readonly path: string }
  | { readonly kind: "swtpm-tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "tcti"; readonly conf: string };

const FORMS =
  "device:/dev/tpmrm0, swtpm:path=SOCKET, swtpm:host=HOST,port=PORT, tabrmd, or tcti:CONF";
/** sockaddr_un.sun_path holds 108 bytes with the terminating zero. */
const SOCKET_PATH_BYTES_MAX = 107;

function parseSwtpm(text: string): TpmAddress {
  if (text.startsWith("path=")) {
    const path = text.slice("path=".length);
    const bytes = Buffer.byteLength(path);
    if (bytes === 0 || bytes > SOCKET_PATH_BYTES_MAX) {
      throw new TpmTransportError(`A socket path has 1 to 107 bytes; "${path}" has ${bytes}.`);
    }
    return { kind: "swtpm", path };
  }
  const match = /^(?:host=([^,]+),)?port=(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (!match || port < 1 || port > 65_535) {
    throw new TpmTransportError(`"swtpm:${text}" names no socket; write one of ${FORMS}.`);
  }
  return { kind: "swtpm-tcp", host: match[1] ?? "127.0.0.1", port };
}

/**
 * Parses `device:PATH`, `swtpm:path=PATH` (the rest of the string, spaces and all),
 * `swtpm:host=H,port=P`, `tabrmd`, or `tcti:CONF` with anything that Tss2_TctiLdr_Initialize takes.
 * @throws TpmTransportError that lists the forms.
 */
export function parseTpmUri(uri: string): TpmAddress {
  if (uri === "tabrmd") return { kind: "tcti", conf: "tabrmd" };
  const colon = uri.indexOf(":");
  const [scheme, rest] = [uri.slice(0, colon), uri.slice(colon + 1)];
  if (scheme === "device" && rest.startsWith("/")) return { kind: "device", path: rest };
  if (scheme === "swtpm") return parseSwtpm(rest);
  if (scheme === "tcti") return { kind: "tcti", conf: rest };
  throw new TpmTransportError(`"${uri}" names no TPM; write one of ${FORMS}.`);
}

/** Opens the transport that an address names. @throws TpmTransportError */
export function openTransport(address: TpmAddress): Promise<Transport> {
  switch (address.kind) {
    case "device":
      return openDevice(address.path);
    case "swtpm":
      return openSwtpmSocket({ path: address.path });
    case "swtpm-tcp":
      return openSwtpmSocket({ host: address.host, port: address.port });
    case "tcti":
      return openTcti(address.conf);
  }
}
