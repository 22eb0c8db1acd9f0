/** `/admin/api/tenants`: making, reading and changing tenants. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import type { Config } from "../../config.ts";
import { findTenant, listTenants, type Tenant, type WebhookChange } from "../../d1/tenants/tenants.ts";
import { defaultLimits } from "../../domain/admission.ts";
import { toSeconds } from "../../domain/task.ts";
import { ApiError } from "../../errors.ts";
import { dropTenant } from "../../flows/erasure/erase.ts";
import { changeTenant, createTenant, newWebhookSecret, webhookChange } from "../../flows/tenants/tenants.ts";
import type { Api, AppContext } from "../../http/context.ts";
import { pageQuery, toPage } from "../../http/paging.ts";
import { bodyErrors, errorReplies, json, listReply } from "../../http/replies.ts";
import { jsonBody } from "../../http/validation.ts";
import { type givenWebhook, viewWebhook, wantedWebhook } from "../webhooks/webhook-fields.ts";
import { adminActor, adminErrors } from "./admin-actor.ts";
import { newTenant, tenantChange, tenantReply } from "./tenant-fields.ts";

const shared = { tags: ["Admin: tenants"], security: [{ admin: [] }] };
const path = "/admin/api/tenants";
const params = z.object({ id: z.string() });

const create = (config: Config) =>
  createRoute({
    ...shared,
    method: "post",
    path,
    operationId: "create-tenant",
    summary: "Make a tenant",
    middleware: [jsonBody] as const,
    request: { body: { required: true, ...json(newTenant(config), "The tenant.") } },
    responses: {
      201: json(tenantReply, "Made."),
      ...errorReplies(...adminErrors, ...bodyErrors, "already_exists"),
    },
  });

const list = createRoute({
  ...shared,
  method: "get",
  path,
  operationId: "list-tenants",
  summary: "List tenants, by id",
  request: { query: pageQuery },
  responses: {
    200: json(listReply(tenantReply), "A page of tenants."),
    ...errorReplies(...adminErrors, "invalid_request"),
  },
});

const read = createRoute({
  ...shared,
  method: "get",
  path: `${path}/{id}`,
  operationId: "get-tenant",
  summary: "Read a tenant",
  request: { params },
  responses: {
    200: json(tenantReply, "The tenant."),
    ...errorReplies(...adminErrors, "not_found", "deleted"),
  },
});

const change = (config: Config) =>
  createRoute({
    ...shared,
    method: "patch",
    path: `${path}/{id}`,
    operationId: "change-tenant",
    summary: "Change a tenant",
    description:
      "What is left out stays as it is. A suspended tenant's keys are refused from the next request on.",
    middleware: [jsonBody] as const,
    request: { params, body: { required: true, ...json(tenantChange(config), "What to change.") } },
    responses: {
      200: json(tenantReply, "Changed."),
      ...errorReplies(...adminErrors, ...bodyErrors, "not_found", "balance_held"),
    },
  });

const drop = createRoute({
  ...shared,
  method: "delete",
  path: `${path}/{id}`,
  operationId: "delete-tenant",
  summary: "Delete a tenant",
  description:
    "Its keys stop at once; prompts and images are erased within the next minutes. Its ledger stays, and its id is " +
    "never used again.",
  request: { params },
  responses: {
    202: { description: "It is being erased." },
    ...errorReplies(...adminErrors, "not_found", "tenant_busy"),
  },
});

export function adminTenants(api: Api, config: Config): void {
  api.openapi(create(config), async (c) => {
    const body = c.req.valid("json");
    const invocation = c.get("invocation");
    const webhook = body.webhook ? wantedWebhook(c, config, body.webhook, ["webhook", "url"]) : null;
    const secret = webhook?.secret ?? newWebhookSecret(invocation);
    const tenant: Tenant = {
      id: body.id ?? invocation.newId("tenant"),
      name: body.name,
      status: "active",
      limits: { ...defaultLimits, ...body.limits },
      prices: body.prices ?? {},
      models: body.models ?? null,
      prepaid: body.balance != null,
      openingBalance: body.balance ?? 0,
      lowBalance: body.low_balance ?? null,
      turnstileSecret: body.turnstile_secret ?? null,
      retentionDays: body.retention_days ?? null,
      webhook: { url: webhook?.url ?? null, events: webhook?.events ?? null, isOff: false },
      createdMs: invocation.now(),
      deletedMs: null,
    };
    if (!(await createTenant(invocation, adminActor(c), tenant, secret))) {
      throw new ApiError("already_exists", "There is, or was, a tenant of this id.", { param: "id" });
    }
    return c.json(await view(c, tenant, secret), 201, { "cache-control": "no-store" });
  });

  api.openapi(list, async (c) => {
    const { cursor, limit } = c.req.valid("query");
    const found = await listTenants(c.get("invocation").db, cursor, limit + 1);
    const page = toPage(found, limit, (tenant) => tenant);
    return c.json({ ...page, data: await Promise.all(page.data.map((tenant) => view(c, tenant))) }, 200);
  });

  api.openapi(read, async (c) => {
    const tenant = await findTenant(c.get("invocation").db, c.req.valid("param").id);
    if (!tenant) throw noSuchTenant();
    if (tenant.deletedMs !== null) throw new ApiError("deleted", "This tenant was deleted.");
    return c.json(await view(c, tenant), 200);
  });

  api.openapi(change(config), async (c) => {
    const { balance, low_balance, turnstile_secret, retention_days, webhook, ...body } = c.req.valid("json");
    const { id } = c.req.valid("param");
    const changed = await changeOfWebhook(c, config, id, webhook);
    const changes = {
      ...body,
      webhook: changed,
      lowBalance: low_balance,
      turnstileSecret: turnstile_secret,
      retentionDays: retention_days,
      prepaid: balance === undefined ? undefined : balance !== null,
    };
    const result = await changeTenant(c.get("invocation"), adminActor(c), id, changes, balance ?? undefined);
    switch (result.kind) {
      case "no_tenant":
        throw noSuchTenant();
      case "balance_held":
        throw balanceHeld(result.available);
      case "changed":
        return c.json(await view(c, result.tenant, changed?.secret?.text), 200, {
          "cache-control": "no-store",
        });
    }
  });

  api.openapi(drop, async (c) => {
    const result = await dropTenant(c.get("invocation"), adminActor(c), c.req.valid("param").id);
    if (result === "no_tenant") throw noSuchTenant();
    if (result === "busy") throw tenantBusy();
    return c.body(null, 202);
  });
}

/** What is asked of a tenant's webhook, as a change of what is there. */
async function changeOfWebhook(
  c: AppContext,
  config: Config,
  id: string,
  given: z.output<ReturnType<typeof givenWebhook>> | null | undefined,
): Promise<WebhookChange | undefined> {
  if (given === undefined) return undefined;
  if (given === null) return { url: null, events: null };
  const wanted = wantedWebhook(c, config, given, ["webhook", "url"]);
  const before = await findTenant(c.get("invocation").db, id);
  if (!before) throw noSuchTenant();
  return webhookChange(c.get("invocation"), before, wanted);
}

function tenantBusy(): ApiError {
  return new ApiError(
    "tenant_busy",
    "Tasks of this tenant still run. Suspend it, and delete it when they have ended.",
  );
}

export function noSuchTenant(): ApiError {
  return new ApiError("not_found", "There is no such tenant.");
}

export function balanceHeld(available: number): ApiError {
  const text = `The balance cannot fall below what is held for running tasks; ${available} credits are available.`;
  return new ApiError("balance_held", text);
}

async function view(
  c: AppContext,
  tenant: Tenant,
  webhookSecret?: string,
): Promise<z.output<typeof tenantReply>> {
  const invocation = c.get("invocation");
  const summary = await invocation.tenant(tenant.id).summary(tenant.id, invocation.now());
  const { balance = 0, held = 0, available = 0 } = summary ?? {};
  return {
    id: tenant.id,
    object: "tenant",
    name: tenant.name,
    status: tenant.status,
    limits: tenant.limits,
    prices: tenant.prices,
    models: tenant.models,
    balance: tenant.prepaid ? balance : null,
    held,
    available: tenant.prepaid ? available : null,
    low_balance: tenant.lowBalance,
    retention_days: tenant.retentionDays,
    turnstile: tenant.turnstileSecret !== null,
    webhook: viewWebhook(tenant.webhook, webhookSecret),
    created: toSeconds(tenant.createdMs),
  };
}
