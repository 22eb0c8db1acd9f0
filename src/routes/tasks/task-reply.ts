/** A task in replies: its shape in the OpenAPI document, and the example shown there. */
import * as z from "zod";
import { documented } from "../../domain/documented.ts";
import { taskFailureCodes } from "../../domain/failures.ts";
import { defaultModel, models } from "../../domain/model-catalog.ts";
import { imageExtensions, type TaskView, taskStatuses } from "../../domain/task.ts";
import { taskInput } from "./generation-request.ts";

const unixSeconds = z.int().meta(documented(() => ({ description: "Unix seconds." })));

const exampleId = "task-01k5d3v7xq8m2n4p6r8t0w2y4a6c8e0";

export const exampleTask = {
  id: exampleId,
  object: "image.generation.task",
  type: "image",
  model: defaultModel,
  created: 1_757_165_031,
  finished: 1_757_165_078,
  status: "completed",
  progress: 100,
  results: ["https://gateway.example/images/img-5h2k8m1n4p7r0t3w6y9b2d5f8h.png"],
  images: [
    {
      url: "https://gateway.example/images/img-5h2k8m1n4p7r0t3w6y9b2d5f8h.png",
      width: 1_024,
      height: 768,
      bytes: 1_482_115,
      content_type: "image/png",
    },
  ],
  task_info: { can_cancel: false, estimated_time: null, queue_position: null },
  usage: { images: 1, credits_held: 0, credits_charged: 30 },
  input: { prompt: "a lighthouse at dusk", n: 1, size: "landscape_4_3" },
  metadata: { order: "1001" },
  end_user: null,
  error: null,
  links: {
    self: `https://gateway.example/v1/tasks/${exampleId}`,
    events: `https://gateway.example/v1/tasks/${exampleId}/events?token=k7Qf`,
  },
} as const;

/** `showTask` adds the signed link. */
type ShownLinks = TaskView["links"] & { events: string };

/** A field that is shown and not documented, or documented and not shown, does not compile. */
type FieldsOf<View> = Record<keyof View, z.ZodType>;

export const taskReply = documented(() =>
  z
    .object({
      id: z.string(),
      object: z.literal("image.generation.task"),
      type: z.literal("image"),
      model: z.enum(models),
      created: unixSeconds,
      finished: unixSeconds.nullable(),
      status: z.enum(taskStatuses),
      progress: z.int().min(0).max(100),
      results: z.array(z.url()).meta({ description: "The images' permanent URLs." }),
      images: z.array(
        z.object({
          url: z.url(),
          width: z.int(),
          height: z.int(),
          bytes: z.int(),
          content_type: z.enum(Object.keys(imageExtensions) as [keyof typeof imageExtensions]),
        } satisfies FieldsOf<TaskView["images"][number]>),
      ),
      task_info: z.object({
        can_cancel: z.boolean(),
        estimated_time: z.number().nullable().meta({ description: "Seconds, as the model guesses." }),
        queue_position: z.int().nullable().meta({ description: "An estimate where many wait." }),
      } satisfies FieldsOf<TaskView["task_info"]>),
      usage: z
        .object({
          images: z.int(),
          credits_held: z.int().optional(),
          credits_charged: z.int().optional(),
        } satisfies FieldsOf<TaskView["usage"]>)
        .meta({ description: "Browser keys and tokens see no credits." }),
      input: taskInput.meta({ description: "What was asked, given defaults included." }).optional(),
      metadata: z.record(z.string(), z.string()),
      end_user: z.string().nullable(),
      error: z
        .object({
          code: z.enum(taskFailureCodes),
          message: z.string(),
          type: z.literal("task_error"),
          retryable: z.boolean(),
          charged: z.literal("no"),
        } satisfies FieldsOf<NonNullable<TaskView["error"]>>)
        .nullable(),
      links: z.object({
        self: z.url(),
        events: z.url().optional().meta({ description: "Streams the task without a key, for an hour." }),
      } satisfies FieldsOf<ShownLinks>),
    } satisfies FieldsOf<TaskView>)
    .meta({ id: "Task", examples: [exampleTask] }),
);
