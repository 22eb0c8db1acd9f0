/** A tenant's list of tasks: its own, all of them once, newest first, and for a token its end user's alone. */
import { beforeAll, describe, expect, it } from "vitest";
import {
  bearer,
  finishTask,
  origin,
  type ShownTask,
  startGateway,
  submitTask,
} from "../../helpers/gateway.ts";
import { expectError, submit } from "../../helpers/routes.ts";

const gateway = startGateway();
let key = "";
let tenantId = "";
const made: string[] = [];

interface Page {
  data: ShownTask[];
  next_cursor: string | null;
}

async function list(query = "", as = key, headers: Record<string, string> = {}): Promise<Page> {
  const response = await gateway.fetch(`/v1/tasks${query}`, { headers: { ...bearer(as), ...headers } });
  expect(response.status).toBe(200);
  return (await response.json()) as Page;
}
const ids = ({ data }: Page) => data.map(({ id }) => id);

beforeAll(async () => {
  ({ key, id: tenantId } = await gateway.makeTenant());
  const other = await gateway.makeTenant();
  await submitTask(gateway, other.key, { end_user: "u-1" });
  const bodies = [
    { end_user: "u-1" },
    { model: "wan-2.7-image-pro" },
    { end_user: "u-2" },
    { prompt: "a boat [sim:fail] [sim:seconds=0]" },
    { end_user: "u-1", prompt: "a boat [sim:seconds=600]" },
  ];
  for (const body of bodies) {
    made.unshift((await submitTask(gateway, key, body)).id);
    gateway.advance(1_000);
  }
  gateway.simulator.control.script({
    on: "submit",
    match: { prompt: "refused" },
    do: { kind: "error", status: 400, code: "content_policy_violation" },
  });
  await expectError(await submit(gateway, key, { prompt: "refused" }), "content_policy_violation");
  await finishTask(gateway, key, made[2] ?? "");
});

describe("a tenant's list", () => {
  it("has its own tasks, newest first, and none that was refused while the caller waited", async () => {
    expect(ids(await list())).toEqual(made);
  });

  it.each([1, 2, 3, 5, 100])("has each of them once, in pages of %i", async (limit) => {
    const seen: string[] = [];
    let cursor: string | null = "";
    while (cursor !== null) {
      const page: Page = await list(`?limit=${limit}&cursor=${cursor}`);
      expect(page.data.length).toBeLessThanOrEqual(limit);
      seen.push(...ids(page));
      cursor = page.next_cursor;
    }
    expect(seen).toEqual(made);
  });

  it.each([
    ["?end_user=u-1", [0, 4]],
    ["?model=wan-2.7-image-pro", [3]],
    ["?status=failed", [1]],
    ["?status=completed", [2, 3, 4]],
    ["?status=completed&end_user=u-1", [4]],
    ["?status=cancelled", []],
    ["?end_user=no-such", []],
  ])("shows what is asked for: %s", async (query, places) => {
    const found = ids(await list(query)).map((id) => made.indexOf(id));
    expect(found).toEqual(places);
  });

  it("shows a range of time", async () => {
    const [, , middle] = (await list()).data;
    const created = Number(middle?.created);
    expect(ids(await list(`?created_after=${created}`))).toEqual(made.slice(0, 3));
    expect(ids(await list(`?created_before=${created}`))).toEqual(made.slice(3));
    expect(ids(await list(`?created_after=${created}&created_before=${created + 1}`))).toEqual([made[2]]);
  });

  it("shows tasks as reading them does", async () => {
    const [task] = (await list("?status=completed&limit=1")).data;
    const read = await gateway.fetch(`/v1/tasks/${task?.id}`, { headers: bearer(key) });
    expect(await read.json()).toEqual(task);
  });

  it.each([
    ["limit=0", "limit"],
    ["limit=101", "limit"],
    ["limit=x", "limit"],
    ["status=done", "status"],
    ["model=gpt-image-1", "model"],
    ["created_after=yesterday", "created_after"],
    ["created_before=-1", "created_before"],
    ["created_after=2&created_before=1", "created_after"],
  ])("refuses %s", async (query, param) => {
    await expectError(
      await gateway.fetch(`/v1/tasks?${query}`, { headers: bearer(key) }),
      "invalid_request",
      param,
    );
  });
});

describe("a client token's list", () => {
  async function mint(fields: object): Promise<string> {
    const body = { allowed_origins: [origin], ...fields };
    const response = await gateway.post("/v1/client-tokens", body, bearer(key));
    return ((await response.json()) as { token: string }).token;
  }

  it("is its end user's, whatever it asks for, and shows no credits", async () => {
    const token = await mint({ end_user: "u-1" });
    for (const query of ["", "?end_user=u-2"]) {
      const page = await list(query, token, { origin });
      expect(ids(page)).toEqual([made[0], made[4]]);
      expect(JSON.stringify(page)).not.toContain("credits");
    }
  });

  it("is none without an end user, nor with a browser key", async () => {
    const token = await mint({});
    const browser = { name: "page", kind: "browser", allowed_origins: [origin] };
    const made = await gateway.admin("POST", `/tenants/${tenantId}/keys`, browser);
    const { key: browserKey } = (await made.json()) as { key: string };
    for (const as of [token, browserKey]) {
      const response = await gateway.fetch("/v1/tasks", { headers: { ...bearer(as), origin } });
      await expectError(response, "scope_denied");
    }
  });
});
