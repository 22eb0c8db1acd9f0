/**
 * Edits that are refused once their images have been read, and edits that come twice: no files stay that no task was
 * made of, nothing of them is counted, and a replay gets its task whatever the first attempt has used up.
 */
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Bytes, draw, left } from "../../helpers/files.ts";
import { type Around, startGateway } from "../../helpers/gateway.ts";
import { attempted, replyOf, taskIdOf } from "../../helpers/openai.ts";
import { askEdit, type Field, livingFiles } from "../../helpers/openai-edits.ts";
import { mintToken, page } from "../../helpers/page-visitor.ts";
import { deleteTasks, expectError, expectUnknown } from "../../helpers/routes.ts";
import { virtualTime } from "../../helpers/virtual-time.ts";

let fault: Around | undefined;
const gateway = startGateway({
  time: virtualTime(),
  around: (name, call) => (fault ? fault(name, call) : call()),
});
let tenant = { id: "", key: "", keyId: "" };
let [png, jpeg, other] = [new Uint8Array(), new Uint8Array(), new Uint8Array()] as [Bytes, Bytes, Bytes];
beforeAll(async () => {
  [png, jpeg, other] = [await draw("png"), await draw("jpeg"), await draw("png", 320, 240, 9)];
});
beforeEach(async () => {
  await deleteTasks();
  gateway.simulator.control.reset();
  fault = undefined;
  tenant = await gateway.makeTenant({ balance: 500 });
});

const ask = (key: string, headers: Record<string, string> = {}, images = [png, jpeg], texts: Field[] = []) =>
  askEdit(gateway, key, images, { headers, texts });
const upstreamTasks = () => gateway.simulator.control.tasks().length;

/** Sends an edit that leaves no file, and uses up none of what files are counted by. */
async function leavingNothing(tenantId: string, send: () => Promise<Response>): Promise<Response> {
  const before = new Set(await livingFiles());
  const { files, bytes } = await left(gateway, tenantId);
  const response = await send();
  const added = async () => (await livingFiles()).filter((key) => !before.has(key));
  await expect.poll(added).toEqual([]);
  await expect.poll(() => left(gateway, tenantId)).toMatchObject({ files, bytes });
  expect((await gateway.invocation().tenant(tenantId).check()).problems).toEqual([]);
  return response;
}

describe("an edit that is refused leaves no files, and takes none from the day's:", () => {
  it("for want of credits", async () => {
    const { id, key } = await gateway.makeTenant({ balance: 20 });
    await expectError(await leavingNothing(id, () => ask(key)), "insufficient_balance");
    expect(upstreamTasks()).toBe(0);
  });

  it("for a limit on images", async () => {
    const { id, key } = await gateway.makeTenant({ limits: { images_per_minute: 1 } });
    await replyOf(await ask(key));
    const refused = await leavingNothing(id, () => ask(key, {}, [other]));
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    await expectError(refused, "rate_limited");
    expect(upstreamTasks()).toBe(1);
  });

  it.each(["content_policy_violation", "invalid_parameters"] as const)(
    "by the upstream, for %s",
    async (code) => {
      gateway.simulator.control.script({ on: "submit", do: { kind: "error", status: 400, code } });
      await expectError(await leavingNothing(tenant.id, () => ask(tenant.key)), code);
      expect(upstreamTasks()).toBe(0);
    },
  );

  it("by the upstream, which could not fetch one of them, naming the field that it came in", async () => {
    const code = "invalid_media_url";
    gateway.simulator.control.script({ on: "submit", do: { kind: "error", status: 400, code } });
    await expectError(await leavingNothing(tenant.id, () => ask(tenant.key)), code, "image");
  });

  it("for a day's files that do not suffice for all of its images", async () => {
    const { id, key } = await gateway.makeTenant({ limits: { files_per_day: 3 } });
    await replyOf(await ask(key));
    const refused = await leavingNothing(id, () => ask(key, {}, [other, png]));
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(refused.headers.get("ratelimit")).toMatch(/"requests"/);
    await expectError(refused, "quota_exceeded");
    await replyOf(await ask(key, {}, [other]));
    expect(await left(gateway, id)).toMatchObject({ files: 0 });
  });

  it("for bytes that would never fit", async () => {
    const { id, key } = await gateway.makeTenant({ limits: { file_bytes: jpeg.length } });
    const refused = await leavingNothing(id, () => ask(key, {}, [jpeg, png]));
    const code = png.length > jpeg.length ? "invalid_request" : "quota_exceeded";
    await expectError(refused, code, code === "invalid_request" ? "image" : null);
  });

  it("for what a page may not ask for", async () => {
    const token = await mintToken(gateway, tenant.key);
    const texts: Field[] = [["callback_url", "https://hooks.example"]];
    const refused = await leavingNothing(tenant.id, () => ask(token, page, [png], texts));
    await expectError(refused, "scope_denied", "callback_url");
  });

  it("when one of its images cannot be stored", async () => {
    let puts = 0;
    fault = async (name, call) => {
      if (name === "R2 put" && ++puts === 2) throw new Error("unavailable");
      return call();
    };
    const before = new Set(await livingFiles());
    await expectError(await ask(tenant.key), "unavailable");
    await expect.poll(async () => (await livingFiles()).filter((key) => !before.has(key))).toEqual([]);
    await expect.poll(() => left(gateway, tenant.id)).toMatchObject({ bytes: 1_073_741_824 });
    expect(upstreamTasks()).toBe(0);
  });
});

describe("an edit of which it is not known whether there is a task", () => {
  it("keeps its files, so that the task can be made of them", async () => {
    let begun = 0;
    fault = async (name, call) => {
      if (name === "object giveUp") throw new Error("the object is away");
      const result = await call();
      // The first one only asks.
      if (name === "object begin" && ++begun > 1) throw new Error("the answer is lost");
      return result;
    };
    const before = await livingFiles();
    const named = await expectUnknown(await ask(tenant.key, attempted(0)));
    fault = undefined;
    const response = await leavingNothing(tenant.id, () => {
      const again = ask(tenant.key, attempted(1));
      return gateway
        .sleep(120_000)
        .then(() => gateway.tick())
        .then(() => again);
    });
    expect((await replyOf(response)).data).toHaveLength(1);
    expect(taskIdOf(response)).toBe(named);
    expect(await livingFiles()).toHaveLength(before.length + 2);
    expect(upstreamTasks()).toBe(1);
  });
});

describe("the same edit again", () => {
  const ways: [string, Record<string, string>, Record<string, string>][] = [
    ["under an Idempotency-Key", { "idempotency-key": "a" }, { "idempotency-key": "a" }],
    ["by a client that tries again by itself", attempted(0), attempted(1)],
  ];
  it.each(ways)("%s is the same task, with one set of files", async (_way, headers, again) => {
    const first = await ask(tenant.key, headers);
    await replyOf(first);
    const second = await leavingNothing(tenant.id, () => ask(tenant.key, again));
    await replyOf(second);
    expect(taskIdOf(second)).toBe(taskIdOf(first));
    expect(second.headers.get("idempotency-replayed")).toBe("true");
    expect(upstreamTasks()).toBe(1);
    const [{ body } = { body: undefined }] = gateway.simulator.control.tasks();
    const living = (await livingFiles()).map((key) => key.replace("files/", ""));
    for (const url of body?.image_urls ?? []) expect(living).toContain(/(file-\w+)\./.exec(url)?.[1]);
  });

  it.each(ways)(
    "%s is the same task, also when the first attempt has used up the day's files",
    async (_way, headers, again) => {
      const { id, key } = await gateway.makeTenant({ limits: { files_per_day: 2 } });
      const first = await ask(key, headers);
      await replyOf(first);
      const second = await leavingNothing(id, () => ask(key, again));
      await replyOf(second);
      expect(taskIdOf(second)).toBe(taskIdOf(first));
      await expectError(await ask(key, {}, [other]), "quota_exceeded");
    },
  );

  it("with a client token whose uploads are used up is the same task", async () => {
    const token = await mintToken(gateway, tenant.key, { max_images: 1 });
    const headers = { ...page, "idempotency-key": "a" };
    const four = [png, jpeg, other, png];
    const first = await ask(token, headers, four);
    await replyOf(first);
    expect(taskIdOf(await ask(token, headers, four))).toBe(taskIdOf(first));
    await expectError(await ask(token, { ...headers, "idempotency-key": "b" }, four), "token_spent");
  });

  it.each<[string, () => Bytes[], Field[]]>([
    ["other bytes", () => [png, other], []],
    ["another order", () => [jpeg, png], []],
    ["one image less", () => [png], []],
    ["another number", () => [png, jpeg], [["n", "2"]]],
  ])(
    "under its Idempotency-Key, but with %s, is refused, and leaves no files",
    async (_what, images, texts) => {
      const name = { "idempotency-key": "a" };
      await replyOf(await ask(tenant.key, name));
      const refused = await leavingNothing(tenant.id, () => ask(tenant.key, name, images(), texts));
      await expectError(refused, "idempotency_key_reused");
      expect(upstreamTasks()).toBe(1);
    },
  );
});
