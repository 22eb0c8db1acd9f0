/** `/admin/api/tenants/{id}/credits`, its ledger, and `/admin/api/usage`. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { findTenant } from "../../d1/tenants/tenants.ts";
import { readUsage, type UsageGroup, usageGroups } from "../../d1/tenants/usage.ts";
import { maxAmount } from "../../domain/account.ts";
import { type CreditType, creditTypes } from "../../domain/ledger-lines.ts";
import { ApiError } from "../../errors.ts";
import { giveCredits } from "../../flows/tenants/tenants.ts";
import type { Api } from "../../http/context.ts";
import { csvReply, orCsv, periodOf, periodQuery } from "../../http/csv.ts";
import { bodyErrors, errorReplies, json, listReply } from "../../http/replies.ts";
import { jsonBody } from "../../http/validation.ts";
import { ledgerLine, ledgerQuery, ledgerReply, replyWithLedger, viewLine } from "../account/ledger-reply.ts";
import { adminActor, adminErrors } from "./admin-actor.ts";
import { balanceHeld, noSuchTenant } from "./admin-tenants.ts";

const params = z.object({ id: z.string() });
const shared = { tags: ["Admin: money"], security: [{ admin: [] }] };

const newCredit = z
  .strictObject({
    amount: z.int().min(-maxAmount).max(maxAmount),
    type: z.enum(creditTypes),
    reference: z.string().trim().min(1).max(200).meta({
      description: "Such as an invoice's number. A second call of the same reference changes nothing.",
    }),
    note: z.string().max(500).optional(),
  })
  .refine(({ amount, type }) => fits(amount, type), {
    path: ["amount"],
    error: "must be at least 1; an adjustment may also be negative, and none is 0",
  })
  .meta({ examples: [{ amount: 5_000, type: "topup", reference: "invoice-1001" }] });

function fits(amount: number, type: CreditType): boolean {
  return type === "adjustment" ? amount !== 0 : amount > 0;
}

const credit = createRoute({
  ...shared,
  method: "post",
  path: "/admin/api/tenants/{id}/credits",
  operationId: "give-credits",
  summary: "Top up, refund or adjust",
  middleware: [jsonBody] as const,
  request: { params, body: { required: true, ...json(newCredit, "The entry.") } },
  responses: {
    200: json(ledgerLine, "The entry: the first one of this reference."),
    ...errorReplies(...adminErrors, ...bodyErrors, "not_found", "deleted", "balance_held", "already_exists"),
  },
});

const ledger = createRoute({
  ...shared,
  method: "get",
  path: "/admin/api/tenants/{id}/ledger",
  operationId: "get-tenant-ledger",
  summary: "Read a tenant's ledger",
  request: { params, query: ledgerQuery },
  responses: { 200: ledgerReply, ...errorReplies(...adminErrors, "invalid_request", "not_found") },
});

const groups = z
  .string()
  .default("tenant,day")
  .transform((text, context): UsageGroup[] => {
    const names = [...new Set(text.split(",").filter(Boolean))];
    const known = names.filter((name): name is UsageGroup => usageGroups.includes(name as UsageGroup));
    if (known.length < names.length) {
      context.addIssue({ code: "custom", message: `must be a list of ${usageGroups.join(", ")}` });
    }
    return known;
  });

const usageRow = z
  .object({
    tenant: z.string().optional(),
    key: z.string().optional(),
    model: z.string().optional(),
    day: z.string().optional(),
    tasks: z.int(),
    images: z.int(),
    credits: z.int(),
  })
  .meta({ examples: [{ tenant: "acme", day: "2026-01-31", tasks: 3, images: 4, credits: 120 }] });
const usageReply = json(listReply(usageRow), "Sums by what it is grouped by.");

const usage = createRoute({
  ...shared,
  method: "get",
  path: "/admin/api/usage",
  operationId: "get-all-usage",
  summary: "Use over all tenants",
  request: {
    query: z.object({
      ...periodQuery,
      tenant: z.string().max(32).optional(),
      group: groups.meta({
        type: "string",
        description: "Any of `tenant,key,model,day`, with commas. Default `tenant,day`.",
      }),
    }),
  },
  responses: {
    200: orCsv(usageReply),
    ...errorReplies(...adminErrors, "invalid_request"),
  },
});

export function adminMoney(api: Api): void {
  api.openapi(credit, async (c) => {
    const { id } = c.req.valid("param");
    const { note = null, ...body } = c.req.valid("json");
    const tenant = await findTenant(c.get("invocation").db, id);
    if (tenant && tenant.deletedMs !== null) throw new ApiError("deleted", "This tenant was deleted.");
    const result = await giveCredits(c.get("invocation"), adminActor(c), id, { ...body, note });
    switch (result.kind) {
      case "no_tenant":
        throw noSuchTenant();
      case "balance_held":
        throw balanceHeld(result.available);
      case "reference_taken":
        throw new ApiError("already_exists", "This reference was used for another amount or type.", {
          param: "reference",
        });
      case "done":
        return c.json(viewLine(result.line), 200);
    }
  });

  api.openapi(ledger, async (c) => {
    const tenant = await findTenant(c.get("invocation").db, c.req.valid("param").id);
    if (!tenant) throw noSuchTenant();
    return replyWithLedger(c, tenant.id, c.req.valid("query"));
  });

  api.openapi(usage, async (c) => {
    const invocation = c.get("invocation");
    const query = c.req.valid("query");
    const { fromMs, toMs } = periodOf(invocation, query);
    const rows = await readUsage(invocation.db, query.tenant ?? null, fromMs, toMs, query.group);
    if (query.format === "csv") {
      return csvReply(c, "usage", [...query.group, "tasks", "images", "credits"], rows);
    }
    return c.json({ object: "list" as const, data: rows, next_cursor: null }, 200);
  });
}
