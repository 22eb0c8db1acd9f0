/** Erasing by a tenant's own key: one task, or all of an end user's. */

import { firstTask, selectTask } from "../../d1/tasks/tasks.ts";
import type { Caller, KeyRefusal } from "../../domain/access.ts";
import type { Deps } from "../../platform/invocation.ts";
import { enter } from "../tenants/authorize.ts";
import { type EraseResult, eraseEndUser, eraseTask } from "./erase.ts";

export type DeleteResult = { kind: EraseResult } | { kind: "key_refused"; refusal: KeyRefusal };

export async function deleteTask(deps: Deps, caller: Caller, id: string): Promise<DeleteResult> {
  const entered = await enter(deps, caller, { action: "delete" }, [selectTask(deps.db, caller.tenantId, id)]);
  if (entered.kind === "key_refused") return entered;
  return { kind: await eraseTask(deps, caller.tenantId, firstTask(entered.results[0])) };
}

export async function deleteEndUser(
  deps: Deps,
  caller: Caller,
  endUser: string,
): Promise<{ kind: "erasing" } | { kind: "key_refused"; refusal: KeyRefusal }> {
  const entered = await enter(deps, caller, { action: "delete" });
  if (entered.kind === "key_refused") return entered;
  await eraseEndUser(deps, caller.tenantId, endUser);
  return { kind: "erasing" };
}
