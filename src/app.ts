/**
 * The HTTP side, put together: what surrounds every request, the routes, and what becomes of an error. The
 * order of the middleware is the order in which a request has to prove itself.
 */
import { HTTPException } from "hono/http-exception";
import type { Config } from "./config.ts";
import { StoredDataUnreadable } from "./domain/stored.ts";
import { ApiError, errorBody, errorHeaders, errorStatus } from "./errors.ts";
import { createApi } from "./http/api.ts";
import { authenticate, authenticateAdmin, nameTenant } from "./http/authenticate.ts";
import type { Api, AppContext } from "./http/context.ts";
import { cors } from "./http/cors.ts";
import { observe } from "./http/observe.ts";
import { BindingUnavailable, describe, type Invocation, newId } from "./platform/invocation.ts";
import { logUnreadable } from "./platform/unreadable.ts";
import { createClientToken } from "./routes/account/create-client-token.ts";
import { getLedger } from "./routes/account/get-ledger.ts";
import { getUsage } from "./routes/account/get-usage.ts";
import { listModels, openAiListModels } from "./routes/account/list-models.ts";
import { ownKeys } from "./routes/account/own-keys.ts";
import { quote } from "./routes/account/quote.ts";
import { adminWebhooks } from "./routes/admin/admin-deliveries.ts";
import { adminOverview } from "./routes/admin/admin-overview.ts";
import { adminTasks } from "./routes/admin/admin-tasks.ts";
import { adminTenants } from "./routes/admin/admin-tenants.ts";
import { adminMoney } from "./routes/admin/tenant-credits.ts";
import { adminKeys } from "./routes/admin/tenant-keys.ts";
import { createFile } from "./routes/files/create-file.ts";
import { deleteFileRoute } from "./routes/files/delete-file.ts";
import { getFile } from "./routes/files/get-file.ts";
import { drainRefused } from "./routes/files/upload.ts";
import { getImage } from "./routes/images/get-image.ts";
import { healthz, readyz } from "./routes/meta/health.ts";
import { openApiDocument } from "./routes/meta/openapi.ts";
import { web } from "./routes/meta/pages.ts";
import { openAiCreateImage } from "./routes/openai/openai-create-image.ts";
import { openAiEditImage } from "./routes/openai/openai-edit-image.ts";
import { cancelTaskRoute } from "./routes/tasks/cancel-task.ts";
import { createImage } from "./routes/tasks/create-image.ts";
import { deleteEndUserRoute } from "./routes/tasks/delete-end-user.ts";
import { deleteTaskRoute } from "./routes/tasks/delete-task.ts";
import { getTask } from "./routes/tasks/get-task.ts";
import { listTasks } from "./routes/tasks/list-tasks.ts";
import { taskEvents } from "./routes/tasks/task-events.ts";
import { ownWebhook } from "./routes/webhooks/own-webhook.ts";

export type { Api } from "./http/context.ts";

/** The gateway's HTTP API. Make it once per isolate; `invocationFor` is called for each request. */
export function createApp(config: Config, invocationFor: (ctx: ExecutionContext) => Invocation): Api {
  const api = createApi();
  api.use(observe(invocationFor));
  for (const path of ["/v1/*", "/openai/v1/*", "/images/*"]) api.use(path, cors);
  for (const path of ["/v1/files", "/openai/v1/images/edits"]) api.use(path, drainRefused);
  for (const path of ["/v1/*", "/openai/v1/*"]) api.use(path, authenticate);
  api.use("/admin/api/*", authenticateAdmin);
  api.use("/admin/api/tenants/:id/*", nameTenant);

  healthz(api);
  readyz(api);
  createImage(api, config);
  getTask(api);
  taskEvents(api);
  listTasks(api);
  cancelTaskRoute(api);
  deleteTaskRoute(api);
  deleteEndUserRoute(api);
  getImage(api);
  createFile(api);
  deleteFileRoute(api);
  getFile(api);
  listModels(api, config);
  quote(api, config);
  createClientToken(api);
  getUsage(api);
  getLedger(api);
  openAiListModels(api, config);
  openAiCreateImage(api, config);
  openAiEditImage(api, config);
  ownKeys(api);
  ownWebhook(api, config);
  adminTenants(api, config);
  adminKeys(api);
  adminMoney(api);
  adminTasks(api);
  adminWebhooks(api);
  adminOverview(api);
  openApiDocument(api);
  web(api);

  refuseOtherMethods(api);
  // Thrown, it would pass by the middleware around it.
  api.notFound((c) => replyToError(new ApiError("not_found", "There is no such route."), c));
  api.onError(replyToError);
  return api;
}

/** Serves `/healthz` only: everything else says which values are missing or malformed. */
export function createMisconfiguredApp(variables: string[], log: Invocation["log"]): Pick<Api, "fetch"> {
  const api = createApi();
  api.use(async (c, next) => {
    const request = newId("request", 0);
    c.set("requestId", request);
    await next();
    c.header("x-request-id", request);
    log({ event: "request", request, method: c.req.method, status: c.res.status, code: c.get("errorCode") });
  });
  healthz(api);
  const message = `Missing or malformed configuration: ${variables.join(", ")}.`;
  api.all("*", (c) => replyToError(new ApiError("misconfigured", message), c));
  return api;
}

/** Behind all routes: a path that has some, but not for this method. */
function refuseOtherMethods(api: Api): void {
  const routes = api.routes.filter((route) => route.method !== "ALL");
  for (const [path, group] of Map.groupBy(routes, (route) => route.path)) {
    const methods = new Set(group.map((route) => route.method));
    if (methods.has("GET")) methods.add("HEAD");
    const allow = [...methods].join(", ");
    api.all(path, () => {
      throw new ApiError("method_not_allowed", `This route takes ${allow}.`, { headers: { allow } });
    });
  }
}

function replyToError(thrown: Error, c: AppContext): Response {
  const error = knownError(thrown);
  if (thrown instanceof StoredDataUnreadable) logUnreadable(c.get("invocation"), thrown);
  if (error.code === "internal_error" || error.code === "unavailable") {
    c.get("invocation").log({
      event: "request_failed",
      level: "error",
      request: c.get("requestId"),
      problem: describe(thrown),
    });
  }
  c.set("errorCode", error.code);
  return c.json(errorBody(error, c.get("requestId")), errorStatus(error.code), errorHeaders(error));
}

function knownError(thrown: Error): ApiError {
  if (thrown instanceof ApiError) return thrown;
  if (thrown instanceof BindingUnavailable) {
    return new ApiError(
      "unavailable",
      "The gateway cannot answer right now. Nothing was charged; try again.",
      {
        headers: { "retry-after": "1" },
      },
    );
  }
  if (thrown instanceof HTTPException && thrown.status === 400) {
    return new ApiError("invalid_request", "The request is malformed.");
  }
  return new ApiError("internal_error", "Something went wrong inside the gateway.");
}
