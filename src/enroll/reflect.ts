/**
 * @peculiar/x509 builds its objects with a container that asks Reflect for decorator metadata and
 *   refuses to load without. None of its classes has any, so "none" is the whole answer. A real
 *   polyfill, loaded before, stays in place. Imported before the library, for its effect.
 */
const none = (): undefined => undefined;

for (const name of ["getMetadata", "getOwnMetadata"]) {
  if (!(name in Reflect))
    Object.defineProperty(Reflect, name, { value: none, writable: true, configurable: true });
}
