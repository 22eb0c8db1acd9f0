/**
 * Waits and streams that hold a reply open, counted by the isolate: another isolate counts for itself. A place is given
 * back when the reply ends or its client has left. The platform may also end an invocation whose client has left without a
 * word: a place is free that has not been kept for some seconds.
 */

/** How many hold a reply open at a time: of one task, and of one holder. */
export const mostWatches = { task: 4, holder: 100 };

/** Twice the longest time between two turns of a watcher. */
const keptMs = 8_000;

/** One wait or stream. */
export interface Watch {
  /** Nothing more is to be read for it. */
  isOver: boolean;
  /** Keeps its place; at each turn. */
  keep(nowMs: number): void;
  end(): void;
}

export interface Place {
  task: string;
  /** A key, a token, or the network address of a link; null: unknown. */
  holder: string | null;
}

export interface Watches {
  /** What leaves no place for one more; undefined where there is one. */
  full(wanted: Place, nowMs: number): keyof typeof mostWatches | undefined;
  /** Takes a place, also where there is none. */
  take(place: Place, nowMs: number): Watch;
}

/** The places of one isolate. */
export function createWatches(): Watches {
  const taken = new Map<Place, number>();
  return {
    full({ task, holder }, nowMs) {
      let ofTask = 0;
      let ofHolder = 0;
      for (const [place, untilMs] of taken) {
        if (untilMs <= nowMs) taken.delete(place);
        else {
          if (place.task === task) ofTask++;
          if (place.holder === holder) ofHolder++;
        }
      }
      if (ofTask >= mostWatches.task) return "task";
      return holder !== null && ofHolder >= mostWatches.holder ? "holder" : undefined;
    },
    take(place, takenMs) {
      const watch: Watch = {
        isOver: false,
        keep(nowMs) {
          if (!watch.isOver) taken.set(place, nowMs + keptMs);
        },
        end() {
          watch.isOver = true;
          taken.delete(place);
        },
      };
      watch.keep(takenMs);
      return watch;
    },
  };
}
