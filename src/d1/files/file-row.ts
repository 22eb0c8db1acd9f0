/** The codec of `files`. */
import { orNull, rowCodec, text, whole } from "../../domain/stored.ts";
import type { StoredFile } from "../../domain/uploads.ts";
import { contentType } from "../tasks/task-row.ts";

const file = rowCodec<StoredFile>("files", {
  id: ["id", text],
  tenantId: ["tenant_id", text],
  keyId: ["key_id", text],
  tokenId: ["token_id", orNull(text)],
  endUser: ["end_user", orNull(text)],
  contentType: ["content_type", contentType],
  bytes: ["bytes", whole],
  width: ["width", whole],
  height: ["height", whole],
  createdMs: ["created_ms", whole],
  expiresMs: ["expires_ms", whole],
});

/** @throws StoredDataUnreadable */
export const fileFromRow = file.read;
