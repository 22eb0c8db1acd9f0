/** `POST /admin/api/tenants/{id}/credits`: records a top-up, a refund or an adjustment. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { findTenant } from "../../d1/tenants/tenants.ts";
import { maxAmount } from "../../domain/account.ts";
import { documented } from "../../domain/documented.ts";
import { type CreditType, creditTypes } from "../../domain/ledger-lines.ts";
import { ApiError } from "../../errors.ts";
import { giveCredits } from "../../flows/tenants/credits.ts";
import type { Api } from "../../http/context.ts";
import { bodyErrors, errorReplies, json } from "../../http/replies.ts";
import { jsonBody } from "../../http/validation.ts";
import { ledgerLine, viewLine } from "../account/ledger-reply.ts";
import { adminActor, adminErrors, adminSecurity } from "./admin-route.ts";
import { balanceHeld, noSuchTenant, tenantDeleted } from "./tenant-reply.ts";

const newCredit = z
  .strictObject({
    amount: z.int().min(-maxAmount).max(maxAmount),
    type: z.enum(creditTypes),
    reference: z
      .string()
      .trim()
      .min(1)
      .max(200)
      .meta(
        documented(() => ({
          description: "A second call of the same reference changes nothing.",
        })),
      ),
    note: z.string().max(500).optional(),
  })
  .refine(({ amount, type }) => fits(amount, type), {
    path: ["amount"],
    error: "must be at least 1; an adjustment may also be negative, and none is 0",
  })
  .meta(documented(() => ({ examples: [{ amount: 5_000, type: "topup", reference: "invoice-1001" }] })));

function fits(amount: number, type: CreditType): boolean {
  return type === "adjustment" ? amount !== 0 : amount > 0;
}

const contract = createRoute({
  method: "post",
  path: "/admin/api/tenants/{id}/credits",
  operationId: "give-credits",
  security: adminSecurity,
  middleware: [jsonBody] as const,
  request: {
    params: z.object({ id: z.string() }),
    body: { required: true, ...json(newCredit, "The entry.") },
  },
  ...documented(() => ({
    tags: ["Admin: money"],
    summary: "Top up, refund or adjust",
    responses: {
      200: json(ledgerLine, "The entry: the first one of this reference."),
      ...errorReplies(
        ...adminErrors,
        ...bodyErrors,
        "not_found",
        "deleted",
        "balance_held",
        "already_exists",
      ),
    },
  })),
});

export function giveCreditsRoute(api: Api): void {
  api.openapi(contract, async (c) => {
    const { id } = c.req.valid("param");
    const { note = null, ...body } = c.req.valid("json");
    const tenant = await findTenant(c.get("invocation").db, id);
    if (tenant && tenant.deletedMs !== null) throw tenantDeleted();
    c.set("lookAt", "See the ledger, or send it again: the same `reference` counts once.");
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
}
