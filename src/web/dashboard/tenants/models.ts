/** The models that there are, as the API names them; one that it does not know does not compile. */
import type { Tenant } from "#gateway";

export const models = ["wan-2.7-image", "wan-2.7-image-pro"] as const satisfies NonNullable<Tenant["models"]>;
