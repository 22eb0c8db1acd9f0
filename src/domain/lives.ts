/**
 * How long things stay that are stored and that no caller deletes. What is absent here stays: tenants, of which a deleted
 * one is a tombstone, tasks without a retention, the ledger. Leases and work items end by their own times.
 */
import { fileLifeMs } from "./uploads.ts";
import { deliveryLogMs } from "./webhooks.ts";

const dayMs = 86_400_000;

/** Milliseconds from what each begins with. */
export const livesMs = {
  /** From the event, once it is not to be sent any more. */
  deliveries: deliveryLogMs,
  auditEntries: 400 * dayMs,
  /** From the moment that it was revoked or expired. */
  endedKeys: 30 * dayMs,
  /** From the end of its last back-off, while nothing is to be sent to it. */
  failingEndpoints: 30 * dayMs,
  /** From the moment that it was switched off; setting it again ends that at once. */
  goneUrls: 400 * dayMs,
  /** From the upload; each row has its own end. */
  files: fileLifeMs,
};
