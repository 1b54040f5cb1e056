/** `portcullis`. */
import { perform } from "./command.ts";

process.exitCode = await perform(process.argv.slice(2));
