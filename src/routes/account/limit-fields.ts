/** The settings that tenants and keys have in common, as the API takes and shows them. */
import * as z from "zod";
import { defaultLimits, type LimitName, type Limits, limitNames } from "../../domain/admission.ts";
import { documented } from "../../domain/documented.ts";
import { maxPrice, models } from "../../domain/model-catalog.ts";
import { maxOriginCharacters, originProblem } from "../../domain/origins.ts";
import { maxLimit } from "../../domain/rate-bucket.ts";

/** The default of `file_bytes` is above the usual bound, and a limit that is shown can be given back. */
const limit = (name: LimitName) =>
  z
    .int()
    .min(1)
    .max(Math.max(maxLimit, defaultLimits[name] ?? 0))
    .nullable();

function limitFields<Schema extends z.ZodType>(field: (name: LimitName) => Schema) {
  return Object.fromEntries(limitNames.map((name) => [name, field(name)])) as Record<LimitName, Schema>;
}

/** Limits as they are given. A limit that is left out stays, or takes the default. */
export const givenLimits = z
  .strictObject(
    limitFields((name) =>
      limit(name)
        .optional()
        .meta(documented(() => ({ description: `Default ${defaultLimits[name] ?? "none"}. Null: none.` }))),
    ),
  )
  .meta(
    documented(() => ({
      description: "Per-minute limits have a burst of one minute's worth; days and months are UTC.",
    })),
  ) as z.ZodType<Partial<Limits>>;

/** Limits of a key, on top of its tenant's. */
export const givenKeyLimits = z.strictObject(limitFields((name) => limit(name).optional())) as z.ZodType<
  Partial<Limits>
>;

export const shownLimits = documented(() => z.object(limitFields(limit)));

/** What is left of each. */
export const shownRemaining = documented(() => z.object(limitFields(() => z.int().min(0).nullable())));

export const prices = z.partialRecord(z.enum(models), z.int().min(0).max(maxPrice)).meta(
  documented(() => ({
    description: "Credits per image, by model; over the gateway's own prices.",
  })),
);

export const modelList = z.array(z.enum(models)).min(1).max(models.length);

export const allowedOrigins = z
  .array(
    z
      .string()
      .superRefine((text, context) => {
        const message = originProblem(text);
        if (message !== undefined) context.addIssue({ code: "custom", message });
      })
      .meta(documented(() => ({ maxLength: maxOriginCharacters }))),
  )
  .min(1)
  .max(20)
  .meta(
    documented(() => ({
      description: "Exact origins, `https://*.example.com` or `http://localhost:*`.",
      examples: [["https://app.example"]],
    })),
  );

/** Unix seconds, until the year 2100. */
export const unixSeconds = z.int().min(0).max(4_102_444_800);
