import type { Config } from "../config.ts";
import type { LinkBases } from "../domain/task.ts";

/** Where the links of a task point to. @param origin Scheme and host that the task was submitted through. */
export function linkBases(config: Config, origin: string): LinkBases {
  return { api: config.PUBLIC_BASE_URL ?? origin, imageDomain: config.PUBLIC_IMAGE_BASE_URL };
}
