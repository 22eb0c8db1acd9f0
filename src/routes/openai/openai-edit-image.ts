/** `POST /openai/v1/images/edits`: a form whose images are kept as files for the model to fetch. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import type { Config } from "../../config.ts";
import { documented } from "../../domain/documented.ts";
import { sha256Hex } from "../../domain/signing.ts";
import { fileLifeHours, fileUrl } from "../../domain/uploads.ts";
import { ApiError } from "../../errors.ts";
import { dropReferences, keepReferences } from "../../flows/files/keep-references.ts";
import { countSubmission } from "../../flows/tasks/count-submission.ts";
import { countCall, networkAddress } from "../../http/call-limits.ts";
import { type Api, type AppContext, originOf } from "../../http/context.ts";
import { setLimitHeaders } from "../../http/replies.ts";
import { invalidRequest } from "../../http/validation.ts";
import { linkBases } from "../../platform/link-bases.ts";
import { fileRefused, keyRefused } from "../tasks/refusals.ts";
import { type Asked, checkPublic, countPublic, idempotencyHeader, submitLetIn } from "../tasks/submission.ts";
import { imagesReply, openAiErrors } from "./openai-document.ts";
import { type EditForm, editFormDocument, readEditForm } from "./openai-form.ts";
import { replyWithImages } from "./openai-reply.ts";
import { type OpenAiRequest, toOpenAiRequest } from "./openai-request.ts";

const event = "image_edit.completed";

const contract = () =>
  createRoute({
    method: "post",
    path: "/openai/v1/images/edits",
    operationId: "openai-edit-image",
    security: [{ key: [] }],
    request: { headers: z.object(idempotencyHeader) },
    ...documented(() => ({
      tags: ["OpenAI"],
      summary: "Edit images, in OpenAI's words",
      description: `The images are kept for ${fileLifeHours} hours and counted, as uploads are.`,
      responses: { 200: imagesReply(event), ...openAiErrors },
    })),
  });

export function openAiEditImage(api: Api, config: Config): void {
  const route = contract();
  const request = { ...route.request, body: editFormDocument(config) };
  api.openAPIRegistry.registerPath({ ...route, request });
  // Documented above: with its body in the route, the form would be read before its caller is let in.
  api.openapi({ ...route, hide: true }, async (c) => {
    const idempotencyKey = c.req.valid("header")["idempotency-key"] ?? null;
    const isCounted = await countEdit(c, idempotencyKey);
    const { stream, format, task, headers } = await readEditForm(c, config, async (form) => {
      const { stream, format, ...asked } = toOpenAiRequest(config, form.body);
      return { stream, format, ...(await submitEdit(c, form, { ...asked, idempotencyKey, isCounted })) };
    });
    return replyWithImages(c, task, headers, { stream, format, event });
  });
}

/**
 * Counts an edit: forty megabytes are not read for a key that may not send them, or not yet.
 * @returns whether it counted: what may be a replay costs nothing.
 */
async function countEdit(c: AppContext, key: string | null): Promise<boolean> {
  // As the object would say: a browser key uploads nothing.
  if (c.get("caller").kind === "browser") throw keyRefused("scope_denied");
  await countPublic(c);
  const source = { key, ip: networkAddress(c) };
  const counted = await countSubmission(c.get("invocation"), c.get("caller"), "upload", source);
  if (counted.kind === "key_refused") throw keyRefused(counted.refusal);
  setLimitHeaders(c, counted.policies);
  if (counted.kind === "limited") throw fileRefused(counted);
  const { tenantId, keyId, token } = c.get("caller");
  if (!counted.isCounted) await countCall(c, "editReplays", `${tenantId} ${token?.id ?? keyId}`);
  return counted.isCounted;
}

type AskedEdit = Omit<OpenAiRequest, "stream" | "format"> & {
  idempotencyKey: string | null;
  isCounted: boolean;
};

/** Keeps the images and submits their task. A replay is known by what the images hold, not by where they are kept. */
async function submitEdit(c: AppContext, { images }: EditForm, asked: AskedEdit) {
  const invocation = c.get("invocation");
  checkPublic(c, asked);
  const references = await Promise.all(images.map((bytes) => sha256Hex(bytes)));
  const earlier = await askFirst(c, { ...asked, references });
  if (earlier) return earlier;
  const kept = await keepReferences(invocation, c.get("caller"), images, asked.endUser);
  switch (kept.kind) {
    case "key_refused":
      throw keyRefused(kept.refusal);
    case "refused":
      setLimitHeaders(c, kept.policies);
      // A replay gets its task, also when the first attempt has used up what there was.
      return submitLetIn(c, { ...asked, references, refusal: fileRefused(kept.refusal, "image") });
    case "no_picture":
      throw invalidRequest([{ path: ["image", kept.index], message: kept.problem }]);
    case "kept":
  }
  const base = linkBases(invocation.config, originOf(c)).api;
  const image_urls = kept.files.map((file) => fileUrl(base, file));
  try {
    const submitted = await submitLetIn(c, { ...asked, input: { ...asked.input, image_urls }, references });
    if (submitted.isReplay) dropReferences(invocation, kept.files);
    return submitted;
  } catch (error) {
    // Any other error leaves open whether there is a task, which is made of them if there is.
    const isRefused = error instanceof ApiError && error.details.charged !== "unknown";
    if (isRefused) dropReferences(invocation, kept.files);
    throw error;
  }
}

const isLetIn = new ApiError("invalid_request", "It is a new request.");

/**
 * Asks the object before any image is kept: what it refuses, and another body under a used key, costs no writing.
 * @returns the task of a replay; undefined for a new request that would be let in.
 */
function askFirst(c: AppContext, asked: Asked) {
  return submitLetIn(c, { ...asked, asking: isLetIn }).catch((error: unknown) => {
    if (error !== isLetIn) throw error;
  });
}
