/**
 * The models that the gateway offers. A model is one entry here: the API's document, checks, prices, lists and pages
 * read it.
 */

/** What a request for a model is held to. */
export interface ModelBounds {
  /** Unicode code points, after trimming. */
  promptCharacters: number;
  /** Images of one request without references. */
  images: number;
  /** Images of one request with references. */
  editedImages: number;
  /** Reference images of one request. */
  references: number;
}

/** The sizes that a model takes, in width × height. */
export interface PixelBounds {
  least: number;
  most: number;
}

export interface CatalogEntry {
  /** For a person who chooses a model: a few words. */
  label: string;
  /** Whole credits per image, unless `PRICES` names another. */
  defaultPrice: number;
  /** Enforced: a request beyond them is refused before anything is held. */
  bounds: ModelBounds;
  /** Not enforced: the upstream does not publish them, so documents state them and the upstream checks them. */
  sizes: {
    generated: PixelBounds;
    edited: PixelBounds;
    /** The longer side is at most so many times the shorter one. */
    mostRatio: number;
  };
}

const square = (side: number) => side * side;
const usualSizes: PixelBounds = { least: square(768), most: square(2_048) };
const usualBounds: ModelBounds = { promptCharacters: 2_000, images: 5, editedImages: 4, references: 4 };

export const modelCatalog = {
  "wan-2.7-image": {
    label: "The standard model",
    defaultPrice: 30,
    bounds: usualBounds,
    sizes: { generated: usualSizes, edited: usualSizes, mostRatio: 8 },
  },
  "wan-2.7-image-pro": {
    label: "Finer, for when it counts",
    defaultPrice: 75,
    bounds: usualBounds,
    sizes: { generated: { ...usualSizes, most: square(4_096) }, edited: usualSizes, mostRatio: 8 },
  },
} as const satisfies Record<string, CatalogEntry>;

export type Model = keyof typeof modelCatalog;
export type Catalog<Name extends string = string> = Readonly<Record<Name, CatalogEntry>>;

/** Credits per image, at the most. */
export const maxPrice = 1_000_000;

/** Whole credits per image. */
export type Prices<Name extends string = Model> = Record<Name, number>;

export function namesOf<Name extends string>(catalog: Catalog<Name>): [Name, ...Name[]] {
  return Object.keys(catalog) as [Name, ...Name[]];
}

/** In the catalog's order. The first is the one that a request means which names none. */
export const models = namesOf(modelCatalog);
export const [defaultModel] = models;

export function defaultPrices<Name extends string>(catalog: Catalog<Name>): Prices<Name> {
  const prices = namesOf(catalog).map((name) => [name, catalog[name].defaultPrice]);
  return Object.fromEntries(prices) as Prices<Name>;
}

/** Of each bound the most that any model allows: what a field is held to before its model is known. */
export function widestBounds(catalog: Catalog = modelCatalog): ModelBounds {
  const all = Object.values(catalog).map(({ bounds }) => bounds);
  const most = (name: keyof ModelBounds) => Math.max(...all.map((bounds) => bounds[name]));
  return {
    promptCharacters: most("promptCharacters"),
    images: most("images"),
    editedImages: most("editedImages"),
    references: most("references"),
  };
}

/**
 * What an image costs a tenant, in whole credits.
 * @param own The tenant's own prices, which go over the gateway's.
 */
export function imagePrice(model: Model, own: Partial<Prices>, gatewayPrice: number): number {
  return own[model] ?? gatewayPrice;
}

/** What the document says of the models: each by its name and its label. */
export function describeModels<Name extends string>(catalog: Catalog<Name>): string {
  return namesOf(catalog)
    .map((name) => `\`${name}\`: ${catalog[name].label.toLowerCase()}.`)
    .join(" ");
}
