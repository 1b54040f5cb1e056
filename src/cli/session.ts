/** What every verb is given: where the home is, and how to speak. */
import { type Home, homeAt, requireHome, resolveHome } from "./home.ts";
import { type Json, printJson, printLines } from "./print.ts";

/** Options that every verb takes, before or after its name. */
export interface Globals {
  readonly home?: string | undefined;
  readonly json: boolean;
}

export class Session {
  readonly json: boolean;
  readonly #home: string | undefined;

  constructor({ home, json }: Globals) {
    this.#home = home;
    this.json = json;
  }

  /** The home's paths; nothing is looked at. */
  get place(): Home {
    return homeAt(resolveHome(this.#home));
  }

  /** The home, which exists and is private. Throws UsageError or PrivateError. */
  home(): Home {
    return requireHome(this.place);
  }

  /** The result: the documented shape with --json, else lines for people. */
  tell(shape: Json, lines: readonly string[]): void {
    if (this.json) printJson(shape);
    else printLines(lines);
  }
}
