/** `POST /v1/files`: uploads a reference image. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { documented } from "../../domain/documented.ts";
import { imageExtensions, toSeconds } from "../../domain/task.ts";
import {
  fileLifeHours,
  fileUrl,
  maxUploadBytes,
  referenceSides,
  type StoredFile,
} from "../../domain/uploads.ts";
import { admitFile, releaseFileHold } from "../../flows/files/admit-file.ts";
import { keepFile } from "../../flows/files/keep-file.ts";
import { countCall } from "../../http/call-limits.ts";
import { type Api, type AppContext, originOf } from "../../http/context.ts";
import { errorReplies, json, keyErrors, setLimitHeaders } from "../../http/replies.ts";
import { headers, limitFields, notStored, withHeaders } from "../../http/reply-headers.ts";
import { linkBases } from "../../platform/link-bases.ts";
import { declaredBytes } from "../../platform/read-bytes.ts";
import { fileRefused, keyRefused } from "../tasks/refusals.ts";
import { fileProblem, readUpload } from "./upload.ts";

const types = Object.keys(imageExtensions) as [keyof typeof imageExtensions];
const binary = { type: "string", format: "binary" } as const;

const contract = createRoute({
  method: "post",
  path: "/v1/files",
  operationId: "create-file",
  security: [{ key: [] }],
  // A body under `request` would be parsed before its caller is authorized.
  requestBody: {
    required: true,
    description: `At most ${maxUploadBytes} bytes, whatever surrounds the file included.`,
    content: {
      "multipart/form-data": {
        schema: {
          type: "object",
          required: ["file"],
          properties: { file: binary },
          additionalProperties: false,
        },
      },
      ...Object.fromEntries(types.map((type) => [type, { schema: binary }])),
    },
  },
  ...documented(() => ({
    tags: ["Files"],
    summary: "Upload a reference image",
    description:
      "As a form's field `file`, or as the body itself. A PNG, JPEG or WebP by its bytes, with sides of " +
      `${referenceSides.least} to ${referenceSides.most} pixels. ` +
      `Its URL goes into \`image_urls\`, needs no key and lives for ${fileLifeHours} hours.`,
    responses: {
      201: {
        headers: headers(...limitFields, "cache-control"),
        ...json(
          z
            .object({
              id: z.string(),
              object: z.literal("file"),
              url: z.url(),
              bytes: z.int(),
              content_type: z.enum(types),
              width: z.int(),
              height: z.int(),
              expires_at: z.int().meta({ description: "Unix seconds." }),
            })
            .meta({
              id: "File",
              examples: [
                {
                  id: "file-0123456789abcdefghjkmnpqrs",
                  object: "file",
                  url: "https://gateway.example/files/file-0123456789abcdefghjkmnpqrs.png",
                  bytes: 482_113,
                  content_type: "image/png",
                  width: 1024,
                  height: 768,
                  expires_at: 1_757_424_231,
                },
              ],
            }),
          "Stored, as it came.",
        ),
      },
      ...withHeaders(
        errorReplies(
          ...keyErrors,
          "token_spent",
          "quota_exceeded",
          "body_too_large",
          "unsupported_media_type",
        ),
        ...limitFields,
      ),
    },
  })),
});

export function createFile(api: Api): void {
  api.openapi(contract, async (c) => {
    const invocation = c.get("invocation");
    if (c.get("caller").kind !== "secret") await countCall(c, "uploads");
    const admission = await admitFile(invocation, c.get("caller"), {
      bytes: declaredBytes(c.req.raw),
      isRequest: true,
    });
    if (admission.kind === "key_refused") throw keyRefused(admission.refusal);
    setLimitHeaders(c, admission.policies);
    if (admission.kind !== "admitted") throw fileRefused(admission);
    const { fileHold } = admission;
    let isRead = false;
    const kept = await readUpload(c, fileHold.heldBytes, (bytes) => {
      isRead = true;
      return keepFile(invocation, fileHold, bytes, null);
    }).catch(async (error: unknown) => {
      // What keeps a file sees to its hold itself.
      if (!isRead) await releaseFileHold(invocation, fileHold);
      throw error;
    });
    if (kept.kind === "no_picture") throw fileProblem(kept.problem);
    return c.json(viewFile(c, kept.file), 201, notStored);
  });
}

function viewFile(c: AppContext, file: StoredFile) {
  return {
    id: file.id,
    object: "file" as const,
    url: fileUrl(linkBases(c.get("invocation").config, originOf(c)).api, file),
    bytes: file.bytes,
    content_type: file.contentType,
    width: file.width,
    height: file.height,
    expires_at: toSeconds(file.expiresMs),
  };
}
