/** The headers of replies: what each means, once for the OpenAPI document, and references to it. */
import { policyNames } from "../domain/admission.ts";
import { documented } from "../domain/documented.ts";

const text = { type: "string" as const };
const count = { type: "integer" as const, minimum: 0 };

interface Header {
  description: string;
  schema: { type: "string" | "integer"; format?: string; minimum?: number; enum?: string[] };
  required?: true;
}

export const replyHeaders = documented(
  () =>
    ({
      "x-request-id": {
        description: "Names this request in the gateway's log.",
        schema: text,
        required: true,
      },
      "server-timing": {
        description: "The request's steps in milliseconds, for a caller with a valid key.",
        schema: text,
      },
      location: { description: "The task's path.", schema: { type: "string", format: "uri-reference" } },
      "retry-after": {
        description:
          "Whole seconds: on an unfinished task, when to read it again; on an error, when the same request can go through.",
        schema: { type: "integer", minimum: 1 },
      },
      etag: { description: "For `If-None-Match`.", schema: text },
      "idempotency-replayed": {
        description: "`true` when this is the task of an earlier, equal request.",
        schema: { type: "string", enum: ["true"] },
      },
      "preference-applied": { description: "The `wait` that was granted.", schema: text },
      "x-task-id": { description: "The task's id.", schema: text },
      "ratelimit-policy": {
        description:
          'Structured field: the limits in force, such as `"requests";q=600;w=60`. Names: ' +
          `${policyNames.map((name) => `\`${name}\``).join(", ")}.`,
        schema: text,
      },
      ratelimit: { description: 'What is left of each, such as `"requests";r=599;t=1`.', schema: text },
      "x-ratelimit-limit-requests": { description: "`requests`: the limit.", schema: count },
      "x-ratelimit-remaining-requests": { description: "`requests`: what is left.", schema: count },
      "x-ratelimit-reset-requests": { description: "`requests`: seconds until all is left.", schema: count },
      "x-should-retry": {
        description: "`false`: sent again, the same request ends in the same way.",
        schema: { type: "string", enum: ["false"] },
      },
      "www-authenticate": { description: "How to send a key.", schema: { type: "string", enum: ["Bearer"] } },
      allow: { description: "The methods that the path has.", schema: text },
      "content-range": { description: "Which bytes these are, of how many.", schema: text },
      "content-length": { description: "Bytes.", schema: count },
      "accept-ranges": {
        description: "Parts can be asked for.",
        schema: { type: "string", enum: ["bytes"] },
      },
      "content-disposition": { description: "How to save it.", schema: text },
      "cache-control": { description: "How long it may be kept.", schema: text },
    }) satisfies Record<string, Header>,
);

export type ReplyHeader = keyof typeof replyHeaders;

/** The headers of a reply to a request that the limits have counted. */
export const limitFields = [
  "ratelimit-policy",
  "ratelimit",
  "x-ratelimit-limit-requests",
  "x-ratelimit-remaining-requests",
  "x-ratelimit-reset-requests",
] as const satisfies ReplyHeader[];

/** For a reply that no cache may keep. */
export const notStored = { "cache-control": "no-store" };

/** References to headers, for a reply's contract. */
export function headers(...names: ReplyHeader[]) {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

/** The replies of an operation, each with these headers as well. */
export function withHeaders<Replies extends Record<number, object>>(
  replies: Replies,
  ...names: ReplyHeader[]
): Replies {
  const added = headers(...names);
  const merged = Object.entries(replies).map(([status, reply]) => [
    status,
    { ...reply, headers: { ...(reply as { headers?: object }).headers, ...added } },
  ]);
  return Object.fromEntries(merged) as Replies;
}
