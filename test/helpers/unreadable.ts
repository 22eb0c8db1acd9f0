/** Stored data made unreadable, and what the log says of it. */
import { env } from "cloudflare:workers";
import type { TestGateway } from "./gateway.ts";

/** What no codec reads, and no log line may show. */
export const garbage = "{unreadable contents";

export const setColumn = (table: string, column: string, value: unknown, id: string) =>
  env.DB.prepare(`UPDATE ${table} SET ${column} = ?1 WHERE id = ?2`).bind(value, id).run();

/** The places that the log names as unreadable. */
export const unreadable = ({ logs }: TestGateway) =>
  logs
    .filter(({ event }) => event === "stored_data_unreadable")
    .map(({ table, field, id }) => `${String(table)} ${String(field)} ${String(id)}`);

/** The names of what failed as a whole: a round, a lane or the work beside them. */
export const failedEvents = ({ logs }: TestGateway) =>
  logs.map(({ event }) => String(event)).filter((event) => event.endsWith("_failed"));
