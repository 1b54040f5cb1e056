/** `portcullis agent`: owns the TPM, for the runs of this home. */
import type { Command } from "commander";
import { AgentServer, openAgent } from "../agent/index.ts";
import { asked } from "./end.ts";
import { readConfig } from "./home.ts";
import { TPM_MS_MAX, tpmAddress } from "./machine.ts";
import { nodeFiles } from "./node-files.ts";
import { complain } from "./print.ts";
import type { Session } from "./session.ts";
import { defineVerb } from "./verb.ts";

interface Options {
  readonly tpm?: string;
}

async function serve(session: Session, options: Options): Promise<void> {
  const home = session.home();
  const tpm = tpmAddress(readConfig(home), options.tpm);
  const { ak, socket } = nodeFiles(home);
  const end = asked();
  await using _server = await AgentServer.listen({
    socket,
    open: () => openAgent({ tpm, akFile: ak, timeoutMs: TPM_MS_MAX }),
    onFailure: (error) => complain(`portcullis: ${String(error)}`),
  });
  session.tell({ listening: socket, tpm }, [`The agent listens at ${socket}, for ${tpm}`]);
  await end;
}

export function register(program: Command): void {
  defineVerb<Options>(program, {
    name: "agent",
    summary: "own the TPM, and let runs share its quotes",
    examples: ["portcullis agent", "portcullis agent --tpm device:/dev/tpmrm0"],
    notes: [
      "`run` and `check` of this home ask it where it runs, and else the TPM themselves. Requests that arrive while " +
        "the TPM quotes share the next quote. SIGTERM ends it once what is under way has been answered.",
      "JSON: {listening, tpm}, once it listens",
    ],
    setup: (command) =>
      command.option("--tpm <address>", "device:/dev/tpmrm0, swtpm:path=..., tabrmd, tcti:..."),
    run: serve,
  });
}
