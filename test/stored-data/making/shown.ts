/** What callers are shown of all that is stored, in the API's own words, at the moment at which it is dumped. */
import type { Shown, ShownTask } from "../fixture.ts";
import { byId, type Json, ledgerSums, namesOnPage, taskAsShown } from "../views.ts";
import { secrets } from "./stand.ts";
import type { Story } from "./story.ts";

export async function readShown({ stand, made }: Story): Promise<Shown> {
  const { active, suspended, deleted } = made.tenants;
  const shown: Shown = { tasks: [], money: {}, ledger: {}, usage: [], deliveries: [], keys: [] };
  const erased = new Set(
    (await stand.sql("SELECT id FROM tasks WHERE erasure <> 'none'")).map(({ id }) => id),
  );
  const tasks = await all(stand.admin, "/tasks?limit=100");
  const showTask = (task: Json): ShownTask =>
    erased.has(task.id) ? { ...taskAsShown(task), erased: true } : taskAsShown(task);
  shown.tasks = tasks.map(showTask).toSorted(byId);
  for (const tenant of [...active, ...suspended]) {
    const { balance, held, available }: Json = await stand.admin("GET", `/tenants/${tenant}`);
    shown.money[tenant] = { balance, held, available };
    const keys = await all(stand.admin, `/tenants/${tenant}/keys?limit=100`);
    shown.keys.push(...keys.map(({ id, kind, name }) => ({ id, tenant, kind, name })).toSorted(byId));
  }
  for (const tenant of [...active, ...suspended, ...deleted]) {
    const lines = await all(stand.admin, `/tenants/${tenant}/ledger?limit=100`);
    shown.ledger[tenant] = ledgerSums(lines);
  }
  shown.usage = (await stand.admin("GET", "/usage?group=tenant,model")).data;
  return shown;
}

/** What is shown of deliveries. */
export async function readDeliveries({ stand }: Story): Promise<Shown["deliveries"]> {
  const deliveries = await all(stand.admin, "/webhooks?limit=100");
  return deliveries
    .map(({ id, tenant, event, task, target, status }) => ({ id, tenant, event, task, target, status }))
    .toSorted(byId);
}

/** Where lists of each kind go on, and what is there. */
export async function readCursors({ stand, made, key }: Story): Promise<void> {
  const lists: [as: string, path: string][] = [
    ["acme", "/v1/tasks?limit=5"],
    ["acme", "/v1/ledger?limit=5"],
    ["acme-manage", "/v1/keys?limit=2"],
    ["acme-manage", "/v1/webhook/deliveries?limit=2"],
    ["admin", "/admin/api/tasks?limit=5"],
    ["admin", "/admin/api/tenants?limit=2"],
    ["admin", "/admin/api/tenants/acme/keys?limit=2"],
    ["admin", "/admin/api/tenants/metered/ledger?limit=2"],
    ["admin", "/admin/api/webhooks?limit=2"],
    ["admin", "/admin/api/audit?acts_limit=2"],
  ];
  for (const [as, path] of lists) {
    const text = as === "admin" ? secrets.ADMIN_API_KEY : key(as).key;
    const first = pageOf(await stand.call(text, "GET", path));
    if (first.next_cursor === null) throw new Error(`${path} has one page only`);
    const name = path.includes("acts_limit") ? "acts_cursor" : "cursor";
    const next = `${path}&${name}=${first.next_cursor}`;
    const page = namesOnPage(await stand.call(text, "GET", next));
    made.cursors.push({ as, path: next, page });
  }
}

function pageOf(reply: Json): { next_cursor: string | null } {
  return reply.acts ?? reply;
}

const extensions = { "image/png": "png", "image/webp": "webp", "image/jpeg": "jpg" };

/** What readers of pictures and files get, without a key. */
export async function readLinks({ stand, made }: Story): Promise<void> {
  // Not from the API: it shows no pictures of tasks that are erased or go on.
  for (const { tenant_id: tenant, images } of await stand.sql(
    "SELECT tenant_id, images FROM tasks ORDER BY id",
  )) {
    for (const { id, stored } of JSON.parse(String(images)) as Json[]) {
      const extension = extensions[stored?.contentType as keyof typeof extensions];
      if (extension)
        made.images.push({ tenant: String(tenant), path: `/images/${id}.${extension}`, status: 0 });
    }
  }
  for (const link of [...made.images, ...made.files]) {
    const response = await stand.fetch(link.path);
    link.status = response.status;
    const { byteLength } = await response.arrayBuffer();
    if (response.status === 200) link.bytes = byteLength;
  }
}

async function all(admin: Story["stand"]["admin"], path: string): Promise<Json[]> {
  const found: Json[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const page: Json = await admin("GET", `${path}&cursor=${cursor}`);
    found.push(...page.data);
    cursor = page.next_cursor;
  }
  return found;
}
