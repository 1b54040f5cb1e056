/** The EK: made by a template of the TCG, and the one that its certificate speaks of. */
import { equalBytes } from "../tpm/structures/bytes.ts";
import { TPM_ALG } from "../tpm/structures/constants.ts";
import { parsePublic, type TPMT_PUBLIC, toKeyObject } from "../tpm/structures/public.ts";
import { ekProblem } from "../tpm/structures/templates.ts";
import type { UnverifiedCertificate } from "./certificate.ts";
import { splitSpki } from "./der.ts";
import { EnrollError } from "./errors.ts";

const oid = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));
/**
 * rsaEncryption, and id-RSAES-OAEP, which STMicroelectronics writes: the key inside is the same
 * (RFC 4055 §4.1).
 */
const RSA_ALGORITHMS = [oid("2a864886f70d010101"), oid("2a864886f70d010107")];
const EC_ALGORITHMS = [oid("2a8648ce3d0201")];

/**
 * Parses the EK's public area and requires what makes it an endorsement key, whoever's template it
 * was made by. That the area is the certified key's own is proven later: the AK's qualified name
 * holds the Name of the EK that the TPM really has.
 * @throws EnrollError `enroll.ek`
 */
export function parseEk(publicArea: Uint8Array): TPMT_PUBLIC {
  let key: TPMT_PUBLIC;
  try {
    key = parsePublic(publicArea);
    toKeyObject(key);
  } catch (cause) {
    throw new EnrollError("enroll.ek", "The EK's public area does not parse.", { cause });
  }
  const problem = ekProblem(key);
  if (problem) throw new EnrollError("enroll.ek", `The key is no endorsement key: ${problem}.`);
  return key;
}

/**
 * Throws unless the certificate is that of this key.
 * @throws EnrollError `enroll.certificate-key`
 */
export function requireCertificateOf(certificate: UnverifiedCertificate, ek: TPMT_PUBLIC): void {
  const certified = splitSpki(new Uint8Array(certificate.x509.publicKey.rawData));
  const own = splitSpki(new Uint8Array(toKeyObject(ek).export({ type: "spki", format: "der" })));
  const algorithms = ek.type === TPM_ALG.RSA ? RSA_ALGORITHMS : EC_ALGORITHMS;
  const named = certified && algorithms.some((one) => equalBytes(one, certified.algorithm));
  if (!certified || !own || !named || !equalBytes(certified.key, own.key)) {
    throw new EnrollError(
      "enroll.certificate-key",
      "The EK certificate is for another key than this EK.",
    );
  }
}
