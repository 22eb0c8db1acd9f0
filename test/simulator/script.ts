/**
 * The language in which a test scripts the simulator's faults. The schema is what the control door checks;
 * the types come from it, so that a script typed in-process and one sent over HTTP cannot differ.
 *
 * A rule's behaviour is a gate (what the wire does to this one call) or a shaper: a `plan` (how a task lives) or a
 * `serve` (how a picture is sent). Gates and shapers are chosen apart, the newest match of each, so "the task
 * follows this plan" and "the reply is lost" can hold for the same call.
 */
import * as z from "zod";

const DAY_SECONDS = 86_400;

const times = z.int().min(1).optional();
const statusCode = z.int().min(200).max(599);
const headers = z.record(z.string().min(1), z.string());
const errorCode = z.union([z.string(), z.int()]);
const side = z.int().min(1).max(8192);
export const PictureFormat = z.enum(["png", "jpeg", "webp"]);

const match = z
  .strictObject({
    /** A part of the prompt. */
    prompt: z.string().min(1).optional(),
    /** The upstream's task id. */
    task: z.string().min(1).optional(),
    idempotencyKey: z.string().min(1).optional(),
    /** Which picture of the task, counted from 0. */
    image: z.int().min(0).optional(),
  })
  .optional();

/** A number of seconds, the header's text as it is, or a date so far from the simulator's now. */
const retryAfter = z
  .union([z.number(), z.string(), z.strictObject({ dateInSeconds: z.number() })])
  .optional();

function hasOneBody(reply: unknown): boolean {
  const bodies = ["json", "html", "text"];
  return Object.keys(Object(reply)).filter((field) => bodies.includes(field)).length < 2;
}

function wireGates<Extra extends z.ZodRawShape>(extra: Extra) {
  return [
    /** As if there were no gate: covers an older rule. */
    z.strictObject({ kind: z.literal("pass"), ...extra }),
    /** Exactly this; a reply without `json`, `html` and `text` has an empty body. */
    z
      .strictObject({
        kind: z.literal("reply"),
        status: statusCode,
        headers: headers.optional(),
        json: z.unknown().optional(),
        html: z.string().optional(),
        text: z.string().optional(),
        ...extra,
      })
      .refine(hasOneBody, { message: "a reply has one body: json, html or text" }),
    /** `{"error":{…}}`, or with `shape: "oauth"` `{"error":"…","error_description":"…"}`. `{key}` becomes the API key. */
    z.strictObject({
      kind: z.literal("error"),
      status: statusCode,
      code: errorCode,
      message: z.string().optional(),
      shape: z.enum(["error", "oauth"]).optional(),
      headers: headers.optional(),
      ...extra,
    }),
    z.strictObject({ kind: z.literal("rate_limit"), retryAfter, ...extra }),
    z.strictObject({ kind: z.literal("reset"), ...extra }),
    z.strictObject({ kind: z.literal("hang"), ...extra }),
  ] as const;
}

export const PlanSchema = z.strictObject({
  kind: z.literal("plan"),
  /** From creation until done; 0: done in the reply to the submit. */
  seconds: z
    .number()
    .min(0)
    .max(30 * DAY_SECONDS)
    .optional(),
  /** Reads answer 404 for so long. */
  hiddenSeconds: z.number().min(0).max(DAY_SECONDS).optional(),
  progress: z.enum(["linear", "frozen", "jumping", "back"]).optional(),
  /** The word shown while it runs. */
  status: z.string().optional(),
  end: z.enum(["completed", "failed", "cancelled", "canceled"]).optional(),
  code: errorCode.optional(),
  /** `{key}` becomes the API key. */
  message: z.string().optional(),
  withoutError: z.boolean().optional(),
  /** How many links; without it, as many as asked. */
  results: z.int().min(0).max(20).optional(),
  /** Every link is the first one. */
  repeated: z.boolean().optional(),
  carrier: z.enum(["results", "result_data_object", "result_data_array"]).optional(),
  /** `fresh`: each read gives new links, each good for 24 h; `same`: the ones made when it was done. */
  links: z.enum(["same", "fresh"]).optional(),
  format: PictureFormat.optional(),
  /** The end of the links' path, such as ".png" or "". */
  extension: z.string().optional(),
  /** Where the links point, instead of the simulator. */
  origin: z.string().optional(),
  /** These values instead of links. */
  literal: z.array(z.unknown()).optional(),
  /** The reply to the submit says that it is a replay. */
  replayed: z.boolean().optional(),
});

export const ServeSchema = z.strictObject({
  kind: z.literal("serve"),
  /** Content-Type; null: none. */
  type: z.string().nullable().optional(),
  /** What the bytes are, whatever extension and type say. */
  format: PictureFormat.optional(),
  width: side.optional(),
  height: side.optional(),
  /** A valid picture grown to exactly so many bytes, if it is smaller. */
  padToBytes: z
    .int()
    .min(1)
    .max(256 * 1024 * 1024)
    .optional(),
  /** Only the first so many bytes are sent. */
  keepBytes: z.int().min(0).optional(),
  /** Only this share of the bytes is sent. */
  keepShare: z.number().min(0).max(1).optional(),
  /** What Content-Length says: the bytes sent, the whole picture's, nothing, or a lie. */
  length: z.union([z.enum(["sent", "whole", "absent"]), z.int().min(0)]).optional(),
  /** What follows the last byte. Without it: `reset` when fewer bytes were sent than declared, else `end`. */
  ending: z.enum(["end", "reset", "stall"]).optional(),
  dripBytes: z.int().min(1).optional(),
  /** Real time between chunks, not the simulator's. */
  dripMs: z.number().min(0).max(60_000).optional(),
});

const pictureGates = [
  ...wireGates({}),
  /** `hops` redirects; the last one leads where `form` says, or to `location` (empty: no such header). */
  z.strictObject({
    kind: z.literal("redirect"),
    hops: z.int().min(1).max(50).optional(),
    form: z.enum(["absolute", "relative", "loop", "http", "private"]).optional(),
    location: z.string().optional(),
    status: z.union([301, 302, 303, 307, 308].map((code) => z.literal(code))).optional(),
  }),
  /** 403 for a User-Agent that does not start with this product token. */
  z.strictObject({ kind: z.literal("strict_agent"), product: z.string().min(1).optional() }),
  /** The first `links` links given for a task are dead; those of later reads work. Needs `links: "fresh"`. */
  z.strictObject({
    kind: z.literal("stale_link"),
    links: z.int().min(1).optional(),
    status: statusCode.optional(),
  }),
] as const;

/** The task was made all the same; only the reply is lost or wrong. Without it, there is no task. */
const submitGates = wireGates({ created: z.boolean().optional() });

export const RuleSchema = z.discriminatedUnion("on", [
  z.strictObject({
    on: z.literal("submit"),
    match,
    times,
    do: z.discriminatedUnion("kind", [...submitGates, PlanSchema]),
  }),
  /** A `plan` on a read changes, field by field, the plan of the task that is read, from this read on. */
  z.strictObject({
    on: z.literal("read"),
    match,
    times,
    do: z.discriminatedUnion("kind", [...wireGates({}), PlanSchema]),
  }),
  z.strictObject({
    on: z.literal("picture"),
    match,
    times,
    do: z.discriminatedUnion("kind", [...pictureGates, ServeSchema]),
  }),
  z.strictObject({
    on: z.literal("credits"),
    match,
    times,
    do: z.discriminatedUnion("kind", [...wireGates({})]),
  }),
]);

export type Rule = z.infer<typeof RuleSchema>;
export type Occasion = Rule["on"];
export type Plan = Omit<z.infer<typeof PlanSchema>, "kind">;
export type Serve = Omit<z.infer<typeof ServeSchema>, "kind">;
export type Format = z.infer<typeof PictureFormat>;

type Behaviour<On extends Occasion> = Extract<Rule, { on: On }>["do"];
export type Shaper<On extends Occasion> = Extract<Behaviour<On>, { kind: "plan" | "serve" }>;
export type Gate<On extends Occasion> = Exclude<Behaviour<On>, { kind: "plan" | "serve" }>;
export type WireGate = Gate<"credits">;
export type Redirect = Extract<Gate<"picture">, { kind: "redirect" }>;

/** What a call is about, as far as is known when it comes in. */
export interface Subject {
  prompt?: string | undefined;
  task?: string | undefined;
  idempotencyKey?: string | undefined;
  image?: number | undefined;
}

export function isShaper(rule: Rule): boolean {
  return rule.do.kind === "plan" || rule.do.kind === "serve";
}

export function matches(rule: Rule, subject: Subject): boolean {
  const wanted = rule.match ?? {};
  return (
    (wanted.prompt === undefined || (subject.prompt ?? "").includes(wanted.prompt)) &&
    (wanted.task === undefined || subject.task === wanted.task) &&
    (wanted.idempotencyKey === undefined || subject.idempotencyKey === wanted.idempotencyKey) &&
    (wanted.image === undefined || subject.image === wanted.image)
  );
}
