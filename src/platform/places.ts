/**
 * Waits and streams that hold a reply open, counted by the isolate: another isolate counts for itself. A place is given
 * back when the reply ends or its client has left. The platform may also end an invocation whose client has left without a
 * word: a place is free that has not been kept for some seconds.
 */

/** Twice the longest time between two turns of a follower. */
const keptMs = 8_000;

/** One wait or stream. */
export interface Place {
  /** Nothing more is to be read for it. */
  isOver: boolean;
  /** Keeps its place; at each turn. */
  keep(nowMs: number): void;
  end(): void;
}

export interface Follower {
  task: string;
  /** A key, a token, or the network address of a link; null: unknown. */
  holder: string | null;
}

/** How many hold a reply open at a time: of one task, and of one holder. */
export type MostFollowers = Record<keyof Follower, number>;

export interface Places {
  /** What leaves no place for one more; undefined where there is one. */
  full(wanted: Follower, most: MostFollowers, nowMs: number): keyof Follower | undefined;
  /** Takes a place, also where there is none. */
  take(follower: Follower, nowMs: number): Place;
}

/** The places of one isolate. */
export function createPlaces(): Places {
  const taken = new Map<Follower, number>();
  return {
    full({ task, holder }, most, nowMs) {
      let ofTask = 0;
      let ofHolder = 0;
      for (const [follower, untilMs] of taken) {
        if (untilMs <= nowMs) taken.delete(follower);
        else {
          if (follower.task === task) ofTask++;
          if (follower.holder === holder) ofHolder++;
        }
      }
      if (ofTask >= most.task) return "task";
      return holder !== null && ofHolder >= most.holder ? "holder" : undefined;
    },
    take(follower, takenMs) {
      const place: Place = {
        isOver: false,
        keep(nowMs) {
          if (!place.isOver) taken.set(follower, nowMs + keptMs);
        },
        end() {
          place.isOver = true;
          taken.delete(follower);
        },
      };
      place.keep(takenMs);
      return place;
    },
  };
}
