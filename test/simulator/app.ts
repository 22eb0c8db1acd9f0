/**
 * The upstream image API, simulated: scriptable, with a movable clock, and stricter than the real one wherever
 * a mistake of the gateway would cost money or leak the key. Only web standards, so that it runs in Node and workerd.
 */
import { Hono } from "hono";
import { apiRoutes } from "./api.ts";
import { type Control, controlRoutes, createControl } from "./control.ts";
import { servePicture } from "./links.ts";
import { ConnectionReset, errorReply } from "./wire.ts";
import { type Call, createWorld, type SimulatorOptions } from "./world.ts";

export type { Control } from "./control.ts";
export type { Rule } from "./script.ts";
export { ConnectionReset } from "./wire.ts";
export type { Call, PictureSpec, SimulatorOptions, TaskReport } from "./world.ts";

export interface Simulator {
  /** Rejects with ConnectionReset where a real connection would break. */
  fetch(request: Request): Promise<Response>;
  control: Control;
}

export function createSimulator(options: SimulatorOptions): Simulator {
  const world = createWorld(options);
  const control = createControl(world);
  const door = new Hono().route("/_control", controlRoutes(control));
  const upstream = new Hono<{ Bindings: { call: Call } }>();
  upstream.route("/v1", apiRoutes(world));
  upstream.all("/files/*", (c) => servePicture(world, c.req.raw, c.env.call));
  upstream.notFound(() => errorReply({ status: 404, code: "not_found", message: "no such endpoint" }));
  // A reset is no reply: the caller of fetch must get it.
  upstream.onError((error) => {
    throw error;
  });

  return {
    control,
    async fetch(request) {
      if (new URL(request.url).pathname.startsWith("/_control/")) return door.fetch(request);
      const call = world.openCall(request);
      try {
        const response = await upstream.fetch(request, { call });
        call.status = response.status;
        return response;
      } catch (error) {
        if (error instanceof ConnectionReset) call.status = "reset";
        throw error;
      }
    },
  };
}
