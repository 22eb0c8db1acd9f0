/**
 * The only reader of environment values: vars and secrets in, a checked `Config` out. Wrangler gives vars
 * over as strings, or as numbers, booleans and objects when they are written so in `wrangler.toml`; both are
 * taken. A bad value is reported by its name, never by what it holds.
 */
import * as z from "zod";
import { locationHints } from "./domain/location-hints.ts";
import {
  type Catalog,
  defaultPrices,
  maxPrice,
  modelCatalog,
  models,
  namesOf,
} from "./domain/model-catalog.ts";

// The runtime refuses code generation from strings, where Zod's faster path would be one.
z.config({ jitless: true });

/** A whole number, or its decimal digits; nothing else that JavaScript would take for one. */
const whole = (min: number, max: number) =>
  z.preprocess(
    (value) => (typeof value === "string" && /^\d{1,15}$/.test(value) ? Number(value) : value),
    z.int().min(min).max(max),
  );
const secret = (minCharacters: number) => z.string().min(minCharacters).max(1_024);
const optional = <T extends z.ZodType>(schema: T) =>
  z.preprocess((value) => (value === "" ? undefined : value), schema.optional());
const baseUrl = z.string().refine((text) => {
  const url = URL.parse(text);
  if (!url || url.username || url.password) return false;
  return /^https?:$/.test(url.protocol) && !/[?#\s]|\/$/.test(text);
});
const json = <T extends z.ZodType>(schema: T) =>
  z.preprocess((value) => (typeof value === "string" ? parseJson(value) : value), schema);

/** Credits per image, by model. A model that is left out costs what its entry of the catalog says. */
export const pricesOf = <Name extends string>(catalog: Catalog<Name>) =>
  json(z.partialRecord(z.enum(namesOf(catalog)), z.int().min(0).max(maxPrice)))
    .default({})
    .transform((given) => ({ ...defaultPrices(catalog), ...given }));

const configSchema = z.object({
  UPSTREAM_API_KEY: secret(1),
  ADMIN_API_KEY: secret(32),
  ADMIN_READ_KEY: optional(secret(32)),
  KEY_SIGNING_SECRET: secret(32),
  KEY_SIGNING_SECRET_PREVIOUS: optional(secret(1)),
  UPSTREAM_BASE_URL: optional(baseUrl).transform((url) => url ?? "https://api.evolink.ai"),
  PUBLIC_BASE_URL: optional(baseUrl).transform((url) => url ?? null),
  PUBLIC_IMAGE_BASE_URL: optional(baseUrl).transform((url) => url ?? null),
  UPSTREAM_TIMEOUT_MS: whole(1, 600_000).default(30_000),
  TASK_DEADLINE_SECONDS: whole(1, 86_400).default(3_600),
  POLL_ROUND_SECONDS: whole(0, 60).default(2),
  /** The upper bound is what a Worker's 128 MB can hold beside its other work. */
  ARCHIVE_MAX_BYTES: whole(1, 67_108_864).default(33_554_432),
  /** Tasks so old go from D1 to R2; 0: never. */
  ARCHIVE_TASKS_AFTER_DAYS: whole(0, 36_500).default(30),
  /** Of so many successful reads of tasks and pictures one is logged. */
  LOG_READS: whole(1, 1_000_000).default(10),
  TENANT_CALLS_PER_MINUTE: whole(100, 1_000_000_000).default(12_000),
  /** Replies at a time that wait for a task or stream it, by the isolate: of one task, and of one key or token. */
  FOLLOWERS_PER_TASK: whole(1, 10_000).default(4),
  FOLLOWERS_PER_KEY: whole(1, 10_000).default(100),
  PRICES: pricesOf(modelCatalog),
  MODEL_ALIASES: json(z.record(z.string().min(1), z.enum(models))).default({}),
  /** Where tenants' objects are made; null: near where each is reached first. */
  TENANT_LOCATION_HINT: optional(z.enum(locationHints)).transform((hint) => hint ?? null),
  /** Where Turnstile's answers are verified. */
  TURNSTILE_VERIFY_URL: optional(baseUrl).transform(
    (url) => url ?? "https://challenges.cloudflare.com/turnstile/v0/siteverify",
  ),
  ALLOW_PRIVATE_NETWORK: z
    .preprocess((value) => String(value ?? "false"), z.enum(["true", "false"]))
    .transform((text) => text === "true"),
});

export type Config = Readonly<z.output<typeof configSchema>>;

/** Reads the configuration, or names the variables that are missing or malformed. */
export function readConfig(env: object): { config: Config } | { misconfigured: string[] } {
  const parsed = configSchema.safeParse(env);
  if (parsed.success) return { config: parsed.data };
  return { misconfigured: [...new Set(parsed.error.issues.map((issue) => String(issue.path[0])))] };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
