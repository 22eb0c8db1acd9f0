/** In the bundle this stands for what zod makes JSON Schema with (`[alias]` in wrangler.toml). Another library makes the document. */
export function toJSONSchema(): never {
  throw new Error("zod makes no JSON Schema here");
}
