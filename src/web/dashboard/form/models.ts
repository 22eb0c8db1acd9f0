/** The models by the API's names. A name that the API does not have does not compile. */
import type { Tenant } from "#gateway";

export const models = ["wan-2.7-image", "wan-2.7-image-pro"] as const satisfies NonNullable<Tenant["models"]>;
