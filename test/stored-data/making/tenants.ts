/** Tenants with every setting, and keys of every kind. */
import type { MadeKey } from "../fixture.ts";
import type { Json } from "../views.ts";
import type { Story } from "./story.ts";

const manyLimits = {
  requests_per_minute: 1_000,
  images_per_minute: 1_000,
  concurrent_tasks: 500,
  images_per_day: 10_000,
  images_per_month: 100_000,
};

/** One tenant for each way of paying, and for each setting. */
export async function makeTenants({ stand, made }: Story): Promise<void> {
  const create = async (body: { id: string }) => {
    await stand.admin("POST", "/tenants", { name: `Tenant ${body.id}`, limits: manyLimits, ...body });
    made.tenants.active.push(body.id);
  };
  await create({ id: "acme", balance: 100_000, webhook: { url: "https://hooks.example/acme" } } as {
    id: string;
  });
  await create({ id: "metered" });
  await create({
    id: "shop",
    balance: 5_000,
    low_balance: 4_950,
    prices: { "wan-2.7-image": 40, "wan-2.7-image-pro": 90 },
    limits: { ...manyLimits, images_per_month: 900, files_per_day: 50, file_bytes: 5_000_000 },
    models: ["wan-2.7-image"],
    retention_days: 30,
    turnstile_secret: "turnstile-fixture-secret",
    webhook: { url: "https://broken.example/shop", events: ["task.completed", "task.failed", "balance.low"] },
  } as { id: string });
  await create({ id: "quiet", location_hint: "weur", webhook: { url: "https://gone.example/quiet" } } as {
    id: string;
  });
  await create({ id: "paused", balance: 600 } as { id: string });
  await create({ id: "leaving", balance: 300 } as { id: string });
  await create({ id: "left", balance: 90 } as { id: string });
  made.receivers = {
    "https://hooks.example": 204,
    "https://broken.example": 500,
    "https://gone.example": 410,
  };
  for (const [origin, status] of Object.entries(made.receivers)) stand.receivers.set(origin, status);
}

/** Every type of entry that an operator makes. */
export async function giveCredits({ stand }: Story): Promise<void> {
  const give = (tenant: string, amount: number, type: string, reference: string, note?: string) =>
    stand.admin("POST", `/tenants/${tenant}/credits`, { amount, type, reference, note });
  await give("acme", 5_000, "topup", "invoice-1001");
  await give("acme", 120, "refund", "ticket-7", "two pictures came out black");
  await give("acme", -20, "adjustment", "correction-1");
  await give("metered", 10, "adjustment", "correction-2");
  await stand.admin("PATCH", "/tenants/shop", { balance: 5_040 });
}

/** Keys that work, and keys that do not any more. */
export async function makeKeys({ stand, made }: Story): Promise<void> {
  const make = async (tenant: string, name: string, body: object, says: Partial<MadeKey> = {}) => {
    const key: Json = await stand.admin("POST", `/tenants/${tenant}/keys`, { name, kind: "secret", ...body });
    const kind = key.kind as "secret" | "browser";
    const can = { submits: key.scopes.includes("images"), manages: key.scopes.includes("manage") };
    made.keys.push({ name, tenant, kind, key: key.key, model: "wan-2.7-image", ...can, ...says });
    return key;
  };
  const dead = (name: string, key: string, code = "invalid_key") => made.deadKeys.push({ name, key, code });

  await make("acme", "acme", {});
  await make("acme", "acme-images", { scopes: ["images"] });
  await make("acme", "acme-manage", { scopes: ["manage"] });
  const own = { models: ["wan-2.7-image-pro"], limits: { images_per_day: 40, images_per_minute: 30 } };
  await make(
    "acme",
    "acme-limited",
    { ...own, expires_at: inSeconds(30 * 86_400) },
    { model: "wan-2.7-image-pro" },
  );
  const page = "https://app.acme.example";
  const browser = { kind: "browser", allowed_origins: [page, "https://*.acme.example"] };
  await make("acme", "acme-page", browser, { page });
  const settings = { limits: { images_per_day: 20 }, token: { ttl_seconds: 3_600, max_images: 3 } };
  await make("acme", "acme-page-limited", { ...browser, ...settings, models: ["wan-2.7-image"] }, { page });

  const old = await make("acme", "acme-rotated-old", { scopes: ["images"] });
  const rotate = (id: string, overlap: number) =>
    stand.admin("POST", `/tenants/acme/keys/${id}/rotate`, { overlap_seconds: overlap });
  const after = await rotate(old.id, 20 * 86_400);
  made.keys.push({ ...copyOf(made, "acme-rotated-old"), name: "acme-rotated-new", key: after.key });
  const replaced = await stand.admin("POST", "/tenants/acme/keys", { name: "replaced", kind: "secret" });
  await rotate(replaced.id, 0);
  dead("replaced at once", replaced.key);
  const revoked = await stand.admin("POST", "/tenants/acme/keys", { name: "revoked", kind: "secret" });
  await stand.admin("DELETE", `/tenants/acme/keys/${revoked.id}`);
  dead("revoked", revoked.key);
  // It expires while the other scenes are made.
  const brief = { name: "brief", kind: "secret", expires_at: inSeconds(3) };
  dead("expired", (await stand.admin("POST", "/tenants/acme/keys", brief)).key);

  await make("metered", "metered", {});
  await make("shop", "shop", {});
  const shopPage = "https://shop.example";
  await make("shop", "shop-page", { kind: "browser", allowed_origins: [shopPage] }, { page: shopPage });
  for (const tenant of ["quiet", "paused", "leaving", "left"]) await make(tenant, tenant, {});
}

/** What tenants change themselves: a key, and the secret of a webhook. */
export async function manageOwn(story: Story): Promise<void> {
  const { stand, made } = story;
  const made2 = await stand.call(story.key("acme").key, "POST", "/v1/keys", {
    body: { name: "own", kind: "secret", scopes: ["images"] },
  });
  made.keys.push({ ...copyOf(made, "acme-images"), name: "acme-own", key: made2.key });
  const rotation = { body: { overlap_seconds: 30 * 86_400 } };
  await stand.call(story.key("shop").key, "POST", "/v1/webhook/rotate", rotation);
  await stand.call(story.key("acme-manage").key, "PATCH", "/v1/webhook", {
    body: { secret: `whsec_${Buffer.alloc(32, 7).toString("base64")}` },
  });
}

/** Client tokens, by a server and by Turnstile, used and spent. */
export async function mintTokens(story: Story): Promise<void> {
  const { stand, made } = story;
  const page = "https://app.acme.example";
  const mint = async (name: string, by: string, body: object, headers = {}) => {
    const { token } = await stand.call(story.key(by).key, "POST", "/v1/client-tokens", { body, headers });
    const { tenant, model } = story.key(by);
    made.keys.push({ name, tenant, kind: "token", key: token, page, model, submits: true, manages: false });
  };
  const wanted = { allowed_origins: [page], max_images: 20, ttl_seconds: 3_600, models: ["wan-2.7-image"] };
  await mint("acme-token", "acme", { ...wanted, end_user: "visitor-7" });
  await mint("acme-token-no-user", "acme-images", { allowed_origins: [page], ttl_seconds: 3_600 });
  const shopPage = "https://shop.example";
  await mint("shop-token", "shop-page", { turnstile: "solved" }, { origin: shopPage });
  story.key("shop-token").page = shopPage;
}

function copyOf(made: Story["made"], name: string): MadeKey {
  const key = made.keys.find((one) => one.name === name);
  if (!key) throw new Error(`no key ${name}`);
  return key;
}

function inSeconds(count: number): number {
  return Math.ceil(Date.now() / 1000) + count;
}
