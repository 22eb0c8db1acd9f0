/** `/admin/api/tenants`: making, reading and changing tenants. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { tenantIdPattern } from "../../domain/ids.ts";
import { defaultLimits, maxLimit } from "../../domain/limits.ts";
import { toSeconds } from "../../domain/task.ts";
import { ApiError } from "../../errors.ts";
import { changeTenant, createTenant } from "../../flows/tenants.ts";
import { findTenant, listTenants, type Tenant } from "../../store/tenants.ts";
import type { Api } from "../context.ts";
import { bodyErrors, errorReplies, json, listReply } from "../replies.ts";
import { jsonBody } from "../validation.ts";
import { adminErrors, pageQuery, toPage } from "./pages.ts";

const limit = z.int().min(1).max(maxLimit).nullable();
const limits = z.strictObject({
  requests_per_minute: limit.exactOptional().meta({ description: "Default 600. Null: none." }),
});
const name = z.string().trim().min(1).max(200);
const status = z.enum(["active", "suspended"]);

const newTenant = z.strictObject({
  id: z
    .string()
    .regex(tenantIdPattern, "must be 3 to 32 of a-z, 0-9 and -")
    .optional()
    .meta({ description: "Made up when left out." }),
  name,
  limits: limits.optional(),
});
const tenantChange = z.strictObject({ name, limits, status }).partial();

const tenantReply = z
  .object({
    id: z.string(),
    object: z.literal("tenant"),
    name: z.string(),
    status,
    limits: z.object({ requests_per_minute: limit }),
    created: z.int(),
  })
  .meta({ id: "Tenant" });

const shared = { tags: ["Admin: tenants"], security: [{ admin: [] }] };
const path = "/admin/api/tenants";
const params = z.object({ id: z.string() });

const create = createRoute({
  ...shared,
  method: "post",
  path,
  operationId: "create-tenant",
  summary: "Make a tenant",
  middleware: [jsonBody] as const,
  request: { body: { required: true, ...json(newTenant, "The tenant.") } },
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
  responses: { 200: json(tenantReply, "The tenant."), ...errorReplies(...adminErrors, "not_found") },
});

const change = createRoute({
  ...shared,
  method: "patch",
  path: `${path}/{id}`,
  operationId: "change-tenant",
  summary: "Change a tenant",
  description:
    "What is left out stays as it is. A suspended tenant's keys are refused from the next request on.",
  middleware: [jsonBody] as const,
  request: { params, body: { required: true, ...json(tenantChange, "What to change.") } },
  responses: {
    200: json(tenantReply, "Changed."),
    ...errorReplies(...adminErrors, ...bodyErrors, "not_found"),
  },
});

export function adminTenants(api: Api): void {
  api.openapi(create, async (c) => {
    const body = c.req.valid("json");
    const deps = c.get("deps");
    const tenant: Tenant = {
      id: body.id ?? deps.newId("tenant"),
      name: body.name,
      status: "active",
      limits: { ...defaultLimits, ...body.limits },
      createdMs: deps.now(),
    };
    if (!(await createTenant(deps, tenant))) {
      throw new ApiError("already_exists", "There is, or was, a tenant of this id.", { param: "id" });
    }
    return c.json(view(tenant), 201);
  });

  api.openapi(list, async (c) => {
    const { cursor, limit: pageLimit } = c.req.valid("query");
    const found = await listTenants(c.get("deps").db, cursor, pageLimit + 1);
    return c.json(toPage(found, pageLimit, view), 200);
  });

  api.openapi(read, async (c) => {
    const tenant = await findTenant(c.get("deps").db, c.req.valid("param").id);
    if (!tenant) throw noSuchTenant();
    return c.json(view(tenant), 200);
  });

  api.openapi(change, async (c) => {
    const changed = await changeTenant(c.get("deps"), c.req.valid("param").id, c.req.valid("json"));
    if (!changed) throw noSuchTenant();
    return c.json(view(changed), 200);
  });
}

export function noSuchTenant(): ApiError {
  return new ApiError("not_found", "There is no such tenant.");
}

function view(tenant: Tenant): z.output<typeof tenantReply> {
  const { id, name, status, limits, createdMs } = tenant;
  return { id, object: "tenant", name, status, limits, created: toSeconds(createdMs) };
}
