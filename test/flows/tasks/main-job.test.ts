import { describe, expect, it } from "vitest";
import { finishTask, readTask, startGateway, storedKeys, submitTask } from "../../helpers/gateway.ts";

describe("the main job", () => {
  it("brings a task from the submit to a picture under a permanent URL", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    const task = await submitTask(gateway, key, { n: 2, size: { width: 1024, height: 600 } });
    expect(task).toMatchObject({ status: "pending", progress: 0, results: [], error: null });
    expect(task.usage).toEqual({ images: 0, credits_held: 60, credits_charged: 0 });

    const done = await finishTask(gateway, key, task.id);
    expect(done).toMatchObject({ id: task.id, status: "completed", progress: 100 });
    expect(done.usage).toEqual({ images: 2, credits_held: 0, credits_charged: 60 });
    expect(done.images).toHaveLength(2);
    expect(done.results).toEqual(done.images.map((image) => image.url));
    for (const image of done.images) {
      expect(image).toMatchObject({ width: 1024, height: 600, content_type: "image/png" });
      const picture = await gateway.fetch(new URL(image.url).pathname);
      expect(picture.status).toBe(200);
      expect((await picture.arrayBuffer()).byteLength).toBe(image.bytes);
    }
    expect(await storedKeys()).toHaveLength(2);
  });

  it("shows progress that never falls while the task runs", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    gateway.simulator.control.script({ on: "submit", do: { kind: "plan", seconds: 60, progress: "back" } });
    const task = await submitTask(gateway, key);
    let last = 0;
    for (let second = 0; second < 90; second += 3) {
      gateway.advance(3_000);
      await gateway.tick();
      const { progress } = await readTask(gateway, key, task.id);
      expect(progress).toBeGreaterThanOrEqual(last);
      last = progress;
    }
    expect(last).toBe(100);
  });
});
