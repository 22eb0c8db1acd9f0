/** What the OpenAI routes answer, for the document. */
import * as z from "zod";
import { errorReplies } from "./replies.ts";
import { submissionErrors } from "./submission.ts";

const images = z
  .object({
    created: z.int().meta({ description: "Unix seconds." }),
    data: z.array(z.object({ url: z.url().optional(), b64_json: z.string().optional() })),
    usage: z.object({
      images: z.int(),
      credits_charged: z.int().optional().meta({ description: "For secret keys only." }),
      input_tokens: z.int(),
      input_tokens_details: z.object({ image_tokens: z.int(), text_tokens: z.int() }),
      output_tokens: z.int(),
      total_tokens: z.int(),
    }),
  })
  .meta({ id: "OpenAIImages" });

/** @param event Of which there is one an image, with `stream`. */
export const imagesReply = (event: string) => ({
  description: `The images. With \`stream\`: an event \`${event}\` for each.`,
  content: { "application/json": { schema: images }, "text/event-stream": { schema: z.string() } },
});

export const openAiErrors = errorReplies(...submissionErrors, "task_not_finished", "body_too_large");
