/** What reconciliation has found, and a page of the audit log: the reply to `GET` and `POST /admin/api/audit`. */
import * as z from "zod";
import { type AuditEntry, listAuditEntries } from "../../d1/tenants/audit-log.ts";
import { documented } from "../../domain/documented.ts";
import { toSeconds } from "../../domain/task.ts";
import { discrepancyKinds } from "../../flows/cron/discrepancy.ts";
import { reconcile } from "../../flows/cron/reconcile.ts";
import { pageLimit, toPage } from "../../http/paging.ts";
import { errorReplies, json, listReply } from "../../http/replies.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { adminErrors, adminSecurity } from "./admin-route.ts";

const auditEntryReply = documented(() =>
  z.object({
    id: z.string(),
    at: z.int(),
    actor: z.string().meta({ description: "`admin`, or the id of a tenant's key." }),
    act: z.string(),
    tenant: z.string().nullable(),
    subject: z.string().nullable(),
    details: z.record(z.string(), z.unknown()),
    request_id: z.string(),
  }),
);

export const discrepancyReply = documented(() =>
  z.object({
    kind: z.enum(discrepancyKinds),
    tenant: z.string().nullable(),
    subject: z.string().nullable(),
    text: z.string(),
  }),
);

const auditReply = documented(() =>
  z
    .object({
      ...listReply(discrepancyReply).shape,
      ok: z.boolean(),
      tenants_checked: z.int(),
      acts: listReply(auditEntryReply).meta({
        description: "What operators and tenants changed, newest first.",
      }),
    })
    .meta({
      examples: [
        {
          object: "list",
          ok: true,
          data: [],
          next_cursor: null,
          tenants_checked: 1,
          acts: {
            object: "list",
            data: [
              {
                id: "act-01k5d3v7xq2t8k4p3w7c1m9x5q",
                at: 1_757_165_031,
                actor: "admin",
                act: "tenant.changed",
                tenant: "acme",
                subject: null,
                details: { status: "suspended" },
                request_id: "req-7k2n9c4w8x1m5p3t6r0q",
              },
            ],
            next_cursor: null,
          },
        },
      ],
    }),
);

/** Sorts after every id in the audit log. */
const afterAllEntries = "act-~";

const query = z.object({
  cursor: z.string().max(100).default(""),
  acts_limit: pageLimit,
  acts_cursor: z.string().max(100).default(""),
});

/** What both operations share of their contracts. */
export const auditContract = {
  path: "/admin/api/audit" as const,
  tags: ["Admin: overview"],
  security: adminSecurity,
  request: { query },
  responses: documented(() => ({
    200: json(auditReply, "What was checked."),
    ...errorReplies(...adminErrors),
  })),
};

/** Reconciles a few tenants, and reads the audit log. @param mends Whether it repairs what it can. */
export async function audit(
  invocation: Invocation,
  mends: boolean,
  { cursor, acts_limit, acts_cursor }: z.output<typeof query>,
): Promise<z.output<typeof auditReply>> {
  const { discrepancies, tenants, next } = await reconcile(invocation, mends, cursor);
  const entries = await listAuditEntries(invocation.db, acts_cursor || afterAllEntries, acts_limit + 1);
  return {
    object: "list",
    ok: discrepancies.length === 0,
    data: discrepancies,
    next_cursor: next,
    tenants_checked: tenants,
    acts: toPage(entries, acts_limit, viewAuditEntry),
  };
}

function viewAuditEntry({
  id,
  atMs,
  actor,
  action,
  tenantId,
  subject,
  details,
  requestId,
}: AuditEntry): z.output<typeof auditEntryReply> {
  return {
    id,
    at: toSeconds(atMs),
    actor,
    act: action,
    tenant: tenantId,
    subject,
    details,
    request_id: requestId,
  };
}
