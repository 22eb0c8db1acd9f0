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
