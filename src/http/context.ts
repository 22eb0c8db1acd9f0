/** The context of a request, as the middleware gives it to every handler. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Caller } from "../domain/access.ts";
import type { Task } from "../domain/task.ts";
import type { Invocation } from "../platform/invocation.ts";

export interface AppEnv {
  Bindings: Env;
  Variables: {
    invocation: Invocation;
    requestId: string;
    /** Set by `authenticate`. */
    caller: Caller;
    /** The parsed body before validation, set by `jsonBody`. */
    body?: unknown;
    /** Set once a key has proved to be this gateway's. */
    authenticated?: boolean;
    /** For the log line: the subject of the request. */
    tenantId?: string;
    taskId?: string;
    errorCode?: string;
    /** The task that this request has made or was answered with: what fails from then on is no free refusal. */
    madeTask?: Task;
    /** Set before credits may move: where to look when it is not known whether they have. */
    lookAt?: string;
  };
}

export type AppContext = Context<AppEnv>;
export type Api = OpenAPIHono<AppEnv>;

/** The scheme and host of the request. */
export function originOf(c: AppContext): string {
  return new URL(c.req.url).origin;
}
