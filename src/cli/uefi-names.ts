/** GUIDs by which UEFI variables are told apart, and how people write them. */
const GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
const SECURITY_DATABASE = "d719b2cb-3d3a-4596-a3bc-dad00e67656f";
const SHIM_LOCK = "605dab50-e046-4300-abb6-3dd810dd8b23";

/** Variables that have one place: UEFI 2.10 §3.3, §32.6; shim's own. */
const KNOWN: readonly (readonly [RegExp, string])[] = [
  [/^(SecureBoot|SetupMode|AuditMode|DeployedMode|PK|KEK)$/, GLOBAL],
  [/^(BootOrder|BootNext|Boot[0-9A-F]{4}|DriverOrder|Driver[0-9A-F]{4})$/, GLOBAL],
  [/^db[xrt]?$/, SECURITY_DATABASE],
  [/^(Mok[A-Za-z]+|SbatLevel|Shim)$/, SHIM_LOCK],
];

const FORM = /^([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})$/i;

/** The 16 bytes as they lie in memory: the first three fields little-endian. Null where none. */
export function parseGuid(text: string): Uint8Array | null {
  const parts = FORM.exec(text)?.slice(1);
  if (parts === undefined) return null;
  const bytes = parts.map((part, i) => {
    const field = Buffer.from(part, "hex");
    return i < 3 ? field.reverse() : field;
  });
  return new Uint8Array(Buffer.concat(bytes));
}

export function guidText(guid: Uint8Array): string {
  const part = (from: number, to: number, little: boolean): string => {
    const field = Buffer.from(guid.slice(from, to));
    return (little ? field.reverse() : field).toString("hex");
  };
  const [a, b, c] = [part(0, 4, true), part(4, 6, true), part(6, 8, true)];
  return `${a}-${b}-${c}-${part(8, 10, false)}-${part(10, 16, false)}`;
}

/** The GUID of a variable that has only one place; null for others. */
export function guidOf(name: string): Uint8Array | null {
  const known = KNOWN.find(([pattern]) => pattern.test(name));
  return known === undefined ? null : parseGuid(known[1]);
}
