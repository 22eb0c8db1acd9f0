/** Erasing by a tenant's own key: one task, or all of an end user's. */

import { taskToErase } from "../../d1/erasure/erasures.ts";
import type { Caller, KeyRefusal } from "../../domain/access.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { findRow } from "../tasks/find-task.ts";
import { authorize } from "../tenants/authorize.ts";
import { type EraseResult, eraseEndUser, eraseTask } from "./erase.ts";

export type DeleteResult =
  | { [Kind in EraseResult]: { kind: Kind } }[EraseResult]
  | { kind: "key_refused"; refusal: KeyRefusal };

export async function deleteTask(invocation: Invocation, caller: Caller, id: string): Promise<DeleteResult> {
  const found = await findRow(invocation, caller, id, "delete");
  if (found.kind === "key_refused") return found;
  return { kind: await eraseTask(invocation, caller.tenantId, taskToErase(found.results[0])) };
}

export async function deleteEndUser(
  invocation: Invocation,
  caller: Caller,
  endUser: string,
): Promise<{ kind: "erasing" } | { kind: "key_refused"; refusal: KeyRefusal }> {
  const authorized = await authorize(invocation, caller, { action: "delete" });
  if (authorized.kind === "key_refused") return authorized;
  await eraseEndUser(invocation, caller.tenantId, endUser);
  return { kind: "erasing" };
}
