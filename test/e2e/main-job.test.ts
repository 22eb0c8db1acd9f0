import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type BuiltGateway,
  read,
  type ShownTask,
  startBuiltGateway,
  submit,
} from "../helpers/node/built-gateway.ts";

let gateway: BuiltGateway;

beforeAll(async () => {
  gateway = await startBuiltGateway();
});
afterAll(() => gateway.close());

describe("the built Worker", () => {
  it.each(["png", "jpeg", "webp"])(
    "brings a %s from the submit to its permanent URL by cron alone",
    async (format) => {
      const key = await gateway.makeKey();
      const prompt = `a lighthouse [sim:format=${format}] [sim:seconds=0]`;
      const submitted = await submit(gateway, key, { prompt, n: 2, size: "landscape_4_3" });
      expect(submitted.status).toBe(200);
      const { id } = (await submitted.json()) as ShownTask;
      expect(submitted.headers.get("location")).toBe(`/v1/tasks/${id}`);
      await gateway.tick();

      const task = (await (await read(gateway, key, id)).json()) as ShownTask;
      expect(task).toMatchObject({ id, status: "completed", progress: 100, error: null });
      expect(task.images).toHaveLength(2);
      for (const image of task.images) {
        expect(image.url.startsWith(`${gateway.url}/images/img-`)).toBe(true);
        const response = await fetch(image.url);
        expect(response.headers.get("content-type")).toBe(`image/${format}`);
        const bytes = await response.arrayBuffer();
        expect(bytes.byteLength).toBe(image.bytes);
        expect(await sharp(bytes).metadata()).toMatchObject({ format, width: 1024, height: 768 });
      }
    },
  );
});
