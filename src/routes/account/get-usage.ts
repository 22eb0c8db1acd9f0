/** `GET /v1/usage`: a tenant's balance, holds, limits and use, by its key of scope `manage`. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import {
  maxCutTasks,
  maxSums,
  maxUsageRows,
  readUsage,
  type UsageGroup,
  type UsageRow,
  UsageTooLarge,
} from "../../d1/tenants/usage.ts";
import { defaultLimits } from "../../domain/admission.ts";
import { documented } from "../../domain/documented.ts";
import { defaultModel, models } from "../../domain/model-catalog.ts";
import type { Api } from "../../http/context.ts";
import { csvReply, formatQuery, onePage, orCsv } from "../../http/csv.ts";
import { periodName, periodOf, periodQuery } from "../../http/period.ts";
import { errorReplies, json, keyErrors } from "../../http/replies.ts";
import { notStored } from "../../http/reply-headers.ts";
import { invalidRequest } from "../../http/validation.ts";
import { BindingUnavailable } from "../../platform/binding.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { shownLimits, shownRemaining } from "./limit-fields.ts";
import { authorizeManager } from "./managing-key.ts";

const usageDay = z.object({
  date: z.string(),
  model: z.enum(models),
  tasks: z.int(),
  images: z.int(),
  credits: z.int(),
});
const usageReply = documented(() =>
  json(
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
  ),
);

const contract = createRoute({
  method: "get",
  path: "/v1/usage",
  operationId: "get-usage",
  security: [{ key: [] }],
  request: { query: z.object({ ...periodQuery, ...formatQuery }) },
  ...documented(() => ({
    tags: ["Account"],
    summary: "Balance, limits and use by day and model",
    responses: {
      200: orCsv(usageReply),
      ...errorReplies(...keyErrors),
    },
  })),
});

const dayMs = 86_400_000;

/** What to ask for instead. */
const refusals: Record<UsageTooLarge["of"], string> = {
  rows: `must leave no more than ${maxUsageRows} lines, which a reply holds: ask for less time, one tenant, or fewer groups`,
  sums: `must leave no more than ${maxSums} sums to add up: ask for less time, one tenant, or days alone`,
  cut: `must be a UTC day such as 2026-01-31, and so must to: a day whose tasks are archived, or more than ${maxCutTasks}, is not divided`,
};

/**
 * Use of the period that a query asks for; without `from` it begins with a whole day.
 * @param tenantId Null: all tenants.
 * @throws ApiError `invalid_request` for what is too much for one reply: cut off, it would look like all.
 */
export async function usageOf(
  invocation: Invocation,
  tenantId: string | null,
  query: { from?: string | undefined; to?: string | undefined },
  groups: readonly UsageGroup[],
): Promise<UsageRow[]> {
  const { fromMs, toMs } = periodOf(invocation, query);
  const beginsMs = query.from === undefined ? fromMs - (fromMs % dayMs) : fromMs;
  try {
    return await readUsage(invocation.db, tenantId, beginsMs, toMs, groups);
  } catch (error) {
    if (!(error instanceof UsageTooLarge)) throw error;
    throw invalidRequest([{ path: ["from"], message: refusals[error.of] }]);
  }
}

export function getUsage(api: Api): void {
  api.openapi(contract, async (c) => {
    const { tenantId } = await authorizeManager(c);
    const invocation = c.get("invocation");
    const query = c.req.valid("query");
    const rows = await usageOf(invocation, tenantId, query, ["day", "model"]);
    const days = rows.map(({ day, ...row }) => ({ date: day, ...row })) as z.output<typeof usageDay>[];
    if (query.format === "csv") {
      return csvReply(c, `usage-utc${periodName(query)}`, Object.keys(usageDay.shape), onePage(days));
    }
    const summary = await invocation.tenant(tenantId).summary(tenantId, invocation.now());
    if (!summary) throw new BindingUnavailable("the tenant's object has no copy of its tenant");
    const { prepaid, balance, available, ...rest } = summary;
    const money = { balance: prepaid ? balance : null, available: prepaid ? available : null };
    return c.json({ ...money, ...rest, days }, 200, notStored);
  });
}
