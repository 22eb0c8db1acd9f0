/** The codec of usage counters, of a tenant and of a key. A counter that was not there when they were stored starts empty. */
import { emptyCounters, type UsageCounters } from "./admission.ts";
import { type Bucket, emptyBucket } from "./rate-bucket.ts";
import { record, text, whole, withDefaults } from "./stored.ts";

const bucket = record<Bucket>(withDefaults(emptyBucket, { level: whole, atMs: whole }));

const { day, month } = emptyCounters;

export const usageCounters = record<UsageCounters>(
  withDefaults(emptyCounters, {
    requests: bucket,
    images: bucket,
    open: whole,
    day: record<UsageCounters["day"]>(withDefaults(day, { date: text, images: whole, refusals: whole })),
    month: record<UsageCounters["month"]>(withDefaults(month, { month: text, images: whole })),
  }),
);
