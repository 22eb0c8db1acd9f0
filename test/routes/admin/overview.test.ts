/**
 * `/admin/api/overview` counts from the tasks themselves; `/admin/api/audit` lists what operators and tenants
 * changed, each change once and without a secret, beside what the self-check found.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { eraserLeaseMs } from "../../../src/flows/erasure/erase-tasks.ts";
import { credit } from "../../helpers/credits.ts";
import {
  type Around,
  bearer,
  finishTask,
  startGateway,
  submitTask,
  type TestGateway,
} from "../../helpers/gateway.ts";
import { expectError, makeKey, submit } from "../../helpers/routes.ts";
import { emptyStores } from "../../helpers/setup.ts";

let gateway: TestGateway;
beforeEach(async () => {
  await emptyStores();
  gateway = startGateway();
});

const dayMs = 86_400_000;
const day = () => new Date(gateway.now()).toISOString().slice(0, 10);
const nowSeconds = () => Math.floor(gateway.now() / 1000);

async function get<T>(path: string): Promise<T> {
  const response = await gateway.admin("GET", path);
  expect(response.status).toBe(200);
  return response.json();
}

/** A task of a new tenant's: its key and id. */
async function withTaskOf(tenant: object): Promise<[key: string, id: string]> {
  const { key } = await gateway.makeTenant(tenant);
  return [key, (await submitTask(gateway, key)).id];
}

describe("the overview", () => {
  const overview = (query = "") => get<Record<string, unknown>>(`/overview${query}`);

  it("of a gateway without tasks is all nothing", async () => {
    expect(await overview()).toEqual({
      complete: true,
      tasks_by_state: {},
      oldest_unfinished_seconds: null,
      oldest_unfinished: [],
      oldest_overdue_erasure_seconds: 0,
      days: [],
      last_day: {
        tasks: 0,
        failures: {},
        error_rate: 0,
        time_to_picture_seconds: { p50: null, p95: null },
      },
      upstream: { last_accepted_at: null, credits_left: 9_876.54, cools_down_until: null },
      webhooks_off: [],
    });
  });

  it("shows states, ages, days, failures, times and the upstream's health", async () => {
    const { script } = gateway.simulator.control;
    const { key } = await gateway.makeTenant({ prices: { "wan-2.7-image": 10 } });
    const firstDay = day();
    await finishTask(gateway, key, (await submitTask(gateway, key, { n: 2 })).id);
    gateway.advance(2 * dayMs);
    for (const seconds of [10, 40]) {
      script({ on: "submit", times: 1, do: { kind: "plan", seconds } });
      const { id } = await submitTask(gateway, key);
      gateway.advance(seconds * 1000);
      await gateway.tick();
      expect((await gateway.fetch(`/v1/tasks/${id}`, { headers: bearer(key) })).status).toBe(200);
    }
    script({ on: "submit", times: 1, do: { kind: "plan", end: "failed", code: "generation_failed" } });
    const failed = await finishTask(gateway, key, (await submitTask(gateway, key)).id);
    script({ on: "submit", times: 1, do: { kind: "error", status: 400, code: "content_policy_violation" } });
    await expectError(await submit(gateway, key), "content_policy_violation");
    script({ on: "submit", times: 1, do: { kind: "plan", seconds: 3_000 } });
    await submitTask(gateway, key);
    const acceptedAt = nowSeconds();
    gateway.advance(20_000);
    script({ on: "submit", times: 1, do: { kind: "rate_limit", retryAfter: 30 } });
    await submitTask(gateway, key);

    expect(await overview()).toEqual({
      complete: true,
      tasks_by_state: { submitted: 1, queued: 1 },
      oldest_unfinished_seconds: 20,
      oldest_unfinished: [
        expect.objectContaining({ state: "submitted", attempts: 1 }),
        expect.objectContaining({ state: "queued", attempts: 1 }),
      ],
      oldest_overdue_erasure_seconds: 0,
      days: [
        { date: firstDay, tasks: 1, images: 2, credits: 20, failed: 0 },
        { date: day(), tasks: 6, images: 2, credits: 20, failed: 2 },
      ],
      last_day: {
        tasks: 6,
        failures: { content_policy_violation: 1, [failed.error?.code ?? ""]: 1 },
        error_rate: 2 / 6,
        time_to_picture_seconds: { p50: 10, p95: 40 },
      },
      upstream: {
        last_accepted_at: acceptedAt,
        credits_left: 9_876.54,
        cools_down_until: nowSeconds() + 30,
      },
      webhooks_off: [],
    });
    expect(await overview("?days=1")).toMatchObject({ days: [{ date: day() }] });
    gateway.advance(31_000);
    expect(await overview()).toMatchObject({ upstream: { cools_down_until: null } });
  });

  it("shows for how long an erasure has been overdue, and readiness shows it too, and is ready", async () => {
    await finishTask(gateway, ...(await withTaskOf({ retention_days: 1 })));
    gateway.advance(dayMs + 7 * 3_600_000);
    const around: Around = (name, call) => {
      if (name === "object erase") throw new Error("overloaded");
      return call();
    };
    const shaken = startGateway({ beside: gateway, around });
    await shaken.tick();
    const { oldest_overdue_erasure_seconds: seconds } = await overview();
    expect(Number(seconds)).toBeGreaterThan(6 * 3_600);
    const headers = bearer(gateway.config.ADMIN_API_KEY);
    const ready = await gateway.fetch("/readyz", { headers });
    expect([ready.status, await ready.json()]).toEqual([
      200,
      expect.objectContaining({ status: "ok", oldest_overdue_erasure_seconds: seconds }),
    ]);
    gateway.advance(eraserLeaseMs);
    await gateway.tick();
    expect(await overview()).toMatchObject({ oldest_overdue_erasure_seconds: 0 });
  });

  it.each(["0", "367", "x", "1.5", ""])("refuses days=%j", async (days) => {
    await expectError(await gateway.admin("GET", `/overview?days=${days}`), "invalid_request", "days");
  });
});

interface AuditEntry {
  id: string;
  at: number;
  actor: string;
  act: string;
  tenant: string | null;
  subject: string | null;
  details: Record<string, unknown>;
  request_id: string;
}
interface Audit {
  ok: boolean;
  next_cursor: string | null;
  tenants_checked: number;
  acts: { object: string; data: AuditEntry[]; next_cursor: string | null };
}

const acts = async () => (await get<Audit>("/audit?acts_limit=100")).acts.data;

describe("the audit log", () => {
  it("has a line for each change, newest first, and no secret in any", async () => {
    const turnstile_secret = "turnstile-secret-0123456789";
    const { id, key, keyId } = await gateway.makeTenant({ id: "shop", balance: 500, turnstile_secret });
    // Lines of one millisecond have no order.
    const later = async <T>(ask: () => Promise<Response>): Promise<T> => {
      gateway.advance(1);
      const response = await ask();
      const body = response.status === 204 ? {} : ((await response.json()) as object);
      return { requestId: response.headers.get("x-request-id"), ...body } as T;
    };
    const ask = <T = object>(method: string, path: string, body?: object) =>
      later<T>(() => gateway.admin(method, path, body));
    const change = { name: "Renamed", balance: 400, turnstile_secret: `${turnstile_secret}-2` };
    const { requestId } = await ask<{ requestId: string }>("PATCH", "/tenants/shop", change);
    await later(() => credit(gateway, id, { reference: "invoice-9", note: "a private note" }));
    type Key = { id: string; key: string };
    const third = await later<Key>(() =>
      gateway.post("/v1/keys", { name: "own", kind: "secret" }, bearer(key)),
    );
    const second = await ask<Key>("POST", `/tenants/shop/keys/${keyId}/rotate`, { overlap_seconds: 60 });
    await ask("DELETE", `/tenants/shop/keys/${second.id}`);
    const task = await submitTask(gateway, third.key, { prompt: "a private prompt" });
    await ask("POST", `/tasks/${task.id}/refresh`);
    await ask("POST", `/tasks/${task.id}/fail`);

    const listed = await acts();
    const shown = listed.map(({ act, actor, subject }) => [act, actor, subject]).toReversed();
    const begin = [
      ["tenant.create", "admin", "shop"],
      ["key.create", "admin", keyId],
    ];
    expect(new Set(shown.slice(0, 2))).toEqual(new Set(begin));
    expect(shown.slice(2)).toEqual([
      ["tenant.change", "admin", "shop"],
      ["credits.give", "admin", "shop"],
      ["key.create", keyId, third.id],
      ["key.rotate", "admin", keyId],
      ["key.revoke", "admin", second.id],
      ["task.refresh", "admin", task.id],
      ["task.fail", "admin", task.id],
    ]);
    for (const line of listed) {
      expect(line).toMatchObject({
        tenant: "shop",
        at: nowSeconds(),
        request_id: expect.stringMatching(/^req-/),
      });
    }
    expect(listed.find(({ act }) => act === "tenant.change")).toMatchObject({
      request_id: requestId,
      details: { name: "Renamed", balance: 400 },
    });
    expect(listed.find(({ act }) => act === "credits.give")?.details).toEqual({
      type: "topup",
      amount: 100,
      reference: "invoice-9",
    });

    const text = JSON.stringify(listed);
    const { ADMIN_API_KEY, UPSTREAM_API_KEY, KEY_SIGNING_SECRET } = gateway.config;
    const secrets = [key, second.key, third.key].flatMap((one) => [one, one.split("_")[3] ?? one]);
    for (const secret of [
      ...secrets,
      turnstile_secret,
      ADMIN_API_KEY,
      UPSTREAM_API_KEY,
      KEY_SIGNING_SECRET,
    ]) {
      expect(text).not.toContain(secret);
    }
    expect(text).not.toContain("private");
  });

  it("has none for what was refused, replayed or only read", async () => {
    const { id } = await gateway.makeTenant({ id: "shop", balance: 100 });
    await credit(gateway, id);
    const before = await acts();
    await gateway.admin("POST", "/tenants", { id: "shop", name: "Again" });
    await gateway.admin("PATCH", "/tenants/shop", { status: "gone" });
    await gateway.admin("PATCH", "/tenants/no-such", { name: "x" });
    await gateway.admin("POST", "/tenants/no-such/keys", { name: "x", kind: "secret" });
    await credit(gateway, id);
    await credit(gateway, id, { amount: 7 });
    await credit(gateway, id, { type: "adjustment", amount: -900, reference: "too-much" });
    await gateway.admin("GET", "/tenants/shop");
    await gateway.admin("POST", "/tasks/task-x/fail");
    const after = await acts();
    expect(after.map(({ act }) => act)).toEqual(before.map(({ act }) => act));
  });

  it("comes in pages that together hold each line once", async () => {
    const { id } = await gateway.makeTenant();
    for (let i = 0; i < 5; i++) {
      gateway.advance(1_000);
      await makeKey(gateway, id, { name: `No. ${i}` });
    }
    const all = await acts();
    expect(all).toHaveLength(7);
    for (const limit of [1, 3, 7, 8]) {
      const found: AuditEntry[] = [];
      for (let cursor: string | null = ""; cursor !== null; ) {
        const page: Audit = await get(`/audit?acts_limit=${limit}&acts_cursor=${cursor}`);
        expect(page.acts.data.length).toBeLessThanOrEqual(limit);
        found.push(...page.acts.data);
        cursor = page.acts.next_cursor;
      }
      expect(found).toEqual(all);
    }
  });
});

describe("the self-check of many tenants", () => {
  it("goes on where it stopped, and counts each tenant once", async () => {
    const make = (i: number) => gateway.admin("POST", "/tenants", { id: `tenant-${100 + i}`, name: "x" });
    for (let i = 0; i < 53; i++) expect((await make(i)).status).toBe(201);
    const first = await get<Audit>("/audit");
    expect(first).toMatchObject({ ok: true, tenants_checked: 50, next_cursor: "tenant-149" });
    const rest = await get<Audit>(`/audit?cursor=${first.next_cursor}`);
    expect(rest).toMatchObject({ ok: true, tenants_checked: 3, next_cursor: null });
  });
});
