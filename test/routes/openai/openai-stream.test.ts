/** `stream: true`: an event for each picture, in the shape that OpenAI's clients know, and comments until then. */
import { beforeEach, describe, expect, it } from "vitest";
import { readTask, startGateway } from "../../helpers/gateway.ts";
import { decoded, storedBytes, taskIdOf, textOf, type Waited, waitFor } from "../../helpers/openai.ts";
import { deleteTasks } from "../../helpers/routes.ts";
import { virtualTime } from "../../helpers/virtual-time.ts";

const gateway = startGateway({ time: virtualTime() });
let key = "";
beforeEach(async () => {
  await deleteTasks();
  gateway.simulator.control.reset();
  ({ key } = await gateway.makeTenant());
});

const stream = (fields: object = {}, headers: Record<string, string> = {}) =>
  waitFor(gateway, key, { stream: true, ...fields }, headers);

interface Event {
  type: string;
  b64_json: string;
  url: string;
  [field: string]: unknown;
}

/** Everything but comments, block by block. */
function eventsOf(waited: Waited): { event: string; data: Event }[] {
  const blocks = textOf(waited)
    .split("\n\n")
    .filter((block) => block !== "" && !block.startsWith(":"));
  return blocks.map((block) => {
    const [, event = "", data = ""] = /^event: (\S+)\ndata: (.*)$/.exec(block) ?? [];
    return { event, data: JSON.parse(data) as Event };
  });
}

describe("a stream of events", () => {
  it("has one for each picture, with its bytes exactly as they are stored", async () => {
    const waited = await stream({ n: 3 });
    const { headers } = waited.response;
    expect(headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(headers.get("cache-control")).toBe("no-store, no-transform");
    const task = await readTask(gateway, key, taskIdOf(waited.response));
    const events = eventsOf(waited);
    expect(events.map(({ data }) => data.url)).toEqual(task.results);
    expect(events).toHaveLength(3);
    for (const { event, data } of events) {
      expect(event).toBe("image_generation.completed");
      expect(data).toEqual({
        type: "image_generation.completed",
        url: data.url,
        b64_json: data.b64_json,
        created_at: task.created,
        size: "512x512",
        quality: "auto",
        background: "opaque",
        output_format: "png",
        usage: {
          images: 3,
          credits_charged: 90,
          input_tokens: 0,
          input_tokens_details: { image_tokens: 0, text_tokens: 0 },
          output_tokens: 0,
          total_tokens: 0,
        },
      });
      expect(decoded(data.b64_json)).toEqual(await storedBytes(data.url));
    }
  });

  it.each([
    ["jpeg", "jpeg"],
    ["webp", "webp"],
  ])("calls a %s by its name", async (format, name) => {
    const prompt = `a boat [sim:seconds=5] [sim:format=${format}]`;
    expect(eventsOf(await stream({ prompt }))[0]?.data.output_format).toBe(name);
  });

  it("is kept alive by comments after 55 s, at least every 10 s", async () => {
    const waited = await stream({ prompt: "a boat [sim:seconds=120]" });
    expect(waited.answeredMs).toBe(55_000);
    const comments = waited.chunks.filter(({ text }) => text.startsWith(":"));
    for (const { text } of comments) expect(text).toMatch(/^: [^\n]*\n\n$/);
    const moments = [...comments.map(({ atMs }) => atMs), waited.endedMs];
    expect(moments[0]).toBe(55_000);
    for (const [i, atMs] of moments.slice(1).entries())
      expect(atMs - (moments[i] ?? 0)).toBeLessThanOrEqual(10_000);
    expect(eventsOf(waited)).toHaveLength(1);
  });

  it("breaks off when the task fails after that, without an event", async () => {
    const waited = await stream({ prompt: "a boat [sim:seconds=90] [sim:fail]" });
    expect([waited.response.status, waited.end]).toEqual([200, "broken"]);
    expect(eventsOf(waited)).toEqual([]);
  });

  it("is of the same task for the same request again", async () => {
    const name = { "idempotency-key": "a" };
    const first = await stream({}, name);
    const again = await stream({}, name);
    expect(again.response.headers.get("idempotency-replayed")).toBe("true");
    expect(textOf(again)).toBe(textOf(first));
    expect(gateway.simulator.control.tasks()).toHaveLength(1);
  });
});
