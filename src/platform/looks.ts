/**
 * The newest version of each task that a watcher of this isolate has read, for its other watchers. An invocation cannot
 * wait for what another one reads, but takes what that one has left.
 */
import type { Task } from "../domain/task.ts";
import { setNewest } from "./newest.ts";

/** One read of a task. */
export interface Look {
  /** When it began, unix milliseconds; 0 once it has come to nothing. */
  atMs: number;
  /** What it found; undefined while it is under way. */
  task?: Task | undefined;
}

export interface Looks {
  find(name: string): Look | undefined;
  /** Leaves a look that is under way, for the one that looks to complete. */
  begin(name: string, nowMs: number): Look;
}

/** Longer than the time between two looks. */
const keptMs = 10_000;
/** Some kilobytes each. */
const mostLooks = 1_000;

/** The memory of one isolate. */
export function createLooks(): Looks {
  const newest = new Map<string, Look>();
  return {
    find: (name) => newest.get(name),
    begin(name, nowMs) {
      const look: Look = { atMs: nowMs };
      setNewest(newest, name, look, mostLooks, ({ atMs }) => atMs + keptMs <= nowMs);
      return look;
    },
  };
}
