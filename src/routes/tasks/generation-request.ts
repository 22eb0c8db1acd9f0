/** The body of a generation, made of the table of fields: what is taken, and the request that it makes. */
import * as z from "zod";
import type { AddressPolicy } from "../../domain/address.ts";
import { documented } from "../../domain/documented.ts";
import { generationFields } from "../../domain/generation-fields.ts";
import { models } from "../../domain/model-catalog.ts";
import { clashes, inputOf, inputSchemas, schemasOf, type TaskRequest } from "../../domain/task-request.ts";

/** @param policy Where `image_urls` and `callback_url` may point to. */
export function generationBody(policy: Pick<AddressPolicy, "allowPrivate">) {
  return z
    .strictObject(schemasOf(generationFields(policy)))
    .superRefine((body, context) => addClashes(context, clashes(body)), always)
    .meta(
      documented(() => ({
        examples: [
          { model: models[0], prompt: "a lighthouse at dusk", n: 2, size: "landscape_4_3" },
          {
            model: models.at(-1) ?? models[0],
            prompt: "put image 1 into the snow",
            image_urls: ["https://shop.example/lighthouse.png"],
            enable_prompt_expansion: true,
          },
        ],
      })),
    );
}

/** The request of a body. */
export function toTaskRequest(body: z.output<ReturnType<typeof generationBody>>): TaskRequest {
  const { model, metadata = {}, end_user: endUser = null } = body;
  return { model, input: inputOf(body), metadata, endUser };
}

/** The part of a body that a task shows as its `input`. */
export const taskInput = z.object(inputSchemas);

/** Fields that do not go together are reported also when one is wrong by itself: the caller sees all faults at once. */
export const always = { when: () => true };

export function addClashes(
  context: Pick<z.core.$RefinementCtx, "addIssue">,
  found: ReturnType<typeof clashes>,
): void {
  for (const clash of found) context.addIssue({ code: "custom", ...clash });
}
