/** Queue messages. Each is the name of a work item: `poll:`, its round and its first task, or a lane's or erasing's kind and its place beside the tick. */

export const laneKinds = ["send", "store"] as const;
export type LaneKind = (typeof laneKinds)[number];
export type WorkKind = "poll" | "erase" | LaneKind;

export const pollItemName = (roundMs: number, firstTaskId: string) => `poll:${roundMs}:${firstTaskId}`;
export const laneItemName = (lane: LaneKind | "erase", place: number) => `${lane}:${place}`;

const namePattern = new RegExp(`^(poll|erase|${laneKinds.join("|")}):`);
/** The prefix before work items had the field's names; the migration renamed their rows. */
const formerPollPrefix = /^look:/;

/** Of a lane that there is no more: a work item without polls, of which nothing is to be done. */
const formerLane = /^settle:/;

/** Reads a message's body; `kind` is undefined for a message that this gateway did not send. */
export function readWorkMessage(body: unknown): { name: string; kind: WorkKind | undefined } {
  const name = typeof body === "string" ? body.slice(0, 100).replace(formerPollPrefix, "poll:") : typeof body;
  const kind = namePattern.exec(name.replace(formerLane, "poll:"))?.[1];
  return { name, kind: kind as WorkKind | undefined };
}
