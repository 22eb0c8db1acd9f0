/**
 * `GET /images/{id}.{ext}`: a stored picture, to anybody who has its URL. One read of R2, which also decides
 * conditions and ranges; the bytes stream through.
 */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { reach } from "../deps.ts";
import { imageIdPattern } from "../domain/ids.ts";
import { type ImageContentType, imageExtensions, imageKey } from "../domain/task.ts";
import { ApiError } from "../errors.ts";
import { entityTags, ifNoneMatch, matchesEtag } from "./conditional.ts";
import type { Api, AppContext } from "./context.ts";
import { errorReplies } from "./replies.ts";
import { headers, type ReplyHeader } from "./reply-headers.ts";

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
  tags: ["Images"],
  summary: "Fetch a picture",
  description:
    "Permanent and public: the id's 130 random bits are the lock. `HEAD`, one `Range` and `If-None-Match` work.",
  request: {
    params: z.object({ file: z.string().meta({ examples: ["img-0123456789abcdefghjkmnpqrs.png"] }) }),
    query: z.object({
      download: z.enum(["1"]).optional().meta({ description: "`1`: to be saved, not shown." }),
    }),
    headers: z.object({
      ...ifNoneMatch,
      range: z
        .string()
        .optional()
        .meta({ description: "One range of bytes; anything else is ignored.", examples: ["bytes=0-1023"] }),
      "if-range": z
        .string()
        .optional()
        .meta({ description: "An `ETag`: the range counts for that picture alone." }),
    }),
  },
  responses: {
    200: { description: "The picture.", content: pictures, headers: headers(...pictureFields) },
    206: {
      description: "The part that `Range` asked for.",
      content: pictures,
      headers: headers(...pictureFields, "content-range"),
    },
    304: { description: "It is as `If-None-Match` has it.", headers: headers(...pictureFields) },
    ...errorReplies("not_found", "deleted", "invalid_request", "range_not_satisfiable", "unavailable"),
  },
});

export function getImage(api: Api): void {
  api.openapi(contract, async (c) => {
    const { file } = c.req.valid("param");
    const dot = file.lastIndexOf(".");
    const id = file.slice(0, dot);
    const notFound = () => new ApiError("not_found", "There is no such picture.");
    if (!imageIdPattern.test(id)) throw notFound();
    const read = await reach("storage", () => readObject(c, imageKey(id)));
    const contentType = read?.object.httpMetadata?.contentType as ImageContentType | undefined;
    if (!read || !contentType || imageExtensions[contentType] !== file.slice(dot + 1)) throw notFound();
    const { object, range } = read;
    // A picture is never empty: this is what is left of one that was deleted.
    if (object.size === 0) throw new ApiError("deleted", "This picture was deleted.");
    const headers = imageHeaders(object, contentType, file, c.req.valid("query").download === "1");
    if (matchesEtag(c.req.header("if-none-match"), object.httpEtag)) return c.body(null, 304, headers);
    const body = "body" in object ? object.body : null;
    if (!range) return new Response(body, { headers: { ...headers, "content-length": String(object.size) } });
    const { offset, length } = servedPart(range, object.size);
    if (length === 0) {
      throw new ApiError("range_not_satisfiable", "The picture does not reach that far.", {
        headers: { "content-range": `bytes */${object.size}` },
      });
    }
    return new Response(body, {
      status: 206,
      headers: {
        ...headers,
        "content-length": String(length),
        "content-range": `bytes ${offset}-${offset + length - 1}/${object.size}`,
      },
    });
  });
}

interface ReadObject {
  object: R2Object | R2ObjectBody;
  /** The range that counts; that it reaches into the object is not said. */
  range?: R2Range | undefined;
}

/** Reads the object, or the part that is asked for; not its bytes when nobody wants them. */
async function readObject(c: AppContext, key: string): Promise<ReadObject | undefined> {
  const { bucket } = c.get("deps");
  const head = async (range?: R2Range) => {
    const object = await bucket.head(key);
    return object ? { object, range } : undefined;
  };
  if (c.req.method === "HEAD") return head();
  const range = await wantedRange(c, bucket, key);
  const options: R2GetOptions = {};
  if (range) options.range = range;
  const etags = entityTags(c.req.header("if-none-match"));
  if (etags !== undefined) options.onlyIf = new Headers({ "if-none-match": etags });
  try {
    const object = await bucket.get(key, options);
    return object ? { object, range } : undefined;
  } catch (error) {
    const found = range && (await head(range));
    // R2 throws for a range beyond the end; anything else is a failure of its own.
    if (found && servedPart(range, found.object.size).length > 0) throw error;
    if (!range) throw error;
    return found;
  }
}

/** The range that is asked for, unless `If-Range` (RFC 9110, 13.1.5) is about another version of the picture. */
async function wantedRange(c: AppContext, bucket: R2Bucket, key: string): Promise<R2Range | undefined> {
  const range = singleRange(c.req.header("range"));
  const ifRange = c.req.header("if-range");
  if (!range || ifRange === undefined) return range;
  return (await bucket.head(key))?.httpEtag === ifRange.trim() ? range : undefined;
}

/** One range of bytes (RFC 9110, 14.1.2). Several, or another unit: the field is ignored, as it may be. */
function singleRange(header: string | undefined): R2Range | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? "");
  const [, first = "", last = ""] = match ?? [];
  if (!match || (first === "" && last === "")) return undefined;
  if (first === "") return { suffix: Number(last) };
  const offset = Number(first);
  if (last === "") return { offset };
  return Number(last) < offset ? undefined : { offset, length: Number(last) - offset + 1 };
}

/** Which bytes of an object of `size` a range means; none when it lies beyond the end. */
function servedPart(range: R2Range, size: number): { offset: number; length: number } {
  if ("suffix" in range) {
    const length = Math.min(range.suffix, size);
    return { offset: size - length, length };
  }
  const offset = range.offset ?? 0;
  return { offset, length: Math.max(0, Math.min(range.length ?? size, size - offset)) };
}

function imageHeaders(
  object: R2Object,
  contentType: ImageContentType,
  file: string,
  download: boolean,
): Record<string, string> {
  return {
    "content-type": contentType,
    etag: object.httpEtag,
    "cache-control": "public, max-age=31536000, immutable",
    "accept-ranges": "bytes",
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    ...(download ? { "content-disposition": `attachment; filename="${file}"` } : {}),
  };
}
