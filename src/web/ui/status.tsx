/** A state as a word and a colour. */
import type { Task, Tenant, Webhook, WebhookDelivery } from "#gateway";
import "./status.css";

/** The gateway names a key's revocation and expiry only. */
export type KeyState = "active" | "revoked" | "expired";
type ShownStatus =
  | Task["status"]
  | Tenant["status"]
  | Webhook["status"]
  | WebhookDelivery["status"]
  | KeyState;

const tones: Record<ShownStatus, "good" | "bad" | "busy" | "dull"> = {
  completed: "good",
  active: "good",
  delivered: "good",
  on: "good",
  failed: "bad",
  suspended: "bad",
  off: "bad",
  pending: "busy",
  processing: "busy",
  cancelled: "dull",
  dropped: "dull",
  revoked: "dull",
  expired: "dull",
};

export function Status({ status }: { status: ShownStatus }) {
  return <span class={`status ${tones[status]}`}>{status}</span>;
}
