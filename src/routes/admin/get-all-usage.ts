/** `GET /admin/api/usage`: use over all tenants. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { findTenant } from "../../d1/tenants/tenants.ts";
import { type UsageGroup, usageGroups } from "../../d1/tenants/usage.ts";
import { documented } from "../../domain/documented.ts";
import type { Api } from "../../http/context.ts";
import { csvReply, formatQuery, onePage, orCsv } from "../../http/csv.ts";
import { periodName, periodQuery } from "../../http/period.ts";
import { errorReplies, json, listReply } from "../../http/replies.ts";
import { usageOf } from "../account/get-usage.ts";
import { adminErrors, adminSecurity } from "./admin-route.ts";
import { noSuchTenant } from "./tenant-reply.ts";

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

const usageRow = documented(() =>
  z
    .object({
      tenant: z.string().optional(),
      key: z.string().optional(),
      model: z.string().optional(),
      day: z.string().optional(),
      tasks: z.int(),
      images: z.int(),
      credits: z.int(),
    })
    .meta({ examples: [{ tenant: "acme", day: "2026-01-31", tasks: 3, images: 4, credits: 120 }] }),
);
const usageReply = documented(() => json(listReply(usageRow), "Sums by what it is grouped by."));

const contract = createRoute({
  method: "get",
  path: "/admin/api/usage",
  operationId: "get-all-usage",
  security: adminSecurity,
  request: {
    query: z.object({
      ...periodQuery,
      ...formatQuery,
      tenant: z.string().max(32).optional(),
      group: groups.meta(
        documented(() => ({
          type: "string",
          description: "Any of `tenant,key,model,day`, with commas. Default `tenant,day`.",
        })),
      ),
    }),
  },
  ...documented(() => ({
    tags: ["Admin: money"],
    summary: "Use over all tenants",
    responses: {
      200: orCsv(usageReply),
      ...errorReplies(...adminErrors, "not_found"),
    },
  })),
});

export function getAllUsage(api: Api): void {
  api.openapi(contract, async (c) => {
    const invocation = c.get("invocation");
    const query = c.req.valid("query");
    if (query.tenant !== undefined && !(await findTenant(invocation.db, query.tenant))) throw noSuchTenant();
    const rows = await usageOf(invocation, query.tenant ?? null, query, query.group);
    if (query.format === "csv") {
      const columns = [...query.group, "tasks", "images", "credits"];
      return csvReply(c, `usage-utc${periodName(query)}`, columns, onePage(rows));
    }
    return c.json({ object: "list" as const, data: rows, next_cursor: null }, 200);
  });
}
