/**
 * Two tenants who have everything alike: what is one's does not exist for the other. An id of the other's and an
 * id that does not exist answer alike, byte for byte, and lists hold one's own.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { draw, fileOf, pathOf, type ShownFile, upload } from "../../helpers/files.ts";
import { bearer, finishTask, type ShownTask, startGateway, submitTask } from "../../helpers/gateway.ts";
import { makeBrowserKey, mintToken, page } from "../../helpers/page-visitor.ts";
import { comparable, makeKey } from "../../helpers/routes.ts";

const gateway = startGateway();

interface Side {
  id: string;
  key: string;
  keyId: string;
  tasks: ShownTask[];
  file: ShownFile;
  spare: { id: string; key: string };
  keys: Record<string, string>;
}

const prompts = ["the first tenant's harbour", "the second tenant's harbour"];

async function side(prompt: string): Promise<Side> {
  const tenant = await gateway.makeTenant({
    name: "Second",
    balance: 1_000,
    webhook: { url: "https://hooks.example/second" },
  });
  const { id } = await submitTask(gateway, tenant.key, { prompt, end_user: "ada" });
  const done = await finishTask(gateway, tenant.key, id);
  const open = await submitTask(gateway, tenant.key, { prompt, end_user: "ada" });
  const life = { ttl_seconds: 3_600 };
  return {
    ...tenant,
    tasks: [done, open],
    file: await fileOf(await upload(gateway, tenant.key, await draw("png"))),
    spare: await makeKey(gateway, tenant.id, { name: "spare" }),
    keys: {
      secret: tenant.key,
      browser: (await makeBrowserKey(gateway, tenant.id)).key,
      token: await mintToken(gateway, tenant.key, life),
      "end user's token": await mintToken(gateway, tenant.key, { ...life, end_user: "ada" }),
    },
  };
}

let [mine, theirs] = [{} as Side, {} as Side];
beforeAll(async () => {
  mine = await side(prompts[0] ?? "");
  theirs = await side(prompts[1] ?? "");
});

/** The same letters in another order of magnitude: an id of the right shape that does not exist. */
const nobodys = (id: string) => id.slice(0, -8) + (id.endsWith("0") ? "1" : "0").repeat(8);

interface Asked {
  /** As the document has it. */
  operation: string;
  idOf(owner: Side): string;
  pathOf(id: string): string;
  body?: object;
  keys: string[];
}

/** The id under which its first task's end is sent. */
const deliveryOf = (owner: Side) => `msg-${owner.tasks[0]?.id.slice("task-".length)}-w`;

const everybody = ["secret", "browser", "token", "end user's token"];
const routes: Asked[] = [
  ...[0, 1].map((which) => ({
    operation: "GET /v1/tasks/{id}",
    idOf: (owner: Side) => owner.tasks[which]?.id ?? "",
    pathOf: (id: string) => `/v1/tasks/${id}`,
    keys: everybody,
  })),
  {
    operation: "DELETE /v1/end-users/{id}",
    idOf: (owner) => `a user of ${owner.id}`,
    pathOf: (id) => `/v1/end-users/${encodeURIComponent(id)}`,
    keys: everybody,
  },
  {
    operation: "DELETE /v1/tasks/{id}",
    idOf: (owner) => owner.tasks[0]?.id ?? "",
    pathOf: (id) => `/v1/tasks/${id}`,
    keys: everybody,
  },
  {
    operation: "DELETE /v1/files/{id}",
    idOf: (owner) => owner.file.id,
    pathOf: (id) => `/v1/files/${id}`,
    keys: everybody,
  },
  {
    operation: "GET /v1/tasks/{id}/events",
    idOf: (owner) => owner.tasks[0]?.id ?? "",
    pathOf: (id) => `/v1/tasks/${id}/events`,
    keys: everybody,
  },
  {
    operation: "POST /v1/tasks/{id}/cancel",
    idOf: (owner) => owner.tasks[1]?.id ?? "",
    pathOf: (id) => `/v1/tasks/${id}/cancel`,
    keys: everybody,
  },
  {
    operation: "POST /v1/keys/{key}/rotate",
    idOf: (owner) => owner.spare.id,
    pathOf: (id) => `/v1/keys/${id}/rotate`,
    body: {},
    keys: everybody,
  },
  {
    operation: "DELETE /v1/keys/{key}",
    idOf: (owner) => owner.spare.id,
    pathOf: (id) => `/v1/keys/${id}`,
    keys: everybody,
  },
  {
    operation: "POST /v1/webhook/deliveries/{id}/retry",
    idOf: (owner) => deliveryOf(owner),
    pathOf: (id) => `/v1/webhook/deliveries/${id}/retry`,
    body: {},
    keys: everybody,
  },
  {
    operation: "GET /v1/webhook/deliveries",
    idOf: (owner) => owner.tasks[0]?.id ?? "",
    pathOf: (id) => `/v1/webhook/deliveries?task=${id}`,
    keys: ["secret"],
  },
  {
    operation: "GET /v1/ledger",
    idOf: (owner) => owner.tasks[0]?.id ?? "",
    pathOf: (id) => `/v1/ledger?task=${id}`,
    keys: ["secret"],
  },
];
const table = routes.flatMap((route) => route.keys.map((kind) => ({ ...route, kind })));

function ask({ operation, pathOf, body }: Asked, id: string, kind: string): Promise<Response> {
  const [method = ""] = operation.split(" ");
  const headers = { ...bearer(mine.keys[kind] ?? ""), ...(kind === "secret" ? {} : page) };
  if (body) return gateway.post(pathOf(id), body, headers);
  return gateway.fetch(pathOf(id), { method, headers });
}

describe("another tenant's id", () => {
  it.each(table)("is answered as one that does not exist: $operation with a $kind key", async (asked) => {
    const foreign = asked.idOf(theirs);
    expect(foreign).not.toBe("");
    const unknown = await comparable(await ask(asked, nobodys(foreign), asked.kind));
    expect(await comparable(await ask(asked, foreign, asked.kind))).toEqual(unknown);
    expect(JSON.stringify(unknown)).not.toContain(prompts[1]);
  });

  it("is asked for on every route that takes one", async () => {
    const document: { paths: Record<string, object> } = await (await gateway.fetch("/openapi.json")).json();
    const withId = Object.entries(document.paths)
      .filter(([path]) => path.startsWith("/v1/") && path.includes("{"))
      .flatMap(([path, item]) => Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`));
    const asked = routes.map(({ operation }) => operation);
    expect(withId.filter((operation) => !asked.includes(operation))).toEqual([]);
  });

  it("was touched by none of that: what it names works as before", async () => {
    for (const { key } of [theirs, theirs.spare]) {
      const task = await gateway.fetch(`/v1/tasks/${theirs.tasks[0]?.id}`, { headers: bearer(key) });
      const { links: _signedByEach, ...shown } = (await task.json()) as ShownTask;
      expect(theirs.tasks[0]).toMatchObject(shown);
    }
  });

  it("of a file cannot be named as a reference, and the file is still there", async () => {
    const body = (file: string) => ({ model: "wan-2.7-image", prompt: "the same", image_urls: [file] });
    const ask = async (url: string) => {
      const reply = await gateway.post("/v1/images/generations", body(url), bearer(mine.key));
      const { body: text, status } = (await comparable(reply)) as { body: string; status: number };
      return { status, text };
    };
    const foreign = await ask(theirs.file.url);
    expect(foreign).toEqual(await ask(theirs.file.url.replace(theirs.file.id, nobodys(theirs.file.id))));
    expect(foreign.status).toBe(400);
    expect((await gateway.fetch(pathOf(theirs.file))).status).toBe(200);
  });

  it("of an idempotency key finds nothing of theirs", async () => {
    const headers = { "idempotency-key": "order-1" };
    const body = { model: "wan-2.7-image", prompt: "the same" };
    const ids = new Set<string>();
    for (const { key } of [theirs, mine]) {
      const response = await gateway.post("/v1/images/generations", body, { ...bearer(key), ...headers });
      expect(response.headers.get("idempotency-replayed")).toBeNull();
      ids.add(((await response.json()) as ShownTask).id);
    }
    expect(ids.size).toBe(2);
  });
});

describe("a list", () => {
  const lists = [
    "/v1/keys?limit=100",
    "/v1/webhook/deliveries?limit=100",
    "/v1/ledger?limit=100",
    "/v1/usage",
    "/v1/ledger?format=csv",
    "/v1/usage?format=csv",
  ];

  it.each(lists)("holds what is one's own, and nothing of the other's: %s", async (path) => {
    const text = await (await gateway.fetch(path, { headers: bearer(mine.key) })).text();
    for (const foreign of [theirs.id, theirs.keyId, theirs.spare.id, ...theirs.tasks.map(({ id }) => id)]) {
      expect(text).not.toContain(foreign);
    }
    if (path.startsWith("/v1/keys")) expect(text).toContain(mine.spare.id);
    if (path.startsWith("/v1/webhook")) expect(text).toContain(deliveryOf(mine));
    if (path.startsWith("/v1/ledger")) expect(text).toContain(mine.tasks[0]?.id);
  });

  it("starts at another tenant's cursor with nothing of theirs", async () => {
    const [first = ""] = [theirs.keyId, theirs.spare.id].toSorted((a, b) => (a < b ? -1 : 1));
    const path = `/v1/keys?limit=100&cursor=${first}`;
    const { data }: { data: { id: string }[] } = await (
      await gateway.fetch(path, { headers: bearer(mine.key) })
    ).json();
    const own = await gateway.fetch("/v1/keys?limit=100", { headers: bearer(mine.key) });
    const all: { data: { id: string }[] } = await own.json();
    expect(data).toEqual(all.data.filter(({ id }) => id > first));
  });

  it("of usage does not count what another one does", async () => {
    const usage = async () =>
      (await gateway.fetch("/v1/usage", { headers: bearer(theirs.key) })).json() as Promise<object>;
    const before = await usage();
    await submitTask(gateway, mine.key, { n: 3 });
    expect(await usage()).toEqual(before);
  });
});
