/** `DELETE /v1/end-users/{id}`: erases all of an end user's tasks. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { documented } from "../../domain/documented.ts";
import { endUser } from "../../domain/generation-fields.ts";
import { deleteEndUser } from "../../flows/erasure/delete-task.ts";
import type { Api } from "../../http/context.ts";
import { errorReplies, keyErrors } from "../../http/replies.ts";
import { keyRefused } from "./refusals.ts";

const contract = createRoute({
  method: "delete",
  path: "/v1/end-users/{id}",
  operationId: "delete-end-user",
  security: [{ key: [] }],
  request: { params: z.object({ id: endUser }) },
  ...documented(() => ({
    tags: ["Tasks"],
    summary: "Erase an end user's tasks",
    description:
      "What that person uploaded goes too. Those that still run are erased once they have ended. Whether there are any is not said.",
    responses: {
      202: { description: "They are being erased." },
      ...errorReplies(...keyErrors),
    },
  })),
});

export function deleteEndUserRoute(api: Api): void {
  api.openapi(contract, async (c) => {
    const result = await deleteEndUser(c.get("invocation"), c.get("caller"), c.req.valid("param").id);
    if (result.kind === "key_refused") throw keyRefused(result.refusal);
    return c.body(null, 202);
  });
}
