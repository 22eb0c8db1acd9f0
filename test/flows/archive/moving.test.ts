/**
 * Tasks that go to the archive, or come back, while they are read: before each call of the reader's. None is shown twice, missed,
 * or said to be none or erased. A reader that is late finds the objects swept, too.
 */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { addUp } from "../../../src/d1/cron/sums.ts";
import { archiveSome } from "../../../src/flows/archive/archive-tasks.ts";
import { restoreArchive } from "../../../src/flows/archive/restore-archive.ts";
import { archiveAll, copyTask, dayMs, rowsInDatabase } from "../../helpers/archived.ts";
import {
  type Around,
  bearer,
  finishTask,
  startGateway,
  submitTask,
  type TestGateway,
} from "../../helpers/gateway.ts";
import { emptyStores } from "../../helpers/setup.ts";

let gateway: TestGateway;
/** What all tasks are like. */
let like = "";
beforeEach(async () => {
  await emptyStores();
  gateway = startGateway();
  const { key } = await gateway.makeTenant();
  like = (await submitTask(gateway, key, { prompt: "a secret cove" })).id;
  await finishTask(gateway, key, like);
});

/** A tenant with tasks that are due for the archive. */
async function tenantWithOld() {
  const tenant = await gateway.makeTenant();
  const copies = [0, 1_000, 2_000].map((ms) => ({ createdMs: gateway.now() + ms, tenantId: tenant.id }));
  const ids = await copyTask(like, copies);
  gateway.advance(70 * dayMs);
  await addUp(env.DB, gateway.now());
  return { ...tenant, ids };
}

const restore = (tenantId: string) =>
  restoreArchive(gateway.invocation(), { actor: "admin", requestId: "req-restore" }, tenantId, {
    fromMs: 0,
    toMs: gateway.now(),
  });
/** Deletes the objects that no part is any more; archives nothing. */
const sweep = () =>
  archiveSome(startGateway({ beside: gateway, vars: { ARCHIVE_TASKS_AFTER_DAYS: 0 } }).invocation());

type Tenant = Awaited<ReturnType<typeof tenantWithOld>>;
interface Move {
  /** What has moved before. */
  before(one: Tenant): Promise<unknown>;
  move(tenantId: string): Promise<unknown>;
  isBack: boolean;
}
const archive = (tenantId: string) => archiveAll(gateway, tenantId);
const isOpen = (id: string | undefined, open: 0 | 1) =>
  env.DB.prepare("UPDATE tasks SET open = ?2 WHERE id = ?1").bind(id, open).run();

const moves: Record<string, Move> = {
  archived: { before: async () => {}, move: archive, isBack: false },
  "archived between others, and what was their part is swept": {
    async before({ id, ids }) {
      await isOpen(ids[1], 1);
      await archive(id);
      await isOpen(ids[1], 0);
    },
    move: (tenantId) => archive(tenantId).then(sweep),
    isBack: false,
  },
  restored: { before: ({ id }) => archive(id), move: restore, isBack: true },
  "restored and swept": {
    before: ({ id }) => archive(id),
    move: (tenantId) => restore(tenantId).then(sweep),
    isBack: true,
  },
};

/** Has a tenant's tasks move before the call of each number, as long as the reader makes one. */
async function beforeEachCall(
  how: string,
  read: (by: TestGateway, one: Tenant, at: string) => Promise<void>,
): Promise<number> {
  const { before, move, isBack } = moves[how] as Move;
  for (let at = 0; ; at++) {
    const one = await tenantWithOld();
    await before(one);
    let calls = 0;
    const around: Around = async (_name, call) => {
      if (calls++ === at) await move(one.id);
      return call();
    };
    await read(startGateway({ beside: gateway, around }), one, `before call ${at}`);
    if (calls <= at) return calls;
    const rows = await rowsInDatabase(one.id);
    expect(rows === one.ids.length).toBe(isBack);
  }
}

describe.each(Object.keys(moves))("tasks that are %s meanwhile", (how) => {
  it.each(["", "&end_user=none", "&status=failed"])("are listed once: %s", async (filter) => {
    const calls = await beforeEachCall(how, async (by, { key, ids }, at) => {
      const response = await by.fetch(`/v1/tasks?limit=50${filter}`, { headers: bearer(key) });
      const page = await response.json<{ data: { id: string }[]; next_cursor: string | null }>();
      const listed = page.data.map(({ id }) => id);
      const wanted = filter === "" ? ids.toReversed() : [];
      expect([at, listed, page.next_cursor]).toEqual([at, wanted, null]);
    });
    expect(calls).toBeGreaterThan(1);
  });

  it("are listed once, in pages", async () => {
    await beforeEachCall(how, async (by, { key, ids }, at) => {
      const listed: string[] = [];
      for (let cursor: string | null = ""; cursor !== null; ) {
        const response = await by.fetch(`/v1/tasks?limit=2&cursor=${cursor}`, { headers: bearer(key) });
        const page: { data: { id: string }[]; next_cursor: string | null } = await response.json();
        listed.push(...page.data.map(({ id }) => id));
        cursor = page.next_cursor;
      }
      expect([at, listed]).toEqual([at, ids.toReversed()]);
    });
  });

  it("are in the operator's list of all tenants, or it says that it ends at the archive", async () => {
    await beforeEachCall(how, async (by, { ids }, at) => {
      const response = await by.admin("GET", "/tasks?limit=100");
      const page = await response.json<{ data: { id: string }[]; next_cursor: string | null }>();
      const listed = page.data.map(({ id }) => id).filter((id) => ids.includes(id));
      if (page.next_cursor === "archive") expect([at, [...new Set(listed)]]).toEqual([at, listed]);
      else expect([at, listed]).toEqual([at, ids.toReversed()]);
    });
  });

  it("are found by their tenant", async () => {
    await beforeEachCall(how, async (by, { key, ids }, at) => {
      const response = await by.fetch(`/v1/tasks/${ids[1]}`, { headers: bearer(key) });
      expect([at, response.status]).toEqual([at, 200]);
    });
  });

  it.each([
    ["GET", ""],
    ["POST", "/refresh"],
    ["POST", "/fail"],
  ])("are found by the operator: %s %s", async (method, action) => {
    await beforeEachCall(how, async (by, { ids }, at) => {
      const response = await by.admin(method, `/tasks/${ids[1]}${action}`);
      expect([at, response.status]).toEqual([at, 200]);
    });
  });

  it("are erased when the reply says so", async () => {
    await beforeEachCall(how, async (by, { key, ids }, at) => {
      const path = `/v1/tasks/${ids[0]}`;
      const { status } = await by.fetch(path, { method: "DELETE", headers: bearer(key) });
      // Where their part changes each time it is to be asked for again.
      if (status === 503 && how.includes("between others")) return;
      const after = await gateway.fetch(path, { headers: bearer(key) });
      expect([at, status, after.status]).toEqual([at, 204, 410]);
    });
  });
});
