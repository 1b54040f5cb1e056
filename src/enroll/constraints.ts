/**
 * Name constraints (RFC 5280 §4.2.1.10). Vendors constrain directory names, if any: these are
 * judged. A certificate that bears a name of another constrained form is refused.
 */
import "./reflect.ts";
import * as x509 from "@peculiar/x509";
import { comparableRdns, type UnverifiedCertificate } from "./certificate.ts";
import { type Element, readElements, readSequence } from "./der.ts";

const SUBJECT_ALTERNATIVE_NAME = "2.5.29.17";
const NAME_CONSTRAINTS = "2.5.29.30";
const PERMITTED = 0xa0;
const EXCLUDED = 0xa1;
/** GeneralName: directoryName [4], explicit as every CHOICE (RFC 5280 §4.2.1.6). */
const DIRECTORY_NAME = 0xa4;

/** A directory name as it is compared; null for a name of another form. */
interface GeneralName {
  readonly form: number;
  readonly rdns: readonly string[] | null;
}

function generalName({ tag, content }: Element): GeneralName {
  if (tag !== DIRECTORY_NAME) return { form: tag, rdns: null };
  return { form: tag, rdns: comparableRdns(new x509.Name(content.slice())) };
}

/** @throws where the bytes are no SEQUENCE of elements, or a name does not parse. */
function sequenceOf(bytes: Uint8Array): Element[] {
  const outer = readSequence(bytes);
  const elements = outer && outer[1].length === 0 ? readElements(outer[0].content) : null;
  if (!elements) throw new TypeError("no SEQUENCE");
  return elements;
}

function namesOf({ x509: certificate }: UnverifiedCertificate): GeneralName[] {
  const subject = comparableRdns(certificate.subjectName);
  const own = subject.length > 0 ? [{ form: DIRECTORY_NAME, rdns: subject }] : [];
  const extension = certificate.getExtension(SUBJECT_ALTERNATIVE_NAME);
  if (!extension) return own;
  return [...own, ...sequenceOf(new Uint8Array(extension.value)).map(generalName)];
}

/** The bases of one GeneralSubtrees; `minimum` and `maximum` must be absent, as in all of RFC 5280. */
function subtrees(content: Uint8Array): GeneralName[] {
  const list = readElements(content);
  if (!list || list.length === 0) throw new TypeError("no GeneralSubtrees");
  return list.map(({ whole }) => {
    const [base, ...rest] = sequenceOf(whole);
    if (!base || rest.length > 0) throw new TypeError("minimum or maximum");
    return generalName(base);
  });
}

const within = (name: readonly string[], base: readonly string[]): boolean =>
  base.every((rdn, i) => name[i] === rdn);

function violates(name: GeneralName, permitted: GeneralName[], excluded: GeneralName[]): boolean {
  const alike = (one: GeneralName): boolean => one.form === name.form;
  const { rdns } = name;
  if (rdns === null) return permitted.some(alike) || excluded.some(alike);
  const holds = (base: GeneralName): boolean => base.rdns !== null && within(rdns, base.rdns);
  const allowed = permitted.filter(alike);
  return excluded.some(holds) || (allowed.length > 0 && !allowed.some(holds));
}

/**
 * Whether the names of the certificates below `issuer` stay within its constraints; what does not
 * parse does not. `below` leaves out CAs' certificates for themselves (§6.1.3).
 */
export function namesAllowed(
  issuer: UnverifiedCertificate,
  below: readonly UnverifiedCertificate[],
): boolean {
  const extension = issuer.x509.getExtension(NAME_CONSTRAINTS);
  if (!extension) return true;
  try {
    const parts = sequenceOf(new Uint8Array(extension.value));
    const bases = (tag: number): GeneralName[] =>
      parts.filter((part) => part.tag === tag).flatMap(({ content }) => subtrees(content));
    const known = parts.every(({ tag }) => tag === PERMITTED || tag === EXCLUDED);
    if (!known || parts.length === 0) return false;
    const [permitted, excluded] = [bases(PERMITTED), bases(EXCLUDED)];
    return below.every((one) => !namesOf(one).some((name) => violates(name, permitted, excluded)));
  } catch {
    return false; // constraints that cannot be read allow nothing
  }
}
