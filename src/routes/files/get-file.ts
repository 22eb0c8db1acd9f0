/** `GET /files/{id}.{ext}`: serves an uploaded file by its URL, without a key, since the upstream fetches it. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { documented } from "../../domain/documented.ts";
import { fileLifeHours } from "../../domain/uploads.ts";
import { ApiError } from "../../errors.ts";
import { readFile } from "../../flows/files/read-file.ts";
import { missed } from "../../http/call-limits.ts";
import type { Api } from "../../http/context.ts";
import { errorReplies } from "../../http/replies.ts";
import { headers, notStored } from "../../http/reply-headers.ts";

const contract = createRoute({
  method: "get",
  path: "/files/{file}",
  operationId: "get-file",
  request: {
    params: z.object({
      file: z.string().meta(documented(() => ({ examples: ["file-0123456789abcdefghjkmnpqrs.png"] }))),
    }),
  },
  ...documented(() => ({
    tags: ["Files"],
    summary: "Fetch an uploaded file",
    description:
      `Public for ${fileLifeHours} hours: the id's 130 random bits are the lock. ` +
      "To be saved, never shown. `HEAD` works.",
    responses: {
      200: {
        headers: headers("content-length", "content-disposition", "cache-control"),
        description: "The file.",
        content: { "image/png": {}, "image/jpeg": {}, "image/webp": {} },
      },
      ...errorReplies("not_found", "rate_limited", "unavailable"),
    },
  })),
});

export function getFile(api: Api): void {
  api.openapi(contract, async (c) => {
    const { file: name } = c.req.valid("param");
    const file = await readFile(c.get("invocation"), name, c.req.method === "HEAD");
    if (!file) throw await missed(c, new ApiError("not_found", "There is no such file."));
    return new Response(file.body, {
      headers: {
        "content-type": file.contentType,
        "content-length": String(file.bytes),
        // A caller's bytes must neither run nor be shown under the gateway's own host.
        "content-disposition": `attachment; filename="${name}"`,
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
        ...notStored,
      },
    });
  });
}
