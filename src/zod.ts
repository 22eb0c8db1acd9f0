/**
 * What the bundle takes for "zod" (`[alias]` in wrangler.toml). `@hono/zod-openapi` imports the namespace `z`
 * as a value, to add a method to `z.ZodType`; given the whole of it, the bundler could drop nothing, least of
 * all the messages in fifty languages, which are half of the Worker's size.
 */
import { ZodType } from "zod/v4";

export * from "zod/v4";
export const z = { ZodType };
