/** What an isolate remembers from one invocation to the next. Limits and copies that may be lost; no decision is kept here. */
import { type BadKeys, createBadKeys } from "./bad-keys.ts";
import type { ByteMemory } from "./byte-memory.ts";
import { type CallCounts, createCallCounts } from "./call-counts.ts";
import { createPlaces, type Places } from "./places.ts";
import { createRefusalMemory, type RefusalMemory } from "./refusal-memory.ts";
import { createSharedReads, type SharedReads } from "./shared-reads.ts";

export interface IsolateMemory {
  refusals: RefusalMemory;
  /** Until when the upstream's account is known to cool down. D1 knows it for cron and readers; a submission does not wait for D1. */
  upstreamPause: { untilMs: number };
  badKeys: BadKeys;
  places: Places;
  sharedReads: SharedReads;
  byteMemory: ByteMemory;
  callCounts: CallCounts;
  /** What D1 lacks, as far as it is known, and when it was asked: never again once it lacks nothing. */
  migrations: { missing: string[]; atMs: number };
}

export function createIsolateMemory(): IsolateMemory {
  return {
    refusals: createRefusalMemory(),
    upstreamPause: { untilMs: 0 },
    badKeys: createBadKeys(),
    places: createPlaces(),
    sharedReads: createSharedReads(),
    byteMemory: new Set(),
    callCounts: createCallCounts(),
    migrations: { missing: [], atMs: 0 },
  };
}
