/** Uploaded files: alive, named by a task, deleted, about to go, past their end, and one whose body is still coming. */
import sharp from "sharp";
import type { Json } from "../views.ts";
import type { Story } from "./story.ts";

const dayMs = 86_400_000;

export async function uploadFiles(story: Story): Promise<void> {
  const { made, submit } = story;
  const alive = await upload(story, "acme", "png");
  const named = await upload(story, "acme", "webp");
  const byToken = await upload(story, "acme-token", "png");
  await submit("edit of a file", "acme", { prompt: "lasts, of a file", image_urls: [named.url] });
  await submit("edit by token", "acme-token", { image_urls: [byToken.url] });
  for (const file of [alive, named, byToken]) remember(story, file);
  const deleted = await upload(story, "acme", "jpeg");
  await story.stand.call(story.key("acme").key, "DELETE", `/v1/files/${deleted.id}`);
  remember(story, deleted);
  made.scenes["file about to go"] = remember(story, await upload(story, "metered", "png")).id;
  made.scenes["file past its end"] = remember(story, await upload(story, "metered", "jpeg")).id;
}

/** Files whose state lasts for moments, or begins after days. */
export async function ageFiles({ stand, task }: Story): Promise<void> {
  // An eraser died between the row and the tombstone.
  const aboutToGo = task("file about to go");
  await stand.sql("UPDATE files SET erasure = 'pending', end_user = NULL WHERE id = ?1", aboutToGo);
  // Three days have passed for this one: in D1, in its object's own words and in the tenant's object.
  const ended = task("file past its end");
  const endMs = Date.now() - 1_000;
  await stand.sql(
    "UPDATE files SET created_ms = ?2, expires_ms = ?3 WHERE id = ?1",
    ended,
    endMs - 3 * dayMs,
    endMs,
  );
  await stand.objectSql("metered", "UPDATE files SET ends_ms = ? WHERE id = ?", endMs, ended);
  const key = `files/${ended}`;
  const object = await stand.bindings.IMAGES.get(key);
  if (!object) throw new Error("the file is not there");
  await stand.bindings.IMAGES.put(key, new Uint8Array(await object.arrayBuffer()), {
    httpMetadata: object.httpMetadata,
    customMetadata: { expires_ms: String(endMs) },
  });
}

/** An upload that has been let in and whose body does not come. @returns what lets go of it. */
export async function holdUpload({ stand, key }: Story): Promise<() => void> {
  const { readable: body, writable } = new TransformStream();
  const uploader = writable.getWriter();
  void uploader.write(new Uint8Array([0x89, 0x50, 0x4e, 0x47])).catch(() => undefined);
  const sent = stand.fetch("/v1/files", {
    method: "POST",
    headers: { authorization: `Bearer ${key("acme").key}`, "content-type": "image/png" },
    body,
    duplex: "half",
  } as RequestInit);
  sent.catch(() => undefined);
  for (let waited = 0; waited < 50; waited++) {
    const held = await stand.objectSql("acme", "SELECT id FROM files WHERE uploaded = 0");
    if (held.length > 0) return () => void uploader.abort().catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("the upload was not let in");
}

async function upload({ stand, key }: Story, by: string, format: "png" | "jpeg" | "webp"): Promise<Json> {
  const { key: text, page } = key(by);
  const background = { r: 40, g: 90, b: 160 };
  const picture = sharp({ create: { width: 240, height: 240, channels: 3, background } });
  const response = await stand.fetch("/v1/files", {
    method: "POST",
    headers: {
      authorization: `Bearer ${text}`,
      "content-type": `image/${format}`,
      ...(page && { origin: page }),
    },
    body: new Uint8Array(await picture.toFormat(format).toBuffer()),
  });
  if (response.status !== 201) throw new Error(`not uploaded: ${response.status} ${await response.text()}`);
  return response.json();
}

function remember({ made }: Story, file: Json): Json {
  made.files.push({ path: new URL(file.url).pathname, status: 0 });
  return file;
}
