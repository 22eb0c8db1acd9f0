/**
 * What only the OpenAPI document reads of a contract: replies, their headers, and the schemas of their bodies. The build makes
 * the document, and the bundle has none of this: there `DOCUMENTS` is false (`[define]` in wrangler.toml), which leaves the
 * function empty, so that the bundler drops its calls with all that is in them.
 */
declare const DOCUMENTS: boolean;

/** @returns what `make` makes; in the bundle nothing, and no one asks there. */
export function documented<T>(make: () => T): T;
export function documented<T>(make: () => T): T | undefined {
  if (typeof DOCUMENTS !== "boolean" || DOCUMENTS) return make();
  return undefined;
}
