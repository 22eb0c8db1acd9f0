/**
 * Waits and streams that hold a reply open, counted by the isolate: another isolate counts for itself. A place is given
 * back when the reply ends, when its client has left, and when its time is over, since the platform may end an invocation
 * without a word.
 */

/** How many hold a reply open at a time: of one task, and of one holder. */
export const mostWatches = { task: 4, holder: 100 };

/** One wait or stream. */
export interface Watch {
  /** Nothing more is to be read for it. */
  isOver: boolean;
  end(): void;
}

export interface Place {
  task: string;
  /** A key, a token, or the network address of a link; null: unknown. */
  holder: string | null;
  untilMs: number;
}

export interface Watches {
  /** What leaves no place for one more; undefined where there is one. */
  full(wanted: Omit<Place, "untilMs">, nowMs: number): keyof typeof mostWatches | undefined;
  /** Takes a place, also where there is none. */
  take(place: Place): Watch;
}

/** The places of one isolate. */
export function createWatches(): Watches {
  const taken = new Set<Place>();
  return {
    full({ task, holder }, nowMs) {
      let ofTask = 0;
      let ofHolder = 0;
      for (const place of taken) {
        if (place.untilMs <= nowMs) taken.delete(place);
        else {
          if (place.task === task) ofTask++;
          if (place.holder === holder) ofHolder++;
        }
      }
      if (ofTask >= mostWatches.task) return "task";
      return holder !== null && ofHolder >= mostWatches.holder ? "holder" : undefined;
    },
    take(place) {
      taken.add(place);
      const watch: Watch = {
        isOver: false,
        end() {
          watch.isOver = true;
          taken.delete(place);
        },
      };
      return watch;
    },
  };
}
