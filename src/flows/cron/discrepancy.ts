/** What reconciliation finds: one thing that does not agree. */
export const discrepancyKinds = [
  "balance",
  "settings",
  "hold",
  "task",
  "picture",
  "erasure",
  "overdue",
] as const;

export interface Discrepancy {
  kind: (typeof discrepancyKinds)[number];
  tenant: string | null;
  subject: string | null;
  text: string;
}

/** Of what a restored database has brought back. @param mends It is done again. */
export function nameBack(mends: boolean, was: string, tenant: string, subject: string | null): Discrepancy {
  const kind = was === "erased" ? "erasure" : "settings";
  return { kind, tenant, subject, text: `was ${was}, and is back${mends ? `: ${was} again` : ""}` };
}
