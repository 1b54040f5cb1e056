/**
 * The root of every error that this project throws on purpose. `code` is stable and meant for
 * programs, `message` is one sentence for people, `cause` is what lay beneath. An error that is not
 * a PortcullisError is a bug.
 */
export class PortcullisError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}
