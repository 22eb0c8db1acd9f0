/** What the middleware hands to every handler. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Caller } from "../domain/access.ts";
import type { Invocation } from "../platform/invocation.ts";

export interface AppEnv {
  Bindings: Env;
  Variables: {
    invocation: Invocation;
    requestId: string;
    /** Set behind `authenticate`. */
    caller: Caller;
    /** The body as it came, set behind `jsonBody`. */
    body?: unknown;
    /** Set once a key was found to be this gateway's. */
    authenticated?: boolean;
    /** For the log line: what the request was about. */
    tenantId?: string;
    taskId?: string;
    errorCode?: string;
  };
}

export type AppContext = Context<AppEnv>;
export type Api = OpenAPIHono<AppEnv>;

/** Scheme and host that the request came through. */
export function originOf(c: AppContext): string {
  return new URL(c.req.url).origin;
}
