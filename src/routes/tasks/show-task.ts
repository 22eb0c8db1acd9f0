/** A task as this caller may see it, with the link by which a page streams it. */

import { formatLink, signedLinkLifeMs } from "../../domain/signed-links.ts";
import { type Task, viewTask } from "../../domain/task.ts";
import type { AppContext } from "../../http/context.ts";
import { linkBases } from "../../platform/link-bases.ts";

/** @param position In the queue, where it is known. */
export async function showTask(c: AppContext, task: Task, position: number | null = null) {
  const invocation = c.get("invocation");
  const { kind, keyId } = c.get("caller");
  const bases = linkBases(invocation.config, task.origin);
  const view = viewTask(task, bases, kind === "secret", position);
  if (kind === "link") {
    // A link may be passed on: it shows what becomes of the task, and not what was asked.
    const { input: _input, ...shown } = view;
    return shown;
  }
  if (kind !== "secret") {
    // Where the tenant's own server is notified is nothing for a page's visitor.
    const { callback_url: _callback, ...input } = view.input;
    view.input = input;
  }
  const expiresMs = invocation.now() + signedLinkLifeMs;
  const claims = { taskId: task.id, tenantId: task.tenantId, keyId, expiresMs };
  const events = `${view.links.self}/events?token=${await formatLink(invocation.signers.links, claims)}`;
  return { ...view, links: { ...view.links, events } };
}
