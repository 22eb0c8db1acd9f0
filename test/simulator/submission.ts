/**
 * What a submit may say, by the upstream's documented bounds, and stricter than the upstream where silence would
 * cost money: `n` must be there, and a field that is not documented is refused.
 */
import * as z from "zod";

const MAX_BODY_CHARACTERS = 256 * 1024;
const MIN_PIXELS = 768 ** 2;
const MAX_PIXELS = 2048 ** 2;
const MAX_PIXELS_PRO = 4096 ** 2;

const PRESETS = {
  square_hd: { width: 1024, height: 1024 },
  square: { width: 512, height: 512 },
  portrait_4_3: { width: 768, height: 1024 },
  portrait_16_9: { width: 576, height: 1024 },
  landscape_4_3: { width: 1024, height: 768 },
  landscape_16_9: { width: 1024, height: 576 },
} as const;

/** Names and public IPv4 only: enough to catch a callback that points back into a private network. */
const NOT_PRIVATE = /^(?!localhost$|127\.|10\.|192\.168\.|169\.254\.|0\.|\[).+$/;

const preset = z.enum(Object.keys(PRESETS) as (keyof typeof PRESETS)[]);
const side = z.int().min(1);

const SubmissionSchema = z
  .strictObject({
    model: z.enum(["wan-2.7-image", "wan-2.7-image-pro"]),
    prompt: z
      .string()
      .min(1)
      .refine((prompt) => [...prompt].length <= 2000, "prompt: at most 2000 characters"),
    image_urls: z
      .array(z.url({ protocol: /^https?$/ }).max(2048))
      .min(1)
      .max(4)
      .optional(),
    n: z.int().min(1).max(5),
    size: z.union([preset, z.strictObject({ width: side, height: side })]).optional(),
    negative_prompt: z
      .string()
      .refine((prompt) => [...prompt].length <= 500, "negative_prompt: at most 500 characters")
      .optional(),
    seed: z.int().min(0).max(2_147_483_647).optional(),
    enable_safety_checker: z.boolean().optional(),
    enable_prompt_expansion: z.boolean().optional(),
    callback_url: z
      .url({ protocol: /^https$/, hostname: NOT_PRIVATE })
      .max(2048)
      .optional(),
  })
  .superRefine((body, context) => {
    const refuse = (field: string, message: string) =>
      context.addIssue({ code: "custom", path: [field], message: `${field}: ${message}` });
    if (body.image_urls !== undefined && body.n > 4) refuse("n", "at most 4 when editing");
    if (body.image_urls === undefined && body.enable_prompt_expansion !== undefined) {
      refuse("enable_prompt_expansion", "only when editing");
    }
    if (typeof body.size !== "object") return;
    const { width, height } = body.size;
    const pro = body.model === "wan-2.7-image-pro" && body.image_urls === undefined;
    if (width * height < MIN_PIXELS) refuse("size", "at least 768x768 pixels in all");
    if (width * height > (pro ? MAX_PIXELS_PRO : MAX_PIXELS)) refuse("size", "too many pixels");
    if (Math.max(width, height) > 8 * Math.min(width, height)) refuse("size", "ratio from 1:8 to 8:1");
  });

export type Submission = z.infer<typeof SubmissionSchema>;

export type ReadSubmission =
  | { kind: "good"; submission: Submission }
  | { kind: "refused"; status: number; code: string; message: string; param: string | undefined };

function refused(status: number, code: string, message: string, param?: string): ReadSubmission {
  return { kind: "refused", status, code, message, param };
}

export function readSubmission(contentType: string | null, text: string): ReadSubmission {
  if (text.length > MAX_BODY_CHARACTERS) return refused(413, "request_too_large", "the body is too large");
  if (!/^application\/json\b/i.test(contentType ?? "")) {
    return refused(400, "invalid_request", "Content-Type must be application/json");
  }
  const json = parseJson(text);
  if (json === undefined) return refused(400, "invalid_request", "the body is not JSON");
  const parsed = SubmissionSchema.safeParse(json);
  if (parsed.success) return { kind: "good", submission: parsed.data };
  const unknown = parsed.error.issues.find((issue) => issue.code === "unrecognized_keys");
  if (unknown?.code === "unrecognized_keys" && unknown.path.length === 0) {
    return refused(400, "unsupported_parameters", unknown.message, unknown.keys[0]);
  }
  const first = parsed.error.issues[0];
  return refused(400, "invalid_parameters", first?.message ?? "invalid", first?.path.join("."));
}

/** The prompt of a body that may be anything, since rules match before the body is judged. */
export function promptOf(text: string): string {
  const json = parseJson(text);
  if (typeof json !== "object" || json === null || !("prompt" in json)) return "";
  return typeof json.prompt === "string" ? json.prompt : "";
}

export function pixelsOf(submission: Submission): { width: number; height: number } {
  const size = submission.size ?? "square_hd";
  return typeof size === "string" ? PRESETS[size] : size;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
