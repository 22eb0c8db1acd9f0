/** What the tests of OpenAI's edits share: forms as its clients write them, and what a refused one may not leave. */
import { expect } from "vitest";
import { type Bytes, left, storedFiles } from "./files.ts";
import { bearer, origin, type TestGateway } from "./gateway.ts";
import { type Code, expectNothingBut } from "./routes.ts";

export const openAiEdits = "/openai/v1/images/edits";

/** Files, or texts, under their names, in their order. */
export type Field = [string, Bytes | string];

/** What most edits here ask for: small, since drawing is the slowest part. */
export const editTexts: Field[] = [
  ["prompt", "the same by night [sim:seconds=5]"],
  ["size", "square"],
];

/** A form as `fetch` writes it, and its type with its boundary. */
export async function writeForm(fields: Field[]): Promise<{ body: Bytes; type: string }> {
  const form = new FormData();
  for (const [name, value] of fields) {
    if (typeof value === "string") form.append(name, value);
    else form.append(name, new Blob([value], { type: "image/png" }), "reference.png");
  }
  const request = new Request(origin, { method: "POST", body: form });
  const body = new Uint8Array(await request.arrayBuffer());
  return { body, type: request.headers.get("content-type") ?? "" };
}

/** Sends a body as it is, with its length. */
export const sendEdit = (
  gateway: TestGateway,
  key: string,
  { body, type }: { body: Bytes; type: string },
  headers: Record<string, string> = {},
) =>
  gateway.fetch(openAiEdits, {
    method: "POST",
    headers: { ...bearer(key), "content-type": type, "content-length": String(body.length), ...headers },
    body,
  });

/** Asks for an edit of these images. */
export async function askEdit(
  gateway: TestGateway,
  key: string,
  images: Bytes[],
  { texts = [], headers = {} }: { texts?: Field[]; headers?: Record<string, string> } = {},
): Promise<Response> {
  const fields: Field[] = images.map((bytes) => ["image[]", bytes]);
  const usual = editTexts.filter(([name]) => !texts.some(([given]) => given === name));
  return sendEdit(gateway, key, await writeForm([...fields, ...usual, ...texts]), headers);
}

/** Where those files are that are more than tombstones. */
export async function livingFiles(): Promise<string[]> {
  return (await storedFiles()).filter(({ size }) => size > 0).map(({ key }) => key);
}

/**
 * Expects a refusal that leaves no task, sends nothing upstream, keeps no file and uses up no quota but the request itself.
 * @param requests 0 for one that is refused before it is counted.
 */
export async function expectNoEdit(
  gateway: TestGateway,
  tenantId: string,
  send: () => Promise<Response>,
  code: Code,
  param: string | null = null,
  requests: 0 | 1 = 1,
): Promise<string> {
  const at = await left(gateway, tenantId);
  const before = { files: await livingFiles(), left: { ...at, requests: (at.requests ?? 0) - requests } };
  const message = await expectNothingBut(gateway, send, code, param);
  expect({ files: await livingFiles(), left: await left(gateway, tenantId) }).toEqual(before);
  return message;
}
