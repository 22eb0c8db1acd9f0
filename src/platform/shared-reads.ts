/**
 * The newest version of each task that a follower of this isolate has read, for its other followers. An invocation cannot
 * wait for what another one reads, but takes what that one has left.
 */
import type { Task } from "../domain/task.ts";
import { setNewest } from "./newest.ts";

/** One read of a task. */
export interface SharedRead {
  /** When it began, unix milliseconds; 0 once it has come to nothing. */
  atMs: number;
  /** What it found; undefined while it is under way. */
  task?: Task | undefined;
}

export interface SharedReads {
  find(name: string): SharedRead | undefined;
  /** Leaves a read that is under way, for the one that reads to complete. */
  begin(name: string, nowMs: number): SharedRead;
}

/** Longer than the time between two reads. */
const keptMs = 10_000;
/** Some kilobytes each. */
const mostReads = 1_000;

/** The memory of one isolate. */
export function createSharedReads(): SharedReads {
  const newest = new Map<string, SharedRead>();
  return {
    find: (name) => newest.get(name),
    begin(name, nowMs) {
      const read: SharedRead = { atMs: nowMs };
      setNewest(newest, name, read, mostReads, ({ atMs }) => atMs + keptMs <= nowMs);
      return read;
    },
  };
}
