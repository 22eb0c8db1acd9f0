/** The `[sim:…]` names about result links. Their gates hold always: a picture is asked for until it is there. */
import type { Name } from "./prompt.ts";
import type { Serve } from "./script.ts";
import { planRule } from "./task-names.ts";

function gate(means: string, arg: string, behaviour: (arg: string) => object): Name {
  return { means, arg, times: undefined, rules: (given) => [{ on: "picture", do: behaviour(given) }] };
}

function sent(means: string, arg: string, serve: (arg: string) => { [Field in keyof Serve]: unknown }): Name {
  return gate(means, arg, (given) => ({ kind: "serve", ...serve(given) }));
}

function redirect(form: string): (hops: string) => object {
  return (hops) => ({ kind: "redirect", form, hops: Number(hops) });
}

const gates: Record<string, Name> = {
  "picture-error": gate("HTML with this status", "404", (arg) => ({
    kind: "reply",
    status: Number(arg),
    html: "<h1>No such file</h1>",
  })),
  "picture-html": gate("HTML with 200", "", () => ({ kind: "reply", status: 200, html: "<h1>Sign in</h1>" })),
  "picture-429": gate("429 without Retry-After", "", () => ({ kind: "rate_limit" })),
  "picture-reset": gate("connection reset", "", () => ({ kind: "reset" })),
  "picture-hang": gate("no reply", "", () => ({ kind: "hang" })),
  "strict-agent": gate("403 unless the User-Agent starts with this", "wan-gateway/", (arg) => ({
    kind: "strict_agent",
    product: arg,
  })),
  "stale-links": {
    means: "404 for the links of the first so many reads; later reads give good ones",
    arg: "1",
    times: undefined,
    rules: (arg) => [
      { on: "picture", do: { kind: "stale_link", links: Number(arg) } },
      planRule({ links: "fresh" }),
    ],
  },
  redirect: gate("so many redirects, absolute", "1", redirect("absolute")),
  "redirect-relative": gate("so many redirects, relative", "1", redirect("relative")),
  "redirect-loop": gate("redirects to itself", "1", redirect("loop")),
  "redirect-http": gate("so many redirects, the last one to http", "1", redirect("http")),
  "redirect-private": gate("so many redirects, the last one to a private address", "1", redirect("private")),
  "redirect-to": gate("a redirect to this", "http://127.0.0.1:1/", (arg) => ({
    kind: "redirect",
    location: arg,
  })),
};

const ways: Record<string, Name> = {
  type: sent("this Content-Type", "application/octet-stream", (arg) => ({ type: arg })),
  really: sent("bytes of this format under the same name and type", "webp", (arg) => ({ format: arg })),
  pixels: sent("these dimensions", "640x480", (arg) => {
    const [width, height] = arg.split("x").map(Number);
    return { width, height };
  }),
  bytes: sent("a valid picture of so many bytes", "40000000", (arg) => ({ padToBytes: Number(arg) })),
  truncated: sent("this share of the bytes, honest length", "0.5", (arg) => ({ keepShare: Number(arg) })),
  "cut-off": sent("the connection breaks after this share", "0.5", (arg) => ({
    keepShare: Number(arg),
    length: "whole",
  })),
  stalled: sent("nothing more comes after this share", "0.5", (arg) => ({
    keepShare: Number(arg),
    length: "whole",
    ending: "stall",
  })),
  empty: sent("no bytes", "", () => ({ keepBytes: 0 })),
  "no-length": sent("no Content-Length", "", () => ({ length: "absent" })),
  "lying-length": sent("this Content-Length", "100", (arg) => ({ length: Number(arg) })),
  drip: sent("so many bytes every 100 ms", "4096", (arg) => ({ dripBytes: Number(arg), dripMs: 100 })),
};

export const PICTURE_NAMES: Record<string, Name> = { ...gates, ...ways };
