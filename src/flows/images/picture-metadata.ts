/** What R2 keeps of a stored picture beside its bytes, and the codec of it. */
import { contentType } from "../../d1/tasks/task-row.ts";
import { json, readStored, record, text, whole } from "../../domain/stored.ts";
import { imageKey, type StoredImage } from "../../domain/task.ts";

const httpMetadata = record<Pick<StoredImage, "contentType">>({ contentType });
// Texts, as all custom metadata.
const customMetadata = record<Pick<StoredImage, "width" | "height" | "sha256">>({
  width: json(whole),
  height: json(whole),
  sha256: text,
});

export function pictureMetadata({ contentType, width, height, sha256 }: StoredImage) {
  return {
    httpMetadata: { contentType, cacheControl: "public, max-age=31536000, immutable" },
    customMetadata: { width: String(width), height: String(height), sha256 },
  };
}

/** @throws StoredDataUnreadable */
export function pictureFrom(id: string, object: R2Object): StoredImage {
  const place = { table: "R2", id: imageKey(id) };
  return {
    ...readStored({ ...place, field: "httpMetadata" }, httpMetadata, object.httpMetadata),
    ...readStored({ ...place, field: "customMetadata" }, customMetadata, object.customMetadata),
    bytes: object.size,
  };
}
