/** Lives: each thing goes at its end and not before, oldest first, and an end that has come is found by an index. */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { deleteAged, isErasingDue, selectErasingDue } from "../../../src/d1/erasure/aged-rows.ts";
import { idBound } from "../../../src/domain/ids.ts";
import { livesMs } from "../../../src/domain/lives.ts";
import { bearer, startGateway } from "../../helpers/gateway.ts";
import { expectError } from "../../helpers/routes.ts";
import { emptyStores } from "../../helpers/setup.ts";

beforeEach(emptyStores);

const t0 = 1_900_000_000_000;
const dayMs = 86_400_000;

const run = (sql: string, ...values: unknown[]) =>
  env.DB.prepare(sql)
    .bind(...values)
    .run();
const countOf = (table: string) => env.DB.prepare(`SELECT count(*) AS n FROM ${table}`).first("n");
const isDue = async (nowMs: number) => isErasingDue(await selectErasingDue(env.DB, nowMs).all());

const insertDelivery = (id: string, endpoint: string, open: 0 | 1) =>
  run(
    `INSERT INTO deliveries (id, tenant_id, endpoint, event, created_ms, due_ms, open, state)
     VALUES (?1, 'acme', ?2, 'task.completed', ?3, ?3, ?4, iif(?4, 'pending', 'delivered'))`,
    ...[id, endpoint, t0, open],
  );
const insertKey = (id: string, revokedMs: number | null, expiresMs: number | null) =>
  run(
    `INSERT INTO keys (tenant_id, id, kind, name, hash, scopes, created_ms, revoked_ms, expires_ms)
     VALUES ('acme', ?1, 'secret', '', '', '[]', 0, ?2, ?3)`,
    ...[id, revokedMs, expiresMs],
  );

describe("lives", () => {
  it.each<[table: string, days: number, insert: () => Promise<unknown>, stays: () => Promise<unknown>]>([
    [
      "deliveries",
      30,
      () => insertDelivery(`${idBound("delivery", t0)}0`, "webhook", 0),
      () => insertDelivery(`${idBound("delivery", t0)}1`, "webhook", 1),
    ],
    [
      "audit_log",
      400,
      () =>
        run(
          "INSERT INTO audit_log VALUES (?1, 0, 'admin', 'a', NULL, NULL, '{}', '')",
          `${idBound("auditEntry", t0)}0`,
        ),
      () => run("INSERT INTO audit_log VALUES ('act-z', 0, 'admin', 'a', NULL, NULL, '{}', '')"),
    ],
    ["keys", 30, () => insertKey("revoked", t0, null), () => insertKey("alive", null, null)],
    ["keys", 30, () => insertKey("expired", null, t0), () => insertKey("later", null, t0 + 500 * dayMs)],
    ["keys", 30, () => insertKey("both", t0 + 1, t0), () => insertKey("later", t0 + 500 * dayMs, null)],
    [
      "endpoints",
      30,
      () =>
        run(
          "INSERT INTO endpoints (tenant_id, endpoint, failures, backoff_until_ms) VALUES ('acme', 'a', 9, ?1)",
          t0,
        ),
      async () => {
        await run(
          "INSERT INTO endpoints (tenant_id, endpoint, failures, backoff_until_ms) VALUES ('acme', 'b', 9, 0)",
        );
        await insertDelivery("msg-z", "b", 1);
      },
    ],
    [
      "gone_urls",
      400,
      () => run("INSERT INTO gone_urls (tenant_id, url, at_ms) VALUES ('acme', 'https://a.example', ?1)", t0),
      () =>
        run(
          "INSERT INTO gone_urls (tenant_id, url, at_ms) VALUES ('acme', 'https://b.example', ?1)",
          t0 + 500 * dayMs,
        ),
    ],
  ])("of %s are %i days", async (table, days, insert, stays) => {
    await insert();
    await stays();
    const endMs = t0 + days * dayMs;
    // Ids of deliveries and entries are compared by their beginning, which is no moment earlier.
    expect(await isDue(endMs - 1)).toBe(false);
    await deleteAged(env.DB, endMs - 1);
    expect(await countOf(table)).toBe(2);
    expect(await isDue(endMs + 1)).toBe(true);
    await deleteAged(env.DB, endMs + 1);
    expect(await countOf(table)).toBe(1);
    expect(await isDue(endMs + 1)).toBe(false);
  });

  it("end for the oldest first, a thousand at a time, until none is left", async () => {
    await run(
      `INSERT INTO gone_urls (tenant_id, url, at_ms)
       WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
       SELECT 'acme', 'https://' || (9999 - i) || '.example', i FROM n`,
    );
    const nowMs = livesMs.goneUrls + 5_000;
    expect(await deleteAged(env.DB, nowMs)).toBe(true);
    expect(await env.DB.prepare("SELECT min(at_ms) AS at, count(*) AS n FROM gone_urls").first()).toEqual({
      at: 1_001,
      n: 500,
    });
    expect(await deleteAged(env.DB, nowMs)).toBe(false);
    expect(await countOf("gone_urls")).toBe(0);
  });

  it("are seen to by cron, and a key that is gone is refused as one that is revoked", async () => {
    const gateway = startGateway();
    const { id, key, keyId } = await gateway.makeTenant();
    await gateway.admin("DELETE", `/tenants/${id}/keys/${keyId}`);
    const refused = async () =>
      expectError(await gateway.fetch("/v1/tasks", { headers: bearer(key) }), "invalid_key");
    await refused();
    gateway.advance(livesMs.endedKeys - 1);
    await gateway.tick();
    expect(await countOf("keys")).toBe(1);
    await refused();
    gateway.advance(1);
    await gateway.tick();
    expect(await countOf("keys")).toBe(0);
    await refused();
  });
});
