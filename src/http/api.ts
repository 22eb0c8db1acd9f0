/** Makes an API: its environment's type, and one error for every validation failure. */
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Api, AppEnv } from "./context.ts";
import { invalidRequest } from "./validation.ts";

/** An app that answers every validation failure with `invalid_request`, in the one envelope. */
export function createApi(): Api {
  return new OpenAPIHono<AppEnv>({
    defaultHook: (result) => {
      if (!result.success) throw invalidRequest(result.error.issues);
    },
  });
}
