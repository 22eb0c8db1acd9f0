/** Addresses without a picture or file: one call of R2 each, and too many of one network address are refused. */
import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, expect, it } from "vitest";
import { startGateway } from "../../helpers/gateway.ts";
import { expectError, recordBindings, type StoredPicture, storePicture } from "../../helpers/routes.ts";

const bindings = recordBindings();
const gateway = startGateway({ around: bindings.around });
let picture: StoredPicture;
beforeAll(async () => {
  picture = await storePicture(gateway, (await gateway.makeTenant()).key, "png");
});
beforeEach(() => {
  bindings.calls.length = 0;
});

const from = (address: string) => ({ headers: { "cf-connecting-ip": address } });
const paths = [`/images/img-${"0".repeat(26)}.png`, `/files/file-${"0".repeat(26)}.png`];

it.each(paths)("cost one read of R2: %s", async (path) => {
  await expectError(await gateway.fetch(path), "not_found");
  expect(bindings.calls).toEqual(["R2 get"]);
});

it.each(["/images/none.png", "/files/none.png"])(
  "that no picture or file can have cost none: %s",
  async (path) => {
    await expectError(await gateway.fetch(path), "not_found");
    expect(bindings.calls).toEqual([]);
  },
);

it("are refused to a network address that asks for too many, which is served what is there", async () => {
  // As many as the binding lets through in a minute, and more.
  await Promise.all(
    Array.from({ length: 400 }, () => env.FAILURES_BY_IP.limit({ key: "misses 203.0.113.7" })),
  );
  for (const path of paths) {
    const refused = await gateway.fetch(path, from("203.0.113.7"));
    await expectError(refused, "rate_limited");
    await expectError(await gateway.fetch(path, from("203.0.113.8")), "not_found");
  }
  expect((await gateway.fetch(picture.path, from("203.0.113.7"))).status).toBe(200);
  // A part beyond the end, or of another picture, costs a second read, and counts with them.
  for (const [part, status] of [
    [{ range: "bytes=99999999-" }, 416],
    [{ range: "bytes=0-9", "if-range": '"other"' }, 200],
  ] as const) {
    const ask = (address: string) =>
      gateway.fetch(picture.path, { headers: { "cf-connecting-ip": address, ...part } });
    const served = await ask("203.0.113.8");
    expect(served.status).toBe(status);
    await served.body?.cancel();
    bindings.calls.length = 0;
    await expectError(await ask("203.0.113.7"), "rate_limited");
    expect(bindings.calls).toEqual(["R2 get"]);
  }
  // Its keys are counted apart.
  const response = await gateway.fetch("/v1/models", {
    headers: { "cf-connecting-ip": "203.0.113.7", authorization: "Bearer wsk_none" },
  });
  await expectError(response, "invalid_key");
});
