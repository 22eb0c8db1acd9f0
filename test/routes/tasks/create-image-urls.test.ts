/** `image_urls` and `callback_url`: addresses that the gateway sends on or calls, so public ones only. */
import { beforeAll, describe, expect, it } from "vitest";
import { origin, startGateway } from "../../helpers/gateway.ts";
import { countTasks, deleteTasks, expectError, naming, submit } from "../../helpers/routes.ts";

/** Hosts that lead into a private network, in the spellings that the URL parser knows. */
const privateHosts = [
  "127.0.0.1",
  "127.1",
  "2130706433",
  "0x7f000001",
  "0177.0.0.1",
  "127.0.0.1.",
  "①②⑦.0.0.1",
  "0.0.0.0",
  "10.0.0.1",
  "100.64.0.1",
  "169.254.169.254",
  "172.16.0.1",
  "172.31.255.255",
  "192.168.1.1",
  "192.0.2.1",
  "198.18.0.1",
  "224.0.0.1",
  "255.255.255.255",
  "[::]",
  "[::1]",
  "[fc00::1]",
  "[fe80::1]",
  "[ff02::1]",
  "[::ffff:127.0.0.1]",
  "[::ffff:a9fe:a9fe]",
  "[64:ff9b::7f00:1]",
  "[2002:7f00:1::]",
  "localhost",
  "LOCALHOST",
  "localhost.",
  "app.localhost",
  "printer.local",
  "metadata.google.internal",
  "router.lan",
  "intranet",
];

const notUrls = [
  "",
  "pictures.example/one.png",
  "/one.png",
  "//pictures.example/one.png",
  "https://",
  "https://[::1",
];
const otherSchemes = [
  "ftp://pictures.example/one.png",
  "file:///etc/passwd",
  "data:image/png;base64,AAAA",
  "javascript:alert(1)",
  "wss://pictures.example/",
];
const withCredentials = [
  "https://user:password@pictures.example/one.png",
  "https://user@pictures.example/one.png",
  "https://:password@pictures.example/one.png",
];

/** A URL of exactly so many characters. */
const long = (characters: number) => "https://pictures.example/".padEnd(characters, "a");

const bad = [
  ...privateHosts.map((host) => `https://${host}/one.png`),
  ...privateHosts.map((host) => `https://${host}:8443/one.png`),
  ...notUrls,
  ...otherSchemes,
  ...withCredentials,
];

describe("a submit with an address that is not public", () => {
  const gateway = startGateway();
  let key = "";
  beforeAll(async () => {
    await deleteTasks();
    ({ key } = await gateway.makeTenant({ limits: { requests_per_minute: 1 } }));
  });

  const expectRefused = async (field: string, body: object) => {
    expect(await expectError(await submit(gateway, key, body), "invalid_request", field)).toMatch(
      naming(field),
    );
    expect(gateway.simulator.control.calls()).toEqual([]);
    expect(await countTasks()).toBe(0);
  };

  it.each(bad)("is refused as a reference: %s", (url) => expectRefused("image_urls", { image_urls: [url] }));

  it("is refused as either beyond 2,048 characters", async () => {
    await expectRefused("image_urls", { image_urls: [long(2_049)] });
    await expectRefused("callback_url", { callback_url: long(2_049) });
  });

  it("is refused when only the last of four references is bad", () =>
    expectRefused("image_urls", { image_urls: [long(100), long(101), long(102), "https://10.0.0.1/a.png"] }));

  it.each([...bad, "http://hooks.example/done"])("is refused as a callback: %s", (url) =>
    expectRefused("callback_url", { callback_url: url }),
  );
});

describe("submits with addresses that are not public", () => {
  it("are not counted: after all of them the minute's one request is still there", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant({ limits: { requests_per_minute: 1 } });
    for (const url of bad) {
      expect((await submit(gateway, key, { image_urls: [url] })).status).toBe(400);
      expect((await submit(gateway, key, { callback_url: url })).status).toBe(400);
    }
    expect((await submit(gateway, key)).status).toBe(200);
    await expectError(await submit(gateway, key), "rate_limited");
  });
});

describe("a callback", () => {
  it.each([
    `${origin}/hook`,
    "https://GATEWAY.example/hook",
    "https://gateway.example:8443/hook",
    "https://gateway.example./hook",
  ])("may not lead to the gateway itself: %s", async (callback_url) => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    await expectError(await submit(gateway, key, { callback_url }), "invalid_request", "callback_url");
    expect(gateway.simulator.control.calls()).toEqual([]);
  });

  it("may not lead to the gateway's public address either", async () => {
    const gateway = startGateway({ vars: { PUBLIC_BASE_URL: "https://images.shop.example" } });
    const { key } = await gateway.makeTenant();
    for (const callback_url of ["https://images.shop.example/hook", `${origin}/hook`]) {
      await expectError(await submit(gateway, key, { callback_url }), "invalid_request", "callback_url");
    }
    expect(gateway.simulator.control.calls()).toEqual([]);
  });

  it("may lead to a host whose name only ends like the gateway's", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    const callback_url = "https://not-gateway.example/hook";
    expect(await (await submit(gateway, key, { callback_url })).json()).toMatchObject({
      input: { callback_url },
    });
  });
});

describe("a submit with a public address", () => {
  it.each([
    "http://pictures.example/one.png",
    "https://pictures.example:8443/one.png?size=1#top",
    "https://1.1.1.1/one.png",
    "https://172.32.0.1/one.png",
    "https://[2606:4700::1111]/one.png",
    "https://bücher.example/Straße.png",
  ])("is taken as a reference, and the upstream gets it as it is: %s", async (url) => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    expect((await submit(gateway, key, { image_urls: [url] })).status).toBe(200);
    expect(gateway.simulator.control.tasks().map((task) => task.body.image_urls)).toEqual([[url]]);
  });

  it("is taken as either up to 2,048 characters", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    expect((await submit(gateway, key, { callback_url: long(2_048) })).status).toBe(200);
    expect((await submit(gateway, key, { image_urls: [long(2_048)] })).status).toBe(200);
  });
});

describe("ALLOW_PRIVATE_NETWORK", () => {
  it.each(["http://127.0.0.1:9000/x", "http://localhost:3000/x", "https://[::1]/x"])(
    "lets references and callbacks be private: %s",
    async (url) => {
      const gateway = startGateway({ vars: { ALLOW_PRIVATE_NETWORK: "true" } });
      const { key } = await gateway.makeTenant();
      const response = await submit(gateway, key, { image_urls: [url], callback_url: url });
      expect(response.status).toBe(200);
    },
  );

  it("lets a callback lead to another port of the gateway's host, and not to the gateway", async () => {
    const gateway = startGateway({ vars: { ALLOW_PRIVATE_NETWORK: "true" } });
    const { key } = await gateway.makeTenant();
    for (const callback_url of ["https://gateway.example:8443/hook", "http://gateway.example:3000/hook"]) {
      expect((await submit(gateway, key, { callback_url })).status).toBe(200);
    }
    for (const callback_url of [`${origin}/hook`, "https://GATEWAY.example:443/hook"]) {
      await expectError(await submit(gateway, key, { callback_url }), "invalid_request", "callback_url");
    }
  });
});
