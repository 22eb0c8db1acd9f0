/**
 * Puts the HTTP side together: middleware, routes, and the error of a path or method that is not there. The order of
 * the middleware is the order in which a request has to prove itself.
 */
import type { Config } from "./config.ts";
import { ApiError } from "./errors.ts";
import { createApi } from "./http/api.ts";
import { authenticate, authenticateAdmin, nameTenant } from "./http/authenticate.ts";
import type { Api } from "./http/context.ts";
import { cors } from "./http/cors.ts";
import { replyToError } from "./http/error-reply.ts";
import { knownQuery } from "./http/known-query.ts";
import { observe } from "./http/observe.ts";
import { type Invocation, newId } from "./platform/invocation.ts";
import { createClientToken } from "./routes/account/create-client-token.ts";
import { createOwnKey } from "./routes/account/create-own-key.ts";
import { getLedger } from "./routes/account/get-ledger.ts";
import { getUsage } from "./routes/account/get-usage.ts";
import { listModels } from "./routes/account/list-models.ts";
import { listOwnKeys } from "./routes/account/list-own-keys.ts";
import { quote } from "./routes/account/quote.ts";
import { revokeOwnKey } from "./routes/account/revoke-own-key.ts";
import { rotateOwnKey } from "./routes/account/rotate-own-key.ts";
import { changeTenantRoute } from "./routes/admin/change-tenant.ts";
import { createKeyRoute } from "./routes/admin/create-key.ts";
import { createTenantRoute } from "./routes/admin/create-tenant.ts";
import { deleteTenant } from "./routes/admin/delete-tenant.ts";
import { failTaskRoute } from "./routes/admin/fail-task.ts";
import { getAllUsage } from "./routes/admin/get-all-usage.ts";
import { getAnyTask } from "./routes/admin/get-any-task.ts";
import { getAudit } from "./routes/admin/get-audit.ts";
import { getOverview } from "./routes/admin/get-overview.ts";
import { getTenant } from "./routes/admin/get-tenant.ts";
import { getTenantLedger } from "./routes/admin/get-tenant-ledger.ts";
import { giveCreditsRoute } from "./routes/admin/give-credits.ts";
import { listAllTasks } from "./routes/admin/list-all-tasks.ts";
import { listDeliveriesRoute } from "./routes/admin/list-deliveries.ts";
import { listKeysRoute } from "./routes/admin/list-keys.ts";
import { listTenantsRoute } from "./routes/admin/list-tenants.ts";
import { refreshTaskRoute } from "./routes/admin/refresh-task.ts";
import { restoreArchiveRoute } from "./routes/admin/restore-archive.ts";
import { retryDelivery } from "./routes/admin/retry-delivery.ts";
import { revokeKey } from "./routes/admin/revoke-key.ts";
import { rotateKeyRoute } from "./routes/admin/rotate-key.ts";
import { runAudit } from "./routes/admin/run-audit.ts";
import { runFullAudit } from "./routes/admin/run-full-audit.ts";
import { createFile } from "./routes/files/create-file.ts";
import { deleteFileRoute } from "./routes/files/delete-file.ts";
import { getFile } from "./routes/files/get-file.ts";
import { drainRefused } from "./routes/files/upload.ts";
import { getImage } from "./routes/images/get-image.ts";
import { healthz } from "./routes/meta/healthz.ts";
import { migrated } from "./routes/meta/migrated.ts";
import { openApiDocument } from "./routes/meta/openapi.ts";
import { web } from "./routes/meta/pages.ts";
import { readyz } from "./routes/meta/readyz.ts";
import { openAiCreateImage } from "./routes/openai/openai-create-image.ts";
import { openAiEditImage } from "./routes/openai/openai-edit-image.ts";
import { openAiListModels } from "./routes/openai/openai-list-models.ts";
import { cancelTaskRoute } from "./routes/tasks/cancel-task.ts";
import { createImage } from "./routes/tasks/create-image.ts";
import { deleteEndUserRoute } from "./routes/tasks/delete-end-user.ts";
import { deleteTaskRoute } from "./routes/tasks/delete-task.ts";
import { getTask } from "./routes/tasks/get-task.ts";
import { listTasks } from "./routes/tasks/list-tasks.ts";
import { taskEvents } from "./routes/tasks/task-events.ts";
import { changeOwnWebhookRoute } from "./routes/webhooks/change-own-webhook.ts";
import { getOwnWebhook } from "./routes/webhooks/get-own-webhook.ts";
import { listOwnDeliveries } from "./routes/webhooks/list-own-deliveries.ts";
import { removeOwnWebhook } from "./routes/webhooks/remove-own-webhook.ts";
import { retryOwnDelivery } from "./routes/webhooks/retry-own-delivery.ts";
import { rotateOwnWebhook } from "./routes/webhooks/rotate-own-webhook.ts";
import { setOwnWebhook } from "./routes/webhooks/set-own-webhook.ts";

export type { Api } from "./http/context.ts";

/** Every operation has a file, called like its `operationId`. The document lists them in this order. */
const operations: readonly ((api: Api, config: Config) => void)[] = [
  ...[healthz, readyz],
  ...[createImage, getTask, taskEvents, listTasks, cancelTaskRoute, deleteTaskRoute, deleteEndUserRoute],
  ...[getImage, createFile, deleteFileRoute, getFile],
  ...[listModels, quote, createClientToken, getUsage, getLedger],
  ...[openAiListModels, openAiCreateImage, openAiEditImage],
  ...[createOwnKey, listOwnKeys, rotateOwnKey, revokeOwnKey],
  ...[getOwnWebhook, setOwnWebhook, changeOwnWebhookRoute, removeOwnWebhook, rotateOwnWebhook],
  ...[listOwnDeliveries, retryOwnDelivery],
  ...[createTenantRoute, listTenantsRoute, getTenant, changeTenantRoute, deleteTenant],
  ...[createKeyRoute, listKeysRoute, rotateKeyRoute, revokeKey],
  ...[giveCreditsRoute, getTenantLedger, getAllUsage],
  ...[listAllTasks, getAnyTask, refreshTaskRoute, failTaskRoute, restoreArchiveRoute],
  ...[listDeliveriesRoute, retryDelivery, getOverview, getAudit, runAudit, runFullAudit],
  ...[openApiDocument, web],
];

/** The gateway's HTTP API, made once per isolate. @param invocationFor Is called for each request. */
export function createApp(config: Config, invocationFor: (ctx: ExecutionContext) => Invocation): Api {
  const api = createApi();
  api.use(observe(invocationFor));
  for (const path of ["/v1/*", "/openai/v1/*", "/images/*"]) api.use(path, cors);
  for (const path of ["/v1/files", "/openai/v1/images/edits"]) api.use(path, drainRefused);
  for (const path of ["/v1/*", "/openai/v1/*"]) api.use(path, authenticate, migrated);
  api.use("/admin/api/*", authenticateAdmin, migrated);
  api.use("/admin/api/tenants/:id/*", nameTenant);
  const known = knownQuery(api);
  for (const path of ["/v1/*", "/admin/api/*", "/readyz", "/openapi.json"]) api.use(path, known);

  for (const addTo of operations) addTo(api, config);
  refuseOtherMethods(api);
  // An error that is thrown here would pass by the middleware around it.
  api.notFound((c) => replyToError(new ApiError("not_found", "There is no such route."), c));
  api.onError(replyToError);
  return api;
}

/** Serves `/healthz` alone. Every other path answers with the names of the values that are missing or malformed. */
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

/** Answers 405 on a path that has routes, but none for this method. It stands behind all routes. */
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
