/** Edits are counted before they are read: what fails costs a request, and what the limits refuse is not read at all. */
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { idempotencyLifeMs } from "../../../src/domain/replay-life.ts";
import { type Bytes, draw, left, storedFiles } from "../../helpers/files.ts";
import { type Around, bearer, startGateway, type TestGateway } from "../../helpers/gateway.ts";
import { replyOf, taskIdOf } from "../../helpers/openai.ts";
import { askEdit, livingFiles, openAiEdits } from "../../helpers/openai-edits.ts";
import { deleteTasks, expectError, makeKey, policy } from "../../helpers/routes.ts";
import { virtualTime } from "../../helpers/virtual-time.ts";

const calls: string[] = [];
/** Happens once the object has counted. */
let onCount = () => {};
const around: Around = async (name, call) => {
  calls.push(name);
  const result = await call();
  if (name === "object countRequest") onCount();
  return result;
};
const gateway = startGateway({ time: virtualTime(), around });
let png = new Uint8Array() as Bytes;
let other = png;
beforeAll(async () => {
  [png, other] = [await draw("png"), await draw("png", 320, 240, 2)];
});
beforeEach(deleteTasks);

/** Sends a body that says when it was asked for. */
function sendAsked(at: TestGateway, key: string, headers: Record<string, string> = {}) {
  const read = { atCall: -1 };
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (read.atCall < 0) read.atCall = calls.length;
        controller.enqueue(new Uint8Array(65_536));
        controller.close();
      },
    },
    { highWaterMark: 0 },
  );
  const type = { "content-type": "multipart/form-data; boundary=x" };
  const reply = at.fetch(openAiEdits, {
    method: "POST",
    headers: { ...bearer(key), ...type, ...headers },
    body,
  });
  return { read, reply };
}

describe.each(["tenant", "key"])("edits that come to nothing, with a limit of the %s's", (whose) => {
  const limits = { requests_per_minute: 5 };
  const start = async () => {
    const tenant = await gateway.makeTenant(whose === "tenant" ? { limits } : {});
    return whose === "tenant" ? tenant : { ...tenant, ...(await makeKey(gateway, tenant.id, { limits })) };
  };

  it("cost a request each: from the sixth on the object refuses them, before a byte is read", async () => {
    const { key } = await start();
    for (let request = 1; request <= 5; request++) {
      const reply = await sendAsked(gateway, key).reply;
      expect(policy(reply.headers, "RateLimit", "requests")).toMatchObject({ r: 5 - request });
      await expectError(reply, "invalid_request", "image");
    }
    const begun = calls.length;
    for (let request = 6; request <= 34; request++) {
      const before = calls.length;
      const { read, reply } = sendAsked(gateway, key);
      const refused = await reply;
      expect(calls.slice(before)).toEqual(["object countRequest"]);
      // What is read of it then is dropped, so that the client gets the reply.
      expect(read.atCall).toBe(before + 1);
      expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
      expect(policy(refused.headers, "RateLimit", "requests")).toMatchObject({ r: 0 });
      await expectError(refused, "rate_limited");
    }
    expect(calls.slice(begun)).not.toContain("object begin");
  });
});

describe("an edit that is taken", () => {
  it("costs no writing again, neither as a replay nor with another picture under its key", async () => {
    const { id, key } = await gateway.makeTenant({ limits: { requests_per_minute: 2 } });
    const headers = { "idempotency-key": "c" };
    await replyOf(await askEdit(gateway, key, [png], { headers }));
    const kept = await storedFiles();
    const at = await left(gateway, id);
    for (let again = 0; again < 3; again++) {
      const before = calls.length;
      await expectError(await askEdit(gateway, key, [other], { headers }), "idempotency_key_reused");
      expect(calls.slice(before)).toEqual(["object countRequest", "object begin"]);
      await replyOf(await askEdit(gateway, key, [png], { headers }));
    }
    expect(calls).toContain("object admitFile");
    expect(await storedFiles()).toEqual(kept);
    expect(await left(gateway, id)).toEqual(at);
  });

  it("is made under a key that runs out meanwhile, and counts", async () => {
    const later = startGateway({ around });
    const { key } = await later.makeTenant({ limits: { requests_per_minute: 2 } });
    const headers = { "idempotency-key": "d" };
    const first = await askEdit(later, key, [png], { headers });
    await replyOf(first);
    later.advance(idempotencyLifeMs - 60_000);
    onCount = () => later.advance(120_000);
    const second = await askEdit(later, key, [png], { headers });
    onCount = () => {};
    await replyOf(second);
    expect(taskIdOf(second)).not.toBe(taskIdOf(first));
    expect(policy(second.headers, "RateLimit", "requests")).toMatchObject({ r: 1 });
  });

  it("counts as one request, with its first call to the object before its body", async () => {
    const { id, key } = await gateway.makeTenant({ limits: { requests_per_minute: 5 } });
    const before = calls.length;
    const response = await askEdit(gateway, key, [png]);
    await replyOf(response);
    expect(calls[before]).toBe("object countRequest");
    expect(policy(response.headers, "RateLimit", "requests")).toMatchObject({ r: 4 });
    expect(await left(gateway, id)).toMatchObject({ requests: 4 });
  });

  it("is taken up to the limit, and each once", async () => {
    const { key } = await gateway.makeTenant({ limits: { requests_per_minute: 2 } });
    for (let request = 0; request < 2; request++) await replyOf(await askEdit(gateway, key, [png]));
    await expectError(await askEdit(gateway, key, [png]), "rate_limited");
  });

  it("is answered to a replay by its key whatever the limits, at no cost", async () => {
    const { id, key } = await gateway.makeTenant({ limits: { requests_per_minute: 1 } });
    const headers = { "idempotency-key": "a" };
    const first = await askEdit(gateway, key, [png], { headers });
    await replyOf(first);
    const kept = await livingFiles();
    for (let again = 0; again < 3; again++) {
      const replay = await askEdit(gateway, key, [png], { headers });
      await replyOf(replay);
      expect(taskIdOf(replay)).toBe(taskIdOf(first));
      expect(replay.headers.get("idempotency-replayed")).toBe("true");
    }
    expect(await left(gateway, id)).toMatchObject({ requests: 0 });
    await expect.poll(livingFiles).toEqual(kept);
    await expectError(
      await askEdit(gateway, key, [png], { headers: { "idempotency-key": "b" } }),
      "rate_limited",
    );
  });
});

describe("an edit that is refused", () => {
  const four = () => [png, png, png, png];
  /** What it does to storage. */
  const writing = () =>
    calls.filter((name) => /^(?:R2|D1|object (?:admitFile|keepFile|dropFile))/.test(name));

  it.each([
    ["for its tenant's images of the day", { limits: { images_per_day: 1 } }, "quota_exceeded"],
    ["for want of credits", { balance: 30 }, "insufficient_balance"],
    ["for the tenant's models", { models: ["wan-2.7-image-pro"] }, "model_not_allowed"],
  ] as const)("%s keeps none of its images", async (_what, settings, code) => {
    const { key } = await gateway.makeTenant(settings as object);
    if (code !== "model_not_allowed") await replyOf(await askEdit(gateway, key, [png]));
    for (let again = 0; again < 2; again++) {
      calls.length = 0;
      const param = code === "model_not_allowed" ? "model" : null;
      await expectError(await askEdit(gateway, key, four()), code, param);
      expect(writing()).toEqual([]);
    }
  });

  it("to a token that is spent keeps none, and leaves its uploads as they were", async () => {
    const tenant = await gateway.makeTenant();
    const minted = await gateway.post(
      "/v1/client-tokens",
      { max_images: 1, allowed_origins: ["https://app.example"] },
      bearer(tenant.key),
    );
    const { token } = (await minted.json()) as { token: string };
    const headers = { origin: "https://app.example", "cf-connecting-ip": "192.0.2.77" };
    await replyOf(await askEdit(gateway, token, [png], { headers }));
    calls.length = 0;
    for (let again = 0; again < 5; again++)
      await expectError(await askEdit(gateway, token, four(), { headers }), "token_spent");
    expect(writing()).toEqual([]);
  });

  it("under a key that was used is one of sixty a minute, before its body is read", async () => {
    const { id, keyId, key } = await gateway.makeTenant();
    const headers = { "idempotency-key": "used" };
    await replyOf(await askEdit(gateway, key, [png], { headers }));
    const { tooMany } = gateway.invocation();
    await Promise.all(Array.from({ length: 130 }, () => tooMany("editReplays", `${id} ${keyId}`)));
    const before = calls.length;
    const { read, reply } = sendAsked(gateway, key, headers);
    expect(await expectError(await reply, "rate_limited")).toMatch(/Idempotency-Key that was used/);
    // What is read of it then is dropped.
    expect([calls.slice(before), read.atCall]).toEqual([["object countRequest"], before + 1]);
    // Another key is a new request.
    await replyOf(await askEdit(gateway, key, [other], { headers: { "idempotency-key": "new" } }));
  });
});
