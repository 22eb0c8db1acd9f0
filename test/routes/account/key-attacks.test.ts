/**
 * Attacks on secret keys, browser keys and client tokens. Whatever this gateway did not sign is refused without
 * a call to any binding; what it did sign works only as long, and only for what, it was made for.
 */
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { formatKey, readKey } from "../../../src/domain/keys.ts";
import { createSigner } from "../../../src/domain/signing.ts";
import { formatToken, readToken, type TokenClaims } from "../../../src/domain/tokens.ts";
import { bearer, startGateway, submitTask, type TestGateway } from "../../helpers/gateway.ts";
import { makeBrowserKey, mintToken, page, submitFrom, taskIdOf } from "../../helpers/page-visitor.ts";
import {
  type Code,
  expectError,
  generations,
  goodBody,
  makeKey,
  recordBindings,
} from "../../helpers/routes.ts";

const kinds = ["secret", "browser", "token"] as const;
type Kind = (typeof kinds)[number];
type Keys = Record<Kind, string>;

const bindings = recordBindings();
const gateway = startGateway({ around: bindings.around });
let tenant = { id: "", key: "", keyId: "" };
let mine: Keys = { secret: "", browser: "", token: "" };
let theirs = mine;
/** A task that each kind may read. */
let taskIds: Keys = mine;
beforeAll(async () => {
  tenant = await gateway.makeTenant(roomy);
  mine = await keysOf(tenant);
  theirs = await keysOf(await gateway.makeTenant(roomy));
  taskIds = await tasksOf(gateway, tenant.key, mine.browser);
});
beforeEach(() => {
  bindings.calls.length = 0;
});

/** A visitor's tenth of it is enough for what is done here. */
const roomy = { limits: { concurrent_tasks: 200, images_per_minute: 200 } };
/** A token reads what was made for its end user. */
const forVisitor = { end_user: "visitor-7" };

async function tasksOf(at: TestGateway, secret: string, browser: string): Promise<Keys> {
  const { id } = await submitTask(at, secret, forVisitor);
  return { secret: id, token: id, browser: browser && (await taskIdOf(await submitFrom(at, browser))) };
}

/** One of each kind, each with a 0 or 1 in its check value, which have similar letters. */
async function keysOf({ id, key }: { id: string; key: string }): Promise<Keys> {
  const until = async (make: () => Promise<string>) => {
    for (;;) {
      const made = await make();
      if (/[01]/.test(take(made).check)) return made;
    }
  };
  return {
    secret: await until(async () => (await makeKey(gateway, id, {})).key),
    browser: await until(async () => (await makeBrowserKey(gateway, id)).key),
    token: await until(() => mintToken(gateway, key, { max_images: 1, ...forVisitor })),
  };
}

interface Parts {
  prefix: string;
  tenantId: string;
  /** Between tenant, body and check value. */
  dot: string;
  body: string;
  check: string;
}

function take(text: string): Parts {
  const [, prefix = "", tenantId = "", dot = "", body = "", check = ""] =
    /^(\w+?)_([a-z0-9-]+)([_.])(.+)[_.]([0-9a-z]{26})$/.exec(text) ?? [];
  return { prefix, tenantId, dot, body, check };
}

const put = ({ prefix, tenantId, dot, body, check }: Parts) =>
  `${prefix}_${tenantId}${dot}${body}${dot}${check}`;

const other = (character = "") => (character === "7" ? "8" : "7");
const altered = (text: string, at: number) => text.slice(0, at) + other(text[at]) + text.slice(at + 1);

const taskOf = (text: string) =>
  taskIds[text.startsWith("wct_") ? "token" : text.startsWith("wbk_") ? "browser" : "secret"];

/** All that a key or token opens. */
function asks(at: TestGateway, text: string, task = taskOf(text)): (() => Promise<Response>)[] {
  const headers = { ...bearer(text), ...(text.startsWith("wsk_") ? {} : page) };
  return [
    () => at.post(generations, goodBody, headers),
    () => at.fetch(`/v1/tasks/${task}`, { headers }),
    () => at.fetch("/v1/models", { headers }),
    () => at.post("/v1/quote", goodBody, headers),
  ];
}

async function expectRefused(text: string, code: Code, at = gateway): Promise<void> {
  for (const ask of asks(at, text)) await expectError(await ask(), code);
}

async function expectForged(text: string, at = gateway): Promise<void> {
  await expectRefused(text, "invalid_key", at);
  const mint = { allowed_origins: [page.origin] };
  await expectError(await at.post("/v1/client-tokens", mint, bearer(text)), "invalid_key");
  expect(bindings.calls).toEqual([]);
}

const forgeries: [string, (own: Parts, foreign: Parts) => Partial<Parts>][] = [
  ["its check value cut short", ({ check }) => ({ check: check.slice(0, -1) })],
  ["its check value halved", ({ check }) => ({ check: check.slice(0, 13) })],
  ["no check value", () => ({ check: "" })],
  ["a check value of noughts", () => ({ check: "0".repeat(26) })],
  ["its check value in upper case", ({ check }) => ({ check: check.toUpperCase() })],
  [
    "similar letters in its check value",
    ({ check }) => ({ check: check.replaceAll("0", "o").replaceAll("1", "l") }),
  ],
  ["its check value twice", ({ check }) => ({ check: check + check })],
  ["a character more", ({ check }) => ({ check: `${check}0` })],
  ["the other tenant's id", (_own, { tenantId }) => ({ tenantId })],
  ["the other tenant's key or claims", (_own, { body }) => ({ body })],
  ["the other tenant's check value", (_own, { check }) => ({ check })],
  ["the other tenant's id and check value", (_own, { tenantId, check }) => ({ tenantId, check })],
  ["a body in other letters", ({ body }) => ({ body: body.toUpperCase() })],
  ["an escape in it", ({ body }) => ({ body: `%${body.charCodeAt(0).toString(16)}${body.slice(1)}` })],
];

describe.each(kinds)("a forged %s key", (kind) => {
  it("works while it is unchanged", async () => {
    for (const ask of asks(gateway, mine[kind])) expect((await ask()).status).toBe(200);
  });

  it.each(forgeries)("is refused without a call to anything: with %s", async (_what, forge) => {
    const own = take(mine[kind]);
    const forged = put({ ...own, ...forge(own, take(theirs[kind])) });
    expect(forged).not.toBe(mine[kind]);
    await expectForged(forged);
  });

  it.each(["wsk", "wbk", "wct", "sk", "WSK", ""])("is refused under the prefix %j", async (prefix) => {
    const own = take(mine[kind]);
    for (const dot of ["_", "."]) {
      if (prefix !== own.prefix || dot !== own.dot) await expectForged(put({ ...own, prefix, dot }));
    }
  });

  it("is refused with any one character of its check value altered", async () => {
    const own = take(mine[kind]);
    for (let at = 0; at < own.check.length; at++) {
      const headers = { ...bearer(put({ ...own, check: altered(own.check, at) })), ...page };
      await expectError(await gateway.fetch("/v1/models", { headers }), "invalid_key");
    }
    expect(bindings.calls).toEqual([]);
  });
});

const claimsOf = async (text: string): Promise<TokenClaims> => {
  const claims = await readToken(gateway.invocation().signers.tokens, text);
  if (!claims) throw new Error("not a token");
  return claims;
};
const base64url = (text: string) => btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

describe("a client token", () => {
  const changes: [string, Partial<TokenClaims>][] = [
    ["more images", { maxImages: 1_000 }],
    ["a later expiry", { expiresMs: 4_000_000_000_000 }],
    ["another origin", { allowedOrigins: ["https://evil.example"] }],
    ["an end user", { endUser: "visitor" }],
    ["another id, whose images are not counted yet", { id: "tok-00000000000000000000" }],
    ["another key", { keyId: "key-0000000000000000" }],
    ["a tenant among its claims", { tenantId: "elsewhere" }],
    ["nothing changed but its spelling", {}],
  ];

  it.each(changes)("is refused with its old check value and %s", async (_what, change) => {
    const own = take(mine.token);
    const { tenantId: _named, ...claims } = await claimsOf(mine.token);
    const space = Object.keys(change).length === 0 ? 1 : undefined;
    await expectForged(
      put({ ...own, body: base64url(JSON.stringify({ ...claims, ...change }, null, space)) }),
    );
  });

  it("is refused when something else of the same secret signed it, and so is a key", async () => {
    const { KEY_SIGNING_SECRET: secret } = gateway.config;
    const claims = await claimsOf(mine.token);
    for (const use of ["tenant-key", "signed-link"] as const) {
      await expectForged(await formatToken(createSigner(secret, use), claims));
    }
    const named = { kind: "secret", tenantId: tenant.id, keyId: tenant.keyId } as const;
    for (const use of ["client-token", "signed-link"] as const) {
      await expectForged(await formatKey(createSigner(secret, use), named, new Uint8Array(32)));
    }
  });
});

describe("the previous signing secret", () => {
  const KEY_SIGNING_SECRET = "a-newer-signing-secret-0123456789abcdef";
  const previous = gateway.config.KEY_SIGNING_SECRET;
  const vars = { KEY_SIGNING_SECRET, KEY_SIGNING_SECRET_PREVIOUS: previous };
  const rotated = startGateway({ vars, around: bindings.around, beside: gateway });

  it("still verifies stored keys, which work as before", async () => {
    for (const kind of ["secret", "browser"] as const) {
      for (const ask of asks(rotated, mine[kind])) expect((await ask()).status).toBe(200);
    }
  });

  it("verifies no token: one that it signed is refused without a call to anything", async () => {
    await expectForged(mine.token, rotated);
    const claims = { ...(await claimsOf(mine.token)), maxImages: 1_000 };
    await expectForged(await formatToken(createSigner(previous, "client-token"), claims), rotated);
  });

  it("signs no new key", async () => {
    const { key } = await makeKey(rotated, tenant.id, {});
    expect(await readKey([createSigner(previous, "tenant-key")], key)).toBeUndefined();
    expect(await readKey([createSigner(KEY_SIGNING_SECRET, "tenant-key")], key)).toBeDefined();
  });
});

describe.each(kinds)("a %s key that was good", (kind) => {
  // Of its own: its clock goes on beyond what the other tests' keys live.
  const later = startGateway();
  const allOpen = async (text: string, task: string) => {
    for (const ask of asks(later, text, task)) expect((await ask()).status).toBe(200);
  };

  /** A fresh tenant's; a token's key is the one that made it. */
  async function fresh(fields: object = {}) {
    const owner = await later.makeTenant(roomy);
    const { id, key } = await (kind === "browser" ? makeBrowserKey : makeKey)(later, owner.id, fields);
    const text = kind === "token" ? await mintToken(later, key, { ttl_seconds: 3_600, ...forVisitor }) : key;
    const { [kind]: task } = await tasksOf(later, owner.key, kind === "browser" ? key : "");
    await allOpen(text, task);
    return { owner, keyId: id, text, task };
  }

  it("is refused from the moment that its key is revoked", async () => {
    const { owner, keyId, text } = await fresh();
    await later.admin("DELETE", `/tenants/${owner.id}/keys/${keyId}`);
    await expectRefused(text, "invalid_key", later);
  });

  it("is refused from the moment that its key expires, and not before", async () => {
    const expires_at = Math.floor(later.now() / 1000) + 600;
    const { text, task } = await fresh({ expires_at });
    later.advance(expires_at * 1000 - later.now() - 1);
    await allOpen(text, task);
    later.advance(1);
    await expectRefused(text, "invalid_key", later);
  });

  it("is refused while its tenant is suspended, and works again afterwards", async () => {
    const { owner, text, task } = await fresh();
    await later.admin("PATCH", `/tenants/${owner.id}`, { status: "suspended" });
    await expectRefused(text, "tenant_suspended", later);
    await later.admin("PATCH", `/tenants/${owner.id}`, { status: "active" });
    await allOpen(text, task);
  });
});
