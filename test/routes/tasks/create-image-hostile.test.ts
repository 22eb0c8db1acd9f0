/** Bodies that are made to cost more than they should: in time, in memory, or in the size of the answer. */
import { describe, expect, it } from "vitest";
import { bearer, startGateway } from "../../helpers/gateway.ts";

const gateway = startGateway();
const { key } = await gateway.makeTenant();

const deep = (opening: string, closing: string, depth: number) =>
  opening.repeat(depth) + closing.repeat(depth);

describe("a hostile body", () => {
  it.each([
    ["lists in lists", deep("[", "]", 30_000)],
    [
      "objects in objects",
      `{"model":"wan-2.7-image","prompt":"x","z":${deep('{"a":', "}", 9_000).replace(":}", ":1}")}}`,
    ],
    ["half surrogates, deep down", `${"[".repeat(2_000)}${'"\\ud800",'.repeat(6_000)}1${"]".repeat(2_000)}`],
    [
      "thousands of unknown fields",
      JSON.stringify(Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`k${i}`, 1]))),
    ],
    ["one field with a name of 60 KB", JSON.stringify({ ["n".repeat(60_000)]: 1 })],
  ])("is refused with a small answer: %s", async (_what, body) => {
    const headers = { ...bearer(key), "content-type": "application/json" };
    const response = await gateway.fetch("/v1/images/generations", { method: "POST", headers, body });
    expect(response.status).toBe(400);
    expect((await response.text()).length).toBeLessThan(8_000);
    expect(gateway.simulator.control.calls()).toEqual([]);
  });
});
