/** `DELETE /v1/files/{id}`: erases an uploaded file before it expires. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { documented } from "../../domain/documented.ts";
import { ApiError } from "../../errors.ts";
import { deleteFile } from "../../flows/files/delete-file.ts";
import type { Api } from "../../http/context.ts";
import { errorReplies, keyErrors } from "../../http/replies.ts";
import { unlessKeyRefused } from "../tasks/refusals.ts";

const contract = createRoute({
  method: "delete",
  path: "/v1/files/{id}",
  operationId: "delete-file",
  security: [{ key: [] }],
  request: { params: z.object({ id: z.string() }) },
  ...documented(() => ({
    tags: ["Files"],
    summary: "Erase an uploaded file",
    description:
      "Its URL answers 404 from now on, and its bytes count no more. A client token erases its own uploads.",
    responses: {
      204: { description: "Erased." },
      ...errorReplies(...keyErrors, "not_found"),
    },
  })),
});

export function deleteFileRoute(api: Api): void {
  api.openapi(contract, async (c) => {
    const { id } = c.req.valid("param");
    const result = unlessKeyRefused(await deleteFile(c.get("invocation"), c.get("caller"), id));
    if (result.kind === "not_found") throw new ApiError("not_found", "There is no such file.");
    return c.body(null, 204);
  });
}
