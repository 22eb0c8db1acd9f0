/**
 * `GET /images/{id}.{ext}`: serves a stored picture by its URL, without a key. Browsers may keep it for good, the edge
 * for an hour (`src/flows/images/edge-copy.ts`).
 */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { documented } from "../../domain/documented.ts";
import { imageIdPattern } from "../../domain/ids.ts";
import { type ImageContentType, imageExtensions } from "../../domain/task.ts";
import { ApiError } from "../../errors.ts";
import { readPicture } from "../../flows/images/read-picture.ts";
import { hasMissedTooMuch, missed, tooManyOf } from "../../http/call-limits.ts";
import { entityTags, ifNoneMatch, matchesEtag } from "../../http/conditional.ts";
import { type Api, originOf } from "../../http/context.ts";
import { errorReplies } from "../../http/replies.ts";
import { headers, type ReplyHeader } from "../../http/reply-headers.ts";

const pictures = { "image/png": {}, "image/jpeg": {}, "image/webp": {} };
const pictureFields = [
  "etag",
  "content-length",
  "accept-ranges",
  "cache-control",
  "content-disposition",
] as const satisfies ReplyHeader[];

const contract = createRoute({
  method: "get",
  path: "/images/{file}",
  operationId: "get-image",
  request: {
    params: z.object({
      file: z.string().meta(documented(() => ({ examples: ["img-0123456789abcdefghjkmnpqrs.png"] }))),
    }),
    query: z.object({
      download: z
        .enum(["1"])
        .optional()
        .meta(documented(() => ({ description: "`1`: to be saved, not shown." }))),
    }),
    headers: z.object({
      ...ifNoneMatch,
      range: z
        .string()
        .optional()
        .meta(
          documented(() => ({
            description: "One range of bytes; anything else is ignored.",
            examples: ["bytes=0-1023"],
          })),
        ),
      "if-range": z
        .string()
        .optional()
        .meta(documented(() => ({ description: "An `ETag`: the range counts for that picture alone." }))),
    }),
  },
  ...documented(() => ({
    tags: ["Images"],
    summary: "Fetch a picture",
    description:
      "Permanent and public: the id's 130 random bits are the lock. `HEAD`, one `Range` and `If-None-Match` work. " +
      "Copies are kept at the edge for up to an hour.",
    responses: {
      200: { description: "The picture.", content: pictures, headers: headers(...pictureFields) },
      206: {
        description: "The part that `Range` asked for.",
        content: pictures,
        headers: headers(...pictureFields, "content-range"),
      },
      304: { description: "It is as `If-None-Match` has it.", headers: headers(...pictureFields) },
      ...errorReplies(
        "not_found",
        "deleted",
        "invalid_request",
        "range_not_satisfiable",
        "rate_limited",
        "unavailable",
      ),
    },
  })),
});

export function getImage(api: Api): void {
  api.openapi(contract, async (c) => {
    const { file } = c.req.valid("param");
    const named = pictureNamed(file);
    const notFound = () => new ApiError("not_found", "There is no such picture.");
    if (!named) throw notFound();
    const ifNoneMatch = c.req.header("if-none-match");
    const read = await readPicture(c.get("invocation"), {
      ...named,
      origin: originOf(c),
      headOnly: c.req.method === "HEAD",
      range: singleRange(c.req.header("range")),
      ifRange: c.req.header("if-range")?.trim(),
      etags: entityTags(ifNoneMatch),
      isKnown: (etag) => matchesEtag(ifNoneMatch, etag),
      mayReadAgain: async () => !(await hasMissedTooMuch(c)),
    });
    if (read.kind === "none") throw await missed(c, notFound());
    if (read.kind === "too_many") throw tooManyOf("misses");
    if (read.kind === "deleted") throw new ApiError("deleted", "This picture was deleted.");
    const { etag, size, part, body } = read;
    const headers = imageHeaders(etag, named.contentType, file, c.req.valid("query").download === "1");
    if (matchesEtag(ifNoneMatch, etag)) return c.body(null, 304, headers);
    if (!part) return new Response(body, { headers: { ...headers, "content-length": String(size) } });
    const { offset, length } = part;
    if (length === 0) {
      throw new ApiError("range_not_satisfiable", "The picture does not reach that far.", {
        headers: { "content-range": `bytes */${size}` },
      });
    }
    return new Response(body, {
      status: 206,
      headers: {
        ...headers,
        "content-length": String(length),
        "content-range": `bytes ${offset}-${offset + length - 1}/${size}`,
      },
    });
  });
}

const contentTypes = Object.entries(imageExtensions) as [ImageContentType, string][];

/** The picture that a file's name stands for; undefined for a name that no picture has. */
function pictureNamed(file: string): { id: string; contentType: ImageContentType } | undefined {
  const dot = file.lastIndexOf(".");
  const id = file.slice(0, dot);
  const [contentType] = contentTypes.find(([, extension]) => extension === file.slice(dot + 1)) ?? [];
  return contentType && imageIdPattern.test(id) ? { id, contentType } : undefined;
}

/** One range of bytes (RFC 9110, 14.1.2). A field with several ranges, or in another unit, may be ignored and is. */
function singleRange(header: string | undefined): R2Range | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? "");
  const [, first = "", last = ""] = match ?? [];
  if (!match || (first === "" && last === "")) return undefined;
  if (first === "") return { suffix: Number(last) };
  const offset = Number(first);
  if (last === "") return { offset };
  return Number(last) < offset ? undefined : { offset, length: Number(last) - offset + 1 };
}

function imageHeaders(
  etag: string,
  contentType: ImageContentType,
  file: string,
  download: boolean,
): Record<string, string> {
  return {
    "content-type": contentType,
    etag,
    "cache-control": "public, max-age=31536000, immutable",
    "accept-ranges": "bytes",
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    ...(download ? { "content-disposition": `attachment; filename="${file}"` } : {}),
  };
}
