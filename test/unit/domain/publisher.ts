/**
 * Revokes grants 0, 1, 2, ... one after another, and prints each index once its revocation is
 * durable.
 */
import { revoke } from "../../../src/domain/publication.ts";
import { signersFrom } from "../../../src/domain/signers.ts";

const [path = "", from = "0", to = "0", nowSeconds = "0", ...keys] = process.argv.slice(2);
const publication = { signers: await signersFrom(keys), nowSeconds: Number(nowSeconds) };
for (let index = Number(from); index < Number(to); index++) {
  await revoke(path, publication, [{ kind: "grants", index }]);
  process.stdout.write(`${index}\n`);
}
