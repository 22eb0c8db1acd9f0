/** The log: a line of JSON for each event. `docs/operations.md` lists them. */

export interface LogEntry {
  event: string;
  level?: "error";
  [field: string]: unknown;
}

export type WriteLog = (entry: LogEntry) => void;

/** Writes one line, which the platform collects. */
export const writeLog: WriteLog = (entry) => console.log(JSON.stringify(entry));

/** What may be logged of an error: its name and text without addresses and long words, which can be secrets. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const text = error.message.replace(/\w+:\/\/\S+/g, "[link]").replace(/[\w.-]{24,}/g, "[…]");
  return `${error.name}: ${text}`.slice(0, 300);
}
