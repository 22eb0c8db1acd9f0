/**
 * In the bundle this stands for what zod makes JSON Schema with (`[alias]` in wrangler.toml), since another library makes the
 * document. Schemas' bounds are read by the one function of it that is left.
 */
// The package exports no path to it.
export { aggregateChecks } from "../node_modules/zod/v4/core/json-schema-processors.js";

export function toJSONSchema(): never {
  throw new Error("zod makes no JSON Schema here");
}

/** What each schema would make its own with. */
export const createToJSONSchemaMethod = () => toJSONSchema;
export const createStandardJSONSchemaMethod = createToJSONSchemaMethod;
