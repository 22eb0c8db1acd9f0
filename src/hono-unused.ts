/** In the bundle this stands for what of hono a Worker has no use for (`[alias]` in wrangler.toml). */

/** For routes that the fast router refuses, which is an error here. */
export class TrieRouter {
  name = "none";

  add(): void {}

  match(): never {
    throw new Error("a route needs a router that is not in the bundle");
  }
}

/** For applications that are mounted in this one. */
export function createMountedRequest(): never {
  throw new Error("nothing is mounted here");
}

/** For forms read by hono. */
export function parseBody(): never {
  throw new Error("forms are read by another parser");
}
