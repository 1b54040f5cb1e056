/**
 * YAML that people write, read strictly: one document, no aliases, no key twice, no key unknown.
 * Every scalar is text as it was written (YAML 1.2.2 §10.1, the failsafe schema), and where it
 * stands gives its type, so that an argument 2030-03 or `no`, or a digest of digits only, means
 * what is written. Every refusal names the place: `grant.yaml: uses: ...`.
 */
import { isNode, isScalar, LineCounter, parseDocument, visit } from "yaml";
import { UsageError } from "./error.ts";
import { parseCount, parseHex, parseSpan, parseTime } from "./values.ts";

/** A value and its place in the document. */
export class Field {
  readonly value: unknown;
  /** The document's name, and the place in it; that is empty for the whole. */
  readonly at: string;
  readonly #path: string;
  readonly #document: string;

  constructor(value: unknown, document: string, path = "") {
    this.value = value;
    this.#document = document;
    this.#path = path;
    this.at = path === "" ? document : `${document}: ${path}`;
  }

  /** A value within this one. */
  inner(value: unknown, step: string): Field {
    const path =
      this.#path === "" || step.startsWith("[") ? this.#path + step : `${this.#path}.${step}`;
    return new Field(value, this.#document, path);
  }

  refuse(why: string): never {
    throw new UsageError(`${this.at}: ${why}`);
  }

  get isMap(): boolean {
    return this.value instanceof Map;
  }

  get isList(): boolean {
    return Array.isArray(this.value);
  }

  /** A map's members, whose names are not known beforehand. */
  members(): (readonly [string, Field])[] {
    if (!(this.value instanceof Map)) this.refuse("expected a map (name: value)");
    return [...this.value].map(([name, value]: [unknown, unknown]) => {
      if (typeof name !== "string") this.refuse("a name is no text");
      return [name, this.inner(value, name)] as const;
    });
  }

  /** A map with some of these names and no other. */
  record<N extends string>(names: readonly N[]): { readonly [name in N]?: Field } {
    const found: { [name in N]?: Field } = {};
    for (const [name, field] of this.members()) {
      const known = names.find((one) => one === name);
      if (known === undefined) this.refuse(`unknown "${name}"; known are ${names.join(", ")}`);
      found[known] = field;
    }
    return found;
  }

  items(): Field[] {
    if (!Array.isArray(this.value)) this.refuse("expected a list");
    return this.value.map((item: unknown, i) => this.inner(item, `[${i}]`));
  }

  text(): string {
    if (typeof this.value === "string") return this.value;
    return this.refuse(
      `expected text${typeof this.value === "number" ? ": quote the number" : ""}`,
    );
  }

  /**
   * Text, or `{hex: ...}` for bytes that are not UTF-8; without NUL, which no argument can hold.
   */
  bytes(): Uint8Array {
    const bytes = this.isMap ? this.#hex() : new Uint8Array(Buffer.from(this.text(), "utf8"));
    if (bytes.includes(0)) this.refuse("holds a NUL byte");
    return bytes;
  }

  #hex(): Uint8Array {
    const { hex } = this.record(["hex"]);
    const text = (hex ?? this.refuse("expected text, or {hex: ...}")).text();
    return parseHex(text, text.length / 2, `${this.at}.hex`);
  }

  /** One of these words. */
  word<const W extends string>(words: readonly W[]): W {
    const text = this.text();
    return words.find((word) => word === text) ?? this.refuse(`expected ${words.join(" or ")}`);
  }

  count(min: number, max: number): number {
    return parseCount(this.text(), min, max, this.at);
  }

  span(): number {
    return parseSpan(this.text(), this.at);
  }

  time(): number {
    return parseTime(this.text(), this.at);
  }

  hexBytes(bytes: number): Uint8Array {
    return parseHex(this.text(), bytes, this.at);
  }
}

/** Reads one YAML document. Throws UsageError with the line and column of what is wrong. */
export function parseYaml(bytes: Uint8Array, name: string): Field {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new UsageError(`${name} is no UTF-8 text.`, { cause });
  }
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    schema: "failsafe",
    // Looked for below: the parser compares each key with each, and an allowlist has thousands.
    uniqueKeys: false,
  });
  const refuse = (offset: number, message: string, cause?: Error): never => {
    const { line, col } = lines.linePos(offset);
    throw new UsageError(`${name}, line ${line}, column ${col}: ${message}`, { cause });
  };
  const [error] = [...document.errors, ...document.warnings];
  if (error !== undefined) refuse(error.pos[0], error.message, error);
  visit(document, {
    Map: (_, { items }) => {
      const seen = new Set<unknown>();
      for (const { key } of items) {
        const text = isScalar(key) ? key.value : key;
        if (seen.has(text))
          refuse(isNode(key) ? (key.range?.[0] ?? 0) : 0, "Map keys must be unique");
        seen.add(text);
      }
    },
  });
  try {
    return new Field(document.toJS({ mapAsMap: true, maxAliasCount: 0 }), name);
  } catch (cause) {
    throw new UsageError(`${name}: aliases (*name) are not supported.`, { cause });
  }
}
