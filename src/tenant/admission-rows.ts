/** What every decision on a request of a key begins with, in one statement: most of a small read is the call. */
import type { StoredKey } from "../domain/keys.ts";
import { keyFrom, type Settings, settingsFrom } from "./config-copy.ts";
import { hasEndedEarly } from "./early-ends.ts";
import { newestState, stateFrom, type TenantState } from "./tenant-state.ts";

export interface AdmissionRows {
  /** Undefined: the tenant does not exist. */
  settings: Settings | undefined;
  /** Undefined: the key does not exist, or is not in use any more. */
  key: StoredKey | undefined;
  state: TenantState;
  /** The task was given up before this request came. */
  isEnded: boolean;
}

/** @throws StoredDataUnreadable */
export function readAdmissionRows(sql: SqlStorage, keyId: string, taskId = ""): AdmissionRows {
  const { config, key, state, ended } = sql
    .exec<Record<"config" | "key" | "state", string | null> & { ended: number }>(
      `SELECT (SELECT body FROM config) AS config, (SELECT body FROM keys WHERE id = ?1) AS key, ${newestState} AS state,
         ${hasEndedEarly(2)} AS ended`,
      keyId,
      taskId,
    )
    .one();
  const rows = { settings: settingsFrom(config), key: keyFrom(keyId, key), state: stateFrom(state) };
  return { ...rows, isEnded: ended === 1 };
}
