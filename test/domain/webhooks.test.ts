/** Webhooks by the specification: when they are attempted again, which secrets sign them, and that receivers can verify them. */
import { Webhook } from "standardwebhooks";
import { afterEach, describe, expect, it, vi } from "vitest";
import {
  deliveryLifeMs,
  deliveryLogMs,
  endpointBackoffsMs,
  eventOfEnd,
  formatSecret,
  nextAttemptMs,
  notifiedTask,
  retryPausesMs,
  secretBytes,
  secretProblem,
  statusOfEvent,
  webhookEvents,
  webhookHeaders,
} from "../../src/domain/webhooks.ts";
import { allEvents, statusAtEvent } from "../helpers/contract.ts";

const minute = 60_000;
const hour = 60 * minute;
const never = Number.POSITIVE_INFINITY;

/** A secret of so many bytes, none of which is 0. */
const secretOf = (bytes: number, first = 1) =>
  formatSecret(Uint8Array.from({ length: bytes }, (_, at) => ((first + at) % 255) + 1));

describe("the schedule of attempts", () => {
  it("waits 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h", () => {
    const pauses = [5_000, 5 * minute, 30 * minute, ...[2, 5, 10, 14, 20, 24].map((hours) => hours * hour)];
    expect(retryPausesMs).toEqual(pauses);
    const now = 1_900_000_000_000;
    expect(pauses.map((_, at) => (nextAttemptMs(at + 1, now, never) ?? 0) - now)).toEqual(pauses);
  });

  it("ends after the tenth attempt", () => {
    expect([9, 10, 11, 100].map((attempts) => nextAttemptMs(attempts, 0, never))).toEqual([
      24 * hour,
      undefined,
      undefined,
      undefined,
    ]);
  });

  it("has room for ten attempts of 15 s in a life of 77 hours, and begins none behind its end", () => {
    const whole = retryPausesMs.reduce((sum, pause) => sum + pause, 0) + 10 * 15_000;
    expect(deliveryLifeMs).toBe(77 * hour);
    expect(whole).toBeLessThan(deliveryLifeMs);
    expect([1, 0].map((less) => nextAttemptMs(9, 0, 24 * hour + 1 - less))).toEqual([undefined, 24 * hour]);
  });

  it("lets an endpoint rest after its fifth failure in a row, ten minutes at the most", () => {
    expect(endpointBackoffsMs).toEqual([
      0, 0, 0, 0, 0, 5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 600_000,
    ]);
  });

  it("is over long before the log is pruned", () => {
    const whole = retryPausesMs.reduce((sum, pause) => sum + pause, 0);
    expect(deliveryLogMs).toBe(30 * 24 * hour);
    expect(whole).toBeLessThan(deliveryLogMs);
  });
});

describe("what is sent", () => {
  it("has an event for each end of a task, and one for the balance", () => {
    expect(webhookEvents).toEqual(allEvents);
    expect(eventOfEnd).toEqual({
      completed: "task.completed",
      failed: "task.failed",
      cancelled: "task.cancelled",
    });
  });

  it("finds a task in the status that its event says", () => {
    const statuses = webhookEvents.map((event) => [event, statusOfEvent(event) ?? null]);
    expect(Object.fromEntries(statuses)).toEqual(statusAtEvent);
  });

  it("leaves out what was asked, and nothing else", () => {
    const view = { id: "task-1", status: "failed", input: { prompt: "private" }, metadata: { order: "7" } };
    expect(notifiedTask(view as unknown as Parameters<typeof notifiedTask>[0])).toEqual({
      id: "task-1",
      status: "failed",
      metadata: { order: "7" },
    });
  });
});

describe("a secret that a tenant brings", () => {
  it.each(Array.from({ length: 41 }, (_, at) => 24 + at))("is good with %i bytes", (bytes) => {
    expect(secretProblem(secretOf(bytes))).toBeUndefined();
  });

  it.each([1, 16, 22, 23, 65, 66, 67, 68, 128])("is refused with %i bytes", (bytes) => {
    expect(secretProblem(secretOf(bytes))).toMatch(/^must be .*24 to 64/);
  });

  const good = secretOf(24).slice("whsec_".length);
  it.each([
    ["nothing", ""],
    ["the prefix only", "whsec_"],
    ["no prefix", good],
    ["another prefix", `whsk_${good}`],
    ["the prefix in capitals", `WHSEC_${good}`],
    ["the prefix twice", `whsec_whsec_${good}`],
    ["padding that is not due", `whsec_${good}=`],
    ["padding left out", `whsec_${"A".repeat(34)}`],
    ["padding in the middle", `whsec_AA==${good}`],
    ["padding only", `whsec_${"=".repeat(32)}`],
    ["base64 for URLs", `whsec_${"-_".repeat(16)}`],
    ["letters beyond ASCII", `whsec_${"é".repeat(32)}`],
    ["a space before", ` whsec_${good}`],
    ["a line's end", `whsec_${good}\n`],
    ["a space within", `whsec_${good.slice(0, 16)} ${good.slice(17)}`],
    ["hexadecimal with a sign", `whsec_0x${"0".repeat(30)}!`],
  ])("is refused as no base64 behind the prefix: %s", (_what, text) => {
    expect(secretProblem(text)).toMatch(/whsec_/);
  });

  it("is written as those that are made here, of 32 bytes", () => {
    const made = formatSecret(new Uint8Array(secretBytes).fill(255));
    expect(made).toBe(`whsec_${"/".repeat(42)}8=`);
    expect(secretProblem(made)).toBeUndefined();
  });
});

describe("the headers of an attempt", () => {
  afterEach(() => vi.restoreAllMocks());
  const nowMs = 1_900_000_000_999;
  const body = JSON.stringify({ type: "task.completed", data: { name: "海の家 🌊" } });
  const [current, before] = [secretOf(32), secretOf(64, 100)];

  /** What a receiver makes of it; an error where the signature is not the gateway's. */
  function received(secret: string, headers: Record<string, string>, text = body): unknown {
    vi.spyOn(Date, "now").mockReturnValue(nowMs);
    return new Webhook(secret).verify(text, headers);
  }

  it("name the message and the second, and verify with the secret", async () => {
    const headers = await webhookHeaders([current], "msg-1", nowMs, body);
    expect(headers).toEqual({
      "webhook-id": "msg-1",
      "webhook-timestamp": "1900000000",
      "webhook-signature": expect.stringMatching(/^v1,[A-Za-z0-9+/]{43}=$/),
    });
    expect(received(current, headers)).toEqual(JSON.parse(body));
    expect(() => received(before, headers)).toThrow("No matching signature");
  });

  it("hold a signature by each of two secrets, the newer first", async () => {
    const headers = await webhookHeaders([current, before], "msg-1", nowMs, body);
    const [first] = headers["webhook-signature"].split(" ");
    expect(headers["webhook-signature"].split(" ")).toHaveLength(2);
    for (const secret of [current, before]) expect(received(secret, headers)).toEqual(JSON.parse(body));
    expect(received(current, { ...headers, "webhook-signature": first ?? "" })).toEqual(JSON.parse(body));
    expect(() => received(secretOf(32, 50), headers)).toThrow("No matching signature");
  });

  it("fit no other message, second or body", async () => {
    const headers = await webhookHeaders([current], "msg-1", nowMs, body);
    for (const forged of [{ "webhook-id": "msg-2" }, { "webhook-timestamp": "1900000001" }]) {
      expect(() => received(current, { ...headers, ...forged })).toThrow("No matching signature");
    }
    expect(() => received(current, headers, `${body} `)).toThrow("No matching signature");
  });

  it("can be made with a secret of any length that is let in", async () => {
    for (let bytes = 24; bytes <= 64; bytes++) {
      const secret = secretOf(bytes);
      expect(received(secret, await webhookHeaders([secret], "msg-1", nowMs, body))).toEqual(
        JSON.parse(body),
      );
    }
  });
});
