/** Uploaded files as references: one's own that are alive go upstream, which fetches them without a key; no others do. */
import { beforeAll, describe, expect, it } from "vitest";
import { fileLifeMs } from "../../../src/domain/uploads.ts";
import { draw, fileOf, pathOf, type ShownFile, upload } from "../../helpers/files.ts";
import { bearer, finishTask, type ShownTask, startGateway } from "../../helpers/gateway.ts";
import { mintToken, page, submitFrom } from "../../helpers/page-visitor.ts";
import { expectError, expectNothingBut, generations, goodBody, submit } from "../../helpers/routes.ts";

const gateway = startGateway();
let tenant = { id: "", key: "", keyId: "" };
beforeAll(async () => {
  tenant = await gateway.makeTenant();
});

const keep = async (
  key = tenant.key,
  of = gateway,
  headers: Record<string, string> = {},
): Promise<ShownFile> => fileOf(await upload(of, key, await draw("jpeg"), headers));

describe("a reference to a file of the gateway's", () => {
  it("goes upstream as it is, where it can be fetched without a key while the task is made", async () => {
    const bytes = await draw("webp", 500, 400);
    const file = await fileOf(await upload(gateway, tenant.key, bytes));
    const urls = [file.url, "https://pictures.example/other.png"];
    const task: ShownTask = await (await submit(gateway, tenant.key, { image_urls: urls })).json();
    const sent = gateway.simulator.control.tasks().at(-1)?.body.image_urls ?? [];
    expect(sent).toEqual(urls);
    const fetched = await gateway.fetch(new URL(sent[0] ?? "").pathname);
    expect(new Uint8Array(await fetched.arrayBuffer())).toEqual(bytes);
    expect(await finishTask(gateway, tenant.key, task.id)).toMatchObject({ status: "completed" });
  });

  it("by a client token may be its own or its tenant's", async () => {
    const token = await mintToken(gateway, tenant.key);
    const [own, tenants] = [await keep(token, gateway, page), await keep()];
    const reply = await submitFrom(gateway, token, { image_urls: [own.url, tenants.url] });
    expect(reply.status).toBe(200);
  });

  const dead: [string, (file: ShownFile) => Promise<string>][] = [
    ["that is another tenant's", async () => (await keep((await gateway.makeTenant()).key)).url],
    [
      "that was deleted",
      async (file) => {
        const init = { method: "DELETE", headers: bearer(tenant.key) };
        expect((await gateway.fetch(`/v1/files/${file.id}`, init)).status).toBe(204);
        return file.url;
      },
    ],
    ["that never was", async () => "https://gateway.example/files/file-0123456789abcdefghjkmnpqrs.png"],
    ["of another extension", async (file) => file.url.replace(".jpg", ".png")],
    ["without an extension", async (file) => file.url.replace(".jpg", "")],
    ["by a doubled slash", async (file) => file.url.replace("/files/", "//files/")],
    ["by a doubled slash behind it", async (file) => file.url.replace("/files/", "/files//")],
    ["by dots", async (file) => file.url.replace("/files/", "/x/../files/")],
    ["by a dot", async (file) => file.url.replace("/files/", "/files/./")],
    ["by an escape", async (file) => file.url.replace("/files/", "/%66iles/")],
    ["by an escaped dot", async (file) => file.url.replace("/files/", "/x/%2e%2e/files/")],
    ["that is no file's", async () => "https://gateway.example/files/"],
    ["under another port of the host", async () => "https://gateway.example:8443/files/x.png"],
    [
      "under another spelling of the host",
      async (file) => file.url.replace("gateway.example/files/file-", "GATEWAY.example./x/../files/file-0"),
    ],
  ];
  it.each(dead)("%s is refused, naming its place", async (_what, urlOf) => {
    const good = (await keep()).url;
    const bad = await urlOf(await keep());
    for (const [image_urls, place] of [
      [[bad, good], 0],
      [[good, "https://pictures.example/one.png", bad], 2],
    ] as const) {
      const message = await expectNothingBut(
        gateway,
        () => submit(gateway, tenant.key, { image_urls }),
        "invalid_request",
        "image_urls",
      );
      expect(message).toBe(`image_urls.${place}: is not a file of yours that is alive: upload it again`);
    }
  });

  it("is refused from the millisecond of its end on, also before cron comes", async () => {
    const late = startGateway();
    const { key } = await late.makeTenant();
    const { url } = await keep(key, late);
    late.advance(fileLifeMs - 1);
    expect((await submit(late, key, { image_urls: [url] })).status).toBe(200);
    late.advance(1);
    await expectError(await submit(late, key, { image_urls: [url] }), "invalid_request", "image_urls");
  });

  it("consumes nothing when it is refused", async () => {
    const { id, key } = await gateway.makeTenant({ balance: 100 });
    const summary = () => gateway.invocation().tenant(id).summary(id, gateway.now());
    const before = await summary();
    const url = "https://gateway.example/files/file-0123456789abcdefghjkmnpqrs.png";
    const refused = await submit(gateway, key, { image_urls: [url] });
    expect(refused.headers.get("x-ratelimit-remaining-requests")).toBe("600");
    await expectError(refused, "invalid_request", "image_urls");
    expect(await summary()).toEqual(before);
  });

  it("that has gone meanwhile does not keep a replay from its task", async () => {
    const file = await keep();
    const body = { ...goodBody, image_urls: [file.url] };
    const ask = () =>
      gateway.post(generations, body, { ...bearer(tenant.key), "idempotency-key": "order-with-file" });
    const first: ShownTask = await (await ask()).json();
    await gateway.fetch(`/v1/files/${file.id}`, { method: "DELETE", headers: bearer(tenant.key) });
    const again = await ask();
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect(((await again.json()) as ShownTask).id).toBe(first.id);
  });

  it("does not let a key in that is not valid any more", async () => {
    const other = await gateway.makeTenant();
    await gateway.admin("DELETE", `/tenants/${other.id}/keys/${other.keyId}`);
    const url = "https://gateway.example/files/file-0123456789abcdefghjkmnpqrs.png";
    await expectError(await submit(gateway, other.key, { image_urls: [url] }), "invalid_key");
  });
});

describe("a gateway on a private address", () => {
  const base = "http://192.168.1.5:8787";
  const local = startGateway({ vars: { PUBLIC_BASE_URL: base } });

  it("takes its own files as references, and nothing else there", async () => {
    const { key } = await local.makeTenant();
    const file = await keep(key, local);
    expect(file.url).toBe(`${base}${pathOf(file)}`);
    expect((await submit(local, key, { image_urls: [file.url] })).status).toBe(200);
    for (const url of [
      file.url.replace("192.168.1.5", "192.168.1.6"),
      file.url.replace("192.168.1.5", "127.0.0.1"),
      file.url.replace("192.168.1.5", "localhost"),
      file.url.replace("192.168.1.5", "[::1]"),
      file.url.replace("/files/", "/other/"),
      `${base}/images/img-0123456789abcdefghjkmnpqrs.png`,
      `${base}/files/x.png`,
    ]) {
      for (const path of [generations, "/v1/quote"]) {
        const reply = await local.post(path, { ...goodBody, image_urls: [url] }, bearer(key));
        expect(await expectError(reply, "invalid_request", "image_urls")).toBe(
          "image_urls.0: must be on a public address",
        );
      }
    }
  });
});

it("a picture that the gateway has made is a reference as before", async () => {
  const url = "https://gateway.example/images/img-0123456789abcdefghjkmnpqrs.png";
  expect((await submit(gateway, tenant.key, { image_urls: [url] })).status).toBe(200);
});
