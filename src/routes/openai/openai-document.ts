/** What the OpenAI routes answer, for the document. */
import * as z from "zod";
import { documented } from "../../domain/documented.ts";
import { taskFailureCodes } from "../../domain/failures.ts";
import { errorCodes } from "../../errors.ts";
import { errorEnvelope, errorReplies } from "../../http/replies.ts";
import { headers, limitFields, withHeaders } from "../../http/reply-headers.ts";
import { submissionErrors } from "../tasks/submission.ts";

const images = documented(() =>
  z
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
    .meta({
      id: "OpenAIImages",
      examples: [
        {
          created: 1_757_165_031,
          data: [{ url: "https://gateway.example/images/img-0123456789abcdefghjkmnpqrs.png" }],
          usage: {
            images: 1,
            credits_charged: 30,
            input_tokens: 0,
            input_tokens_details: { image_tokens: 0, text_tokens: 0 },
            output_tokens: 0,
            total_tokens: 0,
          },
        },
      ],
    }),
);

const fields = [...limitFields, "x-task-id", "idempotency-replayed", "cache-control"] as const;

/** @param event Of which there is one an image, with `stream`. */
export const imagesReply = (event: string) => ({
  description: `The images. With \`stream\`: an event \`${event}\` for each.`,
  headers: headers(...fields),
  content: { "application/json": { schema: images }, "text/event-stream": { schema: z.string() } },
});

/** Where the reply waits for the task, its failure is an error of the request. */
const failure = documented(() =>
  errorEnvelope
    .extend({
      error: errorEnvelope.shape.error.extend({
        code: z.enum([...errorCodes, ...taskFailureCodes]),
      }),
    })
    .meta({ id: "OpenAIError" }),
);

const replies = documented(() => errorReplies(...submissionErrors, "task_not_finished", "body_too_large"));
const withFailures = documented(() =>
  Object.entries(replies).map(([status, reply]) => {
    const { content } = reply as { content: Record<string, object> };
    const json = { ...content["application/json"], schema: failure };
    return [
      status,
      status === "400" || status === "500" ? { ...reply, content: { "application/json": json } } : reply,
    ];
  }),
);

export const openAiErrors = documented(() =>
  withHeaders(Object.fromEntries(withFailures) as typeof replies, ...fields, "x-should-retry"),
);
