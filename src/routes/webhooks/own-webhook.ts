/** `/v1/webhook`: a tenant's webhook and its delivery log, by the tenant's own key of scope `manage`. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import type { Config } from "../../config.ts";
import { findTenant, type Tenant, type WebhookChange } from "../../d1/tenants/tenants.ts";
import { listDeliveries } from "../../d1/webhooks/delivery-log.ts";
import { ApiError } from "../../errors.ts";
import {
  changeTenant,
  newSecret,
  newWebhookSecret,
  secretOverlapMs,
  webhookChange,
} from "../../flows/tenants/tenants.ts";
import { retryNow } from "../../flows/webhooks/retry-delivery.ts";
import type { Api, AppContext } from "../../http/context.ts";
import { toPage } from "../../http/paging.ts";
import { bodyErrors, errorReplies, json, keyErrors, listReply } from "../../http/replies.ts";
import { invalidRequest, jsonBody } from "../../http/validation.ts";
import { manager } from "../account/own-keys.ts";
import {
  afterAllDeliveries,
  changedWebhook,
  deliveryQuery,
  deliveryReply,
  givenWebhook,
  viewDelivery,
  viewWebhook,
  wantedWebhook,
  webhookReply,
} from "./webhook-fields.ts";

const shared = { tags: ["Webhooks"], security: [{ key: [] }] };
const path = "/v1/webhook";
const secretHeaders = { "cache-control": "no-store" };

const read = createRoute({
  ...shared,
  method: "get",
  path,
  operationId: "get-own-webhook",
  summary: "Read the tenant's webhook",
  responses: { 200: json(webhookReply, "The webhook."), ...errorReplies(...keyErrors) },
});

const set = (config: Config) =>
  createRoute({
    ...shared,
    method: "put",
    path,
    operationId: "set-own-webhook",
    summary: "Set the tenant's webhook",
    description: "One that answered 410 works again from then on. `events` that are left out are all.",
    middleware: [jsonBody] as const,
    request: { body: { required: true, ...json(givenWebhook(config), "The webhook.") } },
    responses: { 200: json(webhookReply, "Set."), ...errorReplies(...keyErrors, ...bodyErrors) },
  });

const patch = (config: Config) =>
  createRoute({
    ...shared,
    method: "patch",
    path,
    operationId: "change-own-webhook",
    summary: "Change the tenant's webhook",
    description: "What is left out stays as it is.",
    middleware: [jsonBody] as const,
    request: { body: { required: true, ...json(changedWebhook(config), "What to change.") } },
    responses: { 200: json(webhookReply, "Changed."), ...errorReplies(...keyErrors, ...bodyErrors) },
  });

const remove = createRoute({
  ...shared,
  method: "delete",
  path,
  operationId: "remove-own-webhook",
  summary: "Remove the tenant's webhook",
  description: "What was still to be told to it is dropped. Callbacks of tasks go on.",
  responses: { 204: { description: "Removed." }, ...errorReplies(...keyErrors) },
});

const rotate = createRoute({
  ...shared,
  method: "post",
  path: `${path}/rotate`,
  operationId: "rotate-own-webhook",
  summary: "Replace the secret that signs webhooks and callbacks",
  middleware: [jsonBody] as const,
  request: {
    body: {
      required: true,
      ...json(
        z
          .strictObject({
            overlap_seconds: z
              .int()
              .min(0)
              .max(30 * 86_400)
              .default(secretOverlapMs / 1000)
              .meta({ description: "So long both sign." }),
          })
          .meta({ examples: [{ overlap_seconds: 86_400 }] }),
        "The overlap.",
      ),
    },
  },
  responses: { 200: json(webhookReply, "The new secret."), ...errorReplies(...keyErrors, ...bodyErrors) },
});

const list = createRoute({
  ...shared,
  method: "get",
  path: `${path}/deliveries`,
  operationId: "list-own-deliveries",
  summary: "List what was, or is to be, told to the webhook and to callbacks, newest first",
  description: "Goes back for thirty days.",
  request: { query: deliveryQuery },
  responses: {
    200: json(listReply(deliveryReply), "A page of deliveries."),
    ...errorReplies(...keyErrors, "invalid_request"),
  },
});

const retry = createRoute({
  ...shared,
  method: "post",
  path: `${path}/deliveries/{id}/retry`,
  operationId: "retry-own-delivery",
  summary: "Try a delivery again now",
  request: { params: z.object({ id: z.string() }) },
  responses: {
    202: json(deliveryReply, "It is attempted at once."),
    ...errorReplies(...keyErrors, "not_found"),
  },
});

/** Lets a key of scope `manage` in; gives its tenant. */
async function manage(c: AppContext) {
  const { tenantId, by } = await manager(c);
  const tenant = await findTenant(c.get("invocation").db, tenantId);
  if (!tenant) throw new ApiError("invalid_key", "The key is not valid.");
  return { tenant, by };
}

async function change(c: AppContext, make: (tenant: Tenant) => WebhookChange) {
  const { tenant, by } = await manage(c);
  const webhook = make(tenant);
  const result = await changeTenant(c.get("invocation"), by, tenant.id, { webhook });
  if (result.kind !== "changed") throw new ApiError("invalid_key", "The key is not valid.");
  return viewWebhook(result.tenant.webhook, webhook.secret?.text);
}

export function ownWebhook(api: Api, config: Config): void {
  api.openapi(read, async (c) => c.json(viewWebhook((await manage(c)).tenant.webhook), 200));

  api.openapi(set(config), async (c) => {
    const body = c.req.valid("json");
    const make = (tenant: Tenant) =>
      webhookChange(c.get("invocation"), tenant, wantedWebhook(c, config, body, ["url"]));
    return c.json(await change(c, make), 200, secretHeaders);
  });

  api.openapi(patch(config), async (c) => {
    const body = c.req.valid("json");
    const make = (tenant: Tenant) => {
      const url = body.url ?? tenant.webhook.url;
      if (url === null) throw invalidRequest([{ path: ["url"], message: "is required: no webhook is set" }]);
      const events = body.events ?? tenant.webhook.events ?? undefined;
      return webhookChange(
        c.get("invocation"),
        tenant,
        wantedWebhook(c, config, { ...body, url, events }, ["url"]),
      );
    };
    return c.json(await change(c, make), 200, secretHeaders);
  });

  api.openapi(remove, async (c) => {
    await change(c, () => ({ url: null, events: null }));
    return c.body(null, 204);
  });

  api.openapi(rotate, async (c) => {
    const invocation = c.get("invocation");
    const overlapMs = c.req.valid("json").overlap_seconds * 1000;
    const make = () => ({ secret: newSecret(invocation, newWebhookSecret(invocation), overlapMs) });
    return c.json(await change(c, make), 200, secretHeaders);
  });

  api.openapi(list, async (c) => {
    const { tenantId } = await manager(c);
    const { cursor, limit, ...filter } = c.req.valid("query");
    const { db } = c.get("invocation");
    const asked = { ...filter, tenant: tenantId };
    const found = await listDeliveries(db, asked, cursor || afterAllDeliveries, limit + 1);
    return c.json(toPage(found, limit, viewDelivery), 200);
  });

  api.openapi(retry, async (c) => {
    const { tenantId, by } = await manager(c);
    const delivery = await retryNow(c.get("invocation"), by, tenantId, c.req.valid("param").id);
    if (!delivery) throw new ApiError("not_found", "There is no such delivery.");
    return c.json(viewDelivery(delivery), 202);
  });
}
