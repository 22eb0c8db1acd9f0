/** `GET /healthz`: whether the Worker runs. It does no I/O. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { documented } from "../../domain/documented.ts";
import type { Api } from "../../http/context.ts";
import { json } from "../../http/replies.ts";
import { notStored } from "../../http/reply-headers.ts";

const contract = createRoute({
  method: "get",
  path: "/healthz",
  operationId: "healthz",
  ...documented(() => ({
    tags: ["Health"],
    summary: "Whether the Worker runs",
    description: "Takes any query: probes add some, so that no cache answers them.",
    responses: {
      200: json(z.object({ status: z.literal("ok") }).meta({ examples: [{ status: "ok" }] }), "It does."),
    },
  })),
});

export function healthz(api: Api): void {
  api.openapi(contract, (c) => c.json({ status: "ok" as const }, 200, notStored));
}
