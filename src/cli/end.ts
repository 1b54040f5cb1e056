/** The first signal asks for an orderly end; a second one is the kernel's again. */
export function asked(): Promise<void> {
  return new Promise((done) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => done());
  });
}
