/** What the tests of browser keys and client tokens share: a page that holds one, and how it asks. */
import { expect } from "vitest";
import { bearer, type TestGateway } from "./gateway.ts";
import { generations, goodBody, makeKey } from "./routes.ts";

/** The page's origin, as its browser sends it. */
export const page = { origin: "https://shop.example" };

export const makeBrowserKey = (gateway: TestGateway, tenantId: string, fields: object = {}) =>
  makeKey(gateway, tenantId, { kind: "browser", allowed_origins: [page.origin], ...fields });

export const askForToken = (gateway: TestGateway, key: string, fields: object = {}) =>
  gateway.post("/v1/client-tokens", { allowed_origins: [page.origin], ...fields }, bearer(key));

/** Mints a token by a secret key. */
export async function mintToken(gateway: TestGateway, key: string, fields: object = {}): Promise<string> {
  const response = await askForToken(gateway, key, fields);
  expect(response.status).toBe(201);
  return ((await response.json()) as { token: string }).token;
}

/** Submits from the page. */
export const submitFrom = (
  gateway: TestGateway,
  key: string,
  fields: object = {},
  headers: Record<string, string> = {},
) => gateway.post(generations, { ...goodBody, ...fields }, { ...bearer(key), ...page, ...headers });

/** Reads a task from the page. */
export const readFrom = (
  gateway: TestGateway,
  key: string,
  id: string,
  headers: Record<string, string> = page,
) => gateway.fetch(`/v1/tasks/${id}`, { headers: { ...bearer(key), ...headers } });

export async function taskIdOf(response: Response): Promise<string> {
  expect(response.status).toBe(200);
  return ((await response.json()) as { id: string }).id;
}
