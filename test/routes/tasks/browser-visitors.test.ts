/**
 * All visitors of a page share its browser key. What one of them makes, no other is shown, by no replay and
 * by no guess; and one who asks too often is held back without the others.
 */
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { bearer, finishTask, type ShownTask, startGateway } from "../../helpers/gateway.ts";
import { makeBrowserKey, page, readFrom, submitFrom, taskIdOf } from "../../helpers/page-visitor.ts";
import { countTasks, expectError, makeKey, submit, upstreamCalls } from "../../helpers/routes.ts";

const gateway = startGateway();
let tenant = { id: "", key: "", keyId: "" };
let key = "";
beforeAll(async () => {
  tenant = await gateway.makeTenant({
    limits: { requests_per_minute: null, images_per_minute: null, concurrent_tasks: null },
  });
});
beforeEach(async () => {
  ({ key } = await makeBrowserKey(gateway, tenant.id, { limits: { images_per_minute: null } }));
});

let addresses = 0;
/** An address that no other test has asked from. */
function newAddress(): string {
  addresses += 1;
  return `198.51.100.${addresses}`;
}

const from = (ip: string) => ({ "cf-connecting-ip": ip });
const under = (name: string, ip: string) => ({ "idempotency-key": name, ...from(ip) });
const prompt = "a proposal that no other visitor may see";

describe("another visitor's task", () => {
  it("is not replayed to one who has the same key and body", async () => {
    const [mine, theirs] = [newAddress(), newAddress()];
    const id = await taskIdOf(await submitFrom(gateway, key, { prompt }, under("1", mine)));
    const again = await submitFrom(gateway, key, { prompt }, under("1", mine));
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect(await taskIdOf(again)).toBe(id);

    const other = await submitFrom(gateway, key, { prompt }, under("1", theirs));
    expect(other.headers.get("idempotency-replayed")).toBeNull();
    expect(await taskIdOf(other)).not.toBe(id);
  });

  it("is answered like the same key under another body: there is no 422 to learn from", async () => {
    await submitFrom(gateway, key, { prompt }, under("2", newAddress()));
    expect((await submitFrom(gateway, key, { prompt: "x" }, under("2", newAddress()))).status).toBe(200);
  });

  it("is not replayed to an address of the same subscriber either", async () => {
    const id = await taskIdOf(await submitFrom(gateway, key, { prompt }, under("3", "2001:db8:1:1::1")));
    const next = await submitFrom(gateway, key, { prompt }, under("3", "2001:db8:1:1::2"));
    expect(await taskIdOf(next)).not.toBe(id);
  });

  it("is not replayed to who says to have attempted before, from wherever", async () => {
    const ip = newAddress();
    const retry = { ...from(ip), "x-stainless-retry-count": "1" };
    const ids = new Set<string>();
    for (const headers of [from(ip), retry, retry, { "x-stainless-retry-count": "2" }]) {
      const response = await submitFrom(gateway, key, { prompt }, headers);
      expect(response.headers.get("idempotency-replayed")).toBeNull();
      ids.add(await taskIdOf(response));
    }
    expect(ids.size).toBe(4);
  });

  it("is not replayed across keys: another browser key, or the tenant's own server", async () => {
    const ip = newAddress();
    const { key: second } = await makeBrowserKey(gateway, tenant.id);
    const ids = [
      await taskIdOf(await submitFrom(gateway, key, { prompt }, under("4", ip))),
      await taskIdOf(await submitFrom(gateway, second, { prompt }, under("4", ip))),
      await taskIdOf(
        await gateway.post(
          "/v1/images/generations",
          { model: "wan-2.7-image", prompt },
          { ...bearer(tenant.key), ...under("4", ip) },
        ),
      ),
    ];
    expect(new Set(ids).size).toBe(3);
  });

  it("is in no list, whatever the query", async () => {
    await submitFrom(gateway, key, { prompt, end_user: "visitor" }, from(newAddress()));
    for (const path of ["/v1/tasks", "/v1/tasks?limit=100", "/v1/tasks?end_user=visitor", "/v1/tasks/"]) {
      const response = await gateway.fetch(path, { headers: { ...bearer(key), ...page } });
      expect([403, 404]).toContain(response.status);
      expect(await response.text()).not.toContain(prompt);
    }
  });

  it("is not found by guessing: neighbours of its id are as unknown as anything", async () => {
    const id = await taskIdOf(await submitFrom(gateway, key, { prompt }, from(newAddress())));
    const flip = (at: number) => id.slice(0, at) + (id[at] === "0" ? "1" : "0") + id.slice(at + 1);
    const guesses = [
      flip(id.length - 1),
      flip(20),
      id.toUpperCase(),
      id.slice(0, -1),
      `${id}0`,
      id.slice(0, 15),
      "%25",
    ];
    for (const guess of guesses) await expectError(await readFrom(gateway, key, guess), "task_not_found");
  });

  it("shows in its pictures' addresses nothing of the task's", async () => {
    const id = await taskIdOf(await submitFrom(gateway, key, { prompt }, from(newAddress())));
    const { images } = await finishTask(gateway, tenant.key, id);
    const shown: ShownTask = await (await readFrom(gateway, key, id)).json();
    expect(shown.images).toEqual(images);
    const name = new URL(images[0]?.url ?? "").pathname;
    // What two ids made at one time have in common is the time.
    expect(name).not.toContain(id.slice("task-".length, "task-".length + 10));
    expect((await gateway.fetch(name.replace(/img-\w+/, id))).status).toBe(404);
  });
});

/**
 * Submits until it is held back, which must cost nothing and send nothing.
 * @returns how many were let through in one minute of the limiter's, which goes by the real clock.
 */
async function letThrough(addressOf: (round: number) => string, keys = [key]): Promise<number> {
  const minute = () => Math.floor(Date.now() / 60_000);
  const traces = async () => [await countTasks(), upstreamCalls(gateway, "POST").length];
  for (let round = 0; round < 3; round++) {
    const start = minute();
    let count = 0;
    let before = await traces();
    let response = await submitFrom(gateway, keys[0] ?? "", {}, from(addressOf(round)));
    while (response.status === 200 && count++ < 50) {
      before = await traces();
      response = await submitFrom(gateway, keys[count % keys.length] ?? "", {}, from(addressOf(round)));
    }
    // In a second minute the key's own limit may come first.
    if (minute() !== start) continue;
    expect(response.headers.get("retry-after")).toBe("60");
    await expectError(response, "rate_limited");
    expect(await traces()).toEqual(before);
    return count;
  }
  throw new Error("no round within a minute");
}

describe("submissions from one address", () => {
  it("are 10 a minute, over all keys, and hold back no other address", async () => {
    const ips = [newAddress(), newAddress(), newAddress()];
    const { key: second } = await makeBrowserKey(gateway, tenant.id);
    expect(await letThrough((round) => ips[round] ?? "", [key, second])).toBe(10);
    expect((await submitFrom(gateway, key, {}, from(newAddress()))).status).toBe(200);
  });

  it("are counted by /64 where the address is IPv6", async () => {
    let host = 0;
    const within = (net: string) => `${net}:${(host++).toString(16)}:9abc:0:1`;
    expect(await letThrough((round) => within(`2001:db8:2:${round}`))).toBe(10);
    expect((await submitFrom(gateway, key, {}, from("2001:db8:2:ff::1"))).status).toBe(200);
  });

  it("are not limited so for a tenant's server", async () => {
    const ip = newAddress();
    const { key: own } = await makeKey(gateway, tenant.id, {});
    for (let i = 0; i < 12; i++) {
      const body = { model: "wan-2.7-image", prompt: "x" };
      const response = await gateway.post("/v1/images/generations", body, { ...bearer(own), ...from(ip) });
      expect(response.status).toBe(200);
    }
    expect((await submit(gateway, own)).status).toBe(200);
  });
});
