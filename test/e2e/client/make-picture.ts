/**
 * A client made from `/openapi.json` alone: all that it knows of the gateway are the types and functions that
 * a generator made of the document. `generated-client.test.ts` has it type-checked, and runs it.
 */
import { createImage, createTenant, defaults, getTask } from "../../../.wrangler/client/gateway.ts";

export interface Access {
  baseUrl: string;
  key: string;
}

/** Submits and waits for the picture, once `meanwhile` has seen to it that there is one. */
export async function makePicture({ baseUrl, key }: Access, meanwhile: () => Promise<void>) {
  defaults.baseUrl = baseUrl;
  defaults.headers = { authorization: `Bearer ${key}` };
  const submitted = await createImage(
    {
      model: "wan-2.7-image",
      prompt: "a lighthouse [sim:seconds=0]",
      n: 2,
      size: { width: 1_024, height: 768 },
    },
    { idempotencyKey: "order-1001" },
  );
  if (submitted.status !== 200) throw new Error(submitted.data.error.code);
  await meanwhile();
  const read = await getTask(submitted.data.id, { wait: 30 });
  if (read.status !== 200) throw new Error("not read");
  // Each is of a type of its own: the compiler would not let anything else through.
  const status: "pending" | "processing" | "completed" | "failed" | "cancelled" = read.data.status;
  const sides = read.data.images.map(({ width, height, content_type }) => ({ width, height, content_type }));
  return { status, sides, urls: read.data.results, field: read.data.error?.code ?? null };
}

/** A refusal is a value whose type is known too. */
export async function askForTooMany({ baseUrl, key }: Access) {
  defaults.baseUrl = baseUrl;
  defaults.headers = { authorization: `Bearer ${key}` };
  const refused = await createImage({ model: "wan-2.7-image", prompt: "a lighthouse", n: 9 });
  return refused.status === 400 ? refused.data.error : null;
}

/** None of these compiles, which is what they are here for. */
export const wrong = () => [
  // @ts-expect-error There is no such model.
  createImage({ model: "wan-1", prompt: "a lighthouse" }),
  // @ts-expect-error `prompt` is required.
  createImage({ model: "wan-2.7-image" }),
  // @ts-expect-error No such field.
  createImage({ model: "wan-2.7-image", prompt: "a lighthouse", steps: 20 }),
  // @ts-expect-error A tenant has a name.
  createTenant({ id: "acme" }),
];
