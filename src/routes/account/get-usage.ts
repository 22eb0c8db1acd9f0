/** `GET /v1/usage`: a tenant's balance, holds, limits and use, by its key of scope `manage`. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { maxUsageRows, readUsage, type UsageRow } from "../../d1/tenants/usage.ts";
import { defaultLimits } from "../../domain/admission.ts";
import { defaultModel, models } from "../../domain/model-catalog.ts";
import type { Api } from "../../http/context.ts";
import { csvReply, formatQuery, onePage, orCsv } from "../../http/csv.ts";
import { periodOf, periodQuery } from "../../http/period.ts";
import { errorReplies, json, keyErrors } from "../../http/replies.ts";
import { notStored } from "../../http/reply-headers.ts";
import { invalidRequest } from "../../http/validation.ts";
import { BindingUnavailable } from "../../platform/binding.ts";
import { shownLimits, shownRemaining } from "./limit-fields.ts";
import { authorizeManager } from "./managing-key.ts";

const usageDay = z.object({
  date: z.string(),
  model: z.enum(models),
  tasks: z.int(),
  images: z.int(),
  credits: z.int(),
});
const usageReply = json(
  z
    .object({
      balance: z.int().nullable().meta({ description: "Topped up − charged. Null: not prepaid." }),
      held: z.int(),
      available: z.int().nullable().meta({ description: "balance − held." }),
      limits: shownLimits,
      remaining: shownRemaining,
      days: z.array(usageDay),
    })
    .meta({
      examples: [
        {
          balance: 8_000,
          held: 30,
          available: 7_970,
          limits: defaultLimits,
          remaining: { ...defaultLimits, requests_per_minute: 599, concurrent_tasks: 19 },
          days: [{ date: "2026-01-31", model: defaultModel, tasks: 3, images: 4, credits: 120 }],
        },
      ],
    }),
  "What the tenant has and has used; with `format=csv` the days.",
);

const contract = createRoute({
  method: "get",
  path: "/v1/usage",
  operationId: "get-usage",
  tags: ["Account"],
  security: [{ key: [] }],
  summary: "Balance, limits and use by day and model",
  request: { query: z.object({ ...periodQuery, ...formatQuery }) },
  responses: {
    200: orCsv(usageReply),
    ...errorReplies(...keyErrors),
  },
});

/** @throws ApiError `invalid_request` for sums that are too many for one reply: cut off, they would look like all. */
export function wholeUsage(rows: UsageRow[]): UsageRow[] {
  if (rows.length <= maxUsageRows) return rows;
  const message = `must leave no more than ${maxUsageRows} lines, which a reply holds: ask for less time, one tenant, or fewer groups`;
  throw invalidRequest([{ path: ["from"], message }]);
}

export function getUsage(api: Api): void {
  api.openapi(contract, async (c) => {
    const { tenantId } = await authorizeManager(c);
    const invocation = c.get("invocation");
    const query = c.req.valid("query");
    const { fromMs, toMs } = periodOf(invocation, query);
    const rows = wholeUsage(await readUsage(invocation.db, tenantId, fromMs, toMs, ["day", "model"]));
    const days = rows.map(({ day, ...row }) => ({ date: day, ...row })) as z.output<typeof usageDay>[];
    if (query.format === "csv") return csvReply(c, "usage-utc", Object.keys(usageDay.shape), onePage(days));
    const summary = await invocation.tenant(tenantId).summary(tenantId, invocation.now());
    if (!summary) throw new BindingUnavailable("the tenant's object has no copy of its tenant");
    const { prepaid, balance, available, ...rest } = summary;
    const money = { balance: prepaid ? balance : null, available: prepaid ? available : null };
    return c.json({ ...money, ...rest, days }, 200, notStored);
  });
}
