/** How an API is made: its environment's type, and one answer for every validation failure. */
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Api, AppEnv } from "./context.ts";
import { invalidRequest } from "./validation.ts";

/** An app whose every validation failure is the envelope's `invalid_request`. */
export function createApi(): Api {
  return new OpenAPIHono<AppEnv>({
    defaultHook: (result) => {
      if (!result.success) throw invalidRequest(result.error.issues);
    },
  });
}
