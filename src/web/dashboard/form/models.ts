/** The models, in the catalog's order. */
import { modelCatalog } from "#definitions";

export type Model = keyof typeof modelCatalog;
export const models = Object.keys(modelCatalog) as Model[];
