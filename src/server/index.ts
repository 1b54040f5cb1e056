/** The plane over HTTP. */
export { makeServer, type ServerOptions } from "./app.ts";
