/** An upload's hold: what is kept in it is no more than it was made for, and once. */
import { runInDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import type { FileRequest } from "../../src/tenant/file-admission.ts";
import {
  configure,
  freshId,
  limitsOf,
  objectOf,
  requestOf,
  summaryOf,
  t0,
} from "../helpers/tenant-object.ts";

const fileId = "file-00000000000000000000000001";
const asKept = (bytes: number) => ({ bytes, expiresMs: t0 + 60_000 });

/** A tenant's object that holds `bytes` for an upload. */
async function holdFor(bytes: number): Promise<string> {
  const id = freshId();
  await configure(id, { limits: limitsOf({ file_bytes: 10_000 }) });
  const request: FileRequest = { caller: requestOf(id).caller, fileId, bytes, isRequest: true, nowMs: t0 };
  const decision = await runInDurableObject(objectOf(id), (object) => object.admitFile(request));
  expect(decision).toMatchObject({ kind: "admitted", heldBytes: bytes });
  return id;
}

const keep = (id: string, bytes: number) =>
  runInDurableObject(objectOf(id), (object) => object.keepFile(fileId, asKept(bytes), t0));

it("keeps a file of as many bytes as are held, once", async () => {
  const id = await holdFor(1_000);
  expect(await keep(id, 1_000)).toBe(true);
  expect(await keep(id, 1_000)).toBe(false);
});

it("keeps none of more bytes than are held", async () => {
  const id = await holdFor(1_000);
  expect(await keep(id, 1_001)).toBe(false);
});

it("counts a row that cannot be read no more once it has ended, nor its bytes", async () => {
  const id = await holdFor(1_000);
  const caller = requestOf(id).caller;
  const other: FileRequest = {
    ...{ caller, fileId: "file-00000000000000000000000002", bytes: 500, isRequest: true, nowMs: t0 + 1 },
  };
  const bytesLeft = async (nowMs: number) => (await summaryOf(id, nowMs)).remaining.file_bytes;
  await runInDurableObject(objectOf(id), async (object, { storage }) => {
    expect(await object.admitFile(other)).toMatchObject({ kind: "admitted" });
    storage.sql.exec("UPDATE files SET bytes = 'unreadable contents' WHERE id = ?", fileId);
  });
  expect(await bytesLeft(t0 + 1)).toBe(8_500);
  expect(await bytesLeft(t0 + 15 * 60_000)).toBe(9_500);
  expect(await bytesLeft(t0 + 16 * 60_000)).toBe(10_000);
});
