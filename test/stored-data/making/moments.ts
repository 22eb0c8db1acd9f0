/**
 * States that last for moments: what lies between two steps of the gateway, as a process that dies there leaves it. Made
 * last, so that no tick goes on with them.
 */
import type { Story } from "./story.ts";

/** A task that its tenant's object has and D1 lacks; the alarm writes it again within two minutes. */
export async function loseRow(story: Story, scene: string, by: string): Promise<void> {
  const { id } = await story.submit(scene, by, { prompt: "lasts, without a row" });
  await story.until(`SELECT id FROM tasks WHERE id = '${id}'`);
  await story.stand.sql("DELETE FROM tasks WHERE id = ?1", id);
}

/** Senders that wait, that had no reply, and that were asked to come later. */
export async function sendSome(story: Story): Promise<void> {
  const { stand, submit, made, key, until } = story;
  await submit("no outcome", "acme", { prompt: "no outcome", callback_url: "https://hooks.example/unknown" });
  await until("SELECT id FROM tasks WHERE state = 'submitting' AND uncertain = 1");
  const body = { model: "wan-2.7-image", prompt: "no reply", end_user: "visitor-7" };
  const idempotent = { body, headers: { "idempotency-key": "order-1002" } };
  // No caller waits for its reply: there is none.
  void stand.call(key("acme").key, "POST", "/v1/images/generations", idempotent).catch(() => undefined);
  await until("SELECT id FROM tasks WHERE state = 'submitting' AND uncertain = 0");
  const again = await stand.call(key("acme").key, "POST", "/v1/images/generations", idempotent);
  made.scenes["no reply"] = again.id;
  made.replays.push({ key: "acme", idempotencyKey: "order-1002", body, task: again.id });
  const fresh = await submit("just taken", "acme", { prompt: "lasts, just taken" });
  made.eventLinks.push({
    task: fresh.id,
    path: new URL(fresh.links.events).pathname + new URL(fresh.links.events).search,
  });
  await submit("busy", "acme", { prompt: "too many", n: 2 });
  await until("SELECT id FROM tasks WHERE state = 'queued' AND attempts = 1");
  await submit("queued", "acme-page", { prompt: "a boat that waits" });
  await submit("queued, metered", "metered", { callback_url: "https://broken.example/queued" });
  await submit("cancelled", "acme", { callback_url: "https://hooks.example/cancelled" });
  await stand.call(key("acme").key, "POST", `/v1/tasks/${story.task("cancelled")}/cancel`);
}

/** What an eraser leaves. */
export async function eraseSome({ stand, made, key, task, until }: Story): Promise<void> {
  await stand.call(key("acme").key, "DELETE", `/v1/tasks/${task("to be erased")}`);
  // One of this person's tasks still runs, so that the erasure waits for it.
  await stand.call(key("acme").key, "DELETE", "/v1/end-users/visitor-8");
  made.toBeErased.push(task("upstream works"));
  await until(`SELECT id FROM tasks WHERE id = '${task("visitor-8 before")}' AND erasure = 'done'`);
  // The text is gone, the pictures are not: the eraser died in between.
  await stand.sql(
    `UPDATE tasks SET erasure = 'pending', version = version + 1, metadata = '{}', end_user = NULL,
       input = json_object('prompt', '', 'n', json_extract(input, '$.n')) WHERE id = ?1`,
    task("being erased"),
  );
}

/** Ends and claims that were not carried through. */
export async function leaveHalfDone({ stand, task, made }: Story): Promise<void> {
  const nowMs = Date.now();
  // Written by a process that died before the tenant's object had settled its hold.
  await stand.sql(
    `UPDATE tasks SET state = 'failed', version = version + 1, finished_ms = ?2, images = '[]',
       error_code = 'generation_timeout', open = 0 WHERE id = ?1`,
    task("ended, not settled"),
    nowMs,
  );
  // Found done by a tick's poll, and given back by its store lane, which had no time left.
  await stand.sql("UPDATE tasks SET attempts = 0, due_ms = ?2 WHERE id = ?1", task("never attempted"), nowMs);
  // What a busy tick enqueues; one work item has been begun.
  const polls = [task("upstream works"), task("upstream waits")];
  const workItem = (name: string, tasks: string[], claimed: number, untilMs: number) =>
    stand.sql(
      "INSERT INTO work_items (name, task_ids, claimed, until_ms) VALUES (?1, ?2, ?3, ?4)",
      name,
      JSON.stringify(tasks),
      claimed,
      untilMs,
    );
  const messages = [`poll:${nowMs - 2_000}:${polls[0]}`, "send:0", "store:0"];
  await workItem(messages[0] ?? "", polls, 0, nowMs + 118_000);
  for (const name of messages.slice(1)) await workItem(name, [], 0, nowMs + 118_000);
  await workItem("store:1", [], 1, nowMs + 45_000);
  made.messages.push(...messages, "store:1");
  // A change of a tenant that has not reached its object.
  await stand.sql(
    "UPDATE tenants SET config_version = config_version + 1, low_balance = 4900 WHERE id = 'shop'",
  );
}

/** Tenants that are stopped, being erased, and gone. */
export async function dropTenants({ stand, made, key }: Story): Promise<void> {
  await stand.admin("PATCH", "/tenants/paused", { status: "suspended" });
  made.deadKeys.push({ name: "of a suspended tenant", key: key("paused").key, code: "tenant_suspended" });
  for (const tenant of ["left", "leaving"]) {
    await stand.admin("DELETE", `/tenants/${tenant}`);
    made.deadKeys.push({
      name: `of the deleted tenant ${tenant}`,
      key: key(tenant).key,
      code: "invalid_key",
    });
    // Once more than a day has passed, the tick after which nothing is left of it says so.
    if (tenant === "left") {
      await stand.tick();
      await stand.sql("UPDATE tenants SET erased_ms = ?2 WHERE id = ?1", tenant, Date.now());
    }
  }
  const gone = ["leaving", "left"];
  made.keys = made.keys.filter(({ tenant }) => ![...gone, "paused"].includes(tenant));
  made.tenants = {
    active: made.tenants.active.filter((id) => ![...gone, "paused"].includes(id)),
    suspended: ["paused"],
    deleted: gone,
  };
}
