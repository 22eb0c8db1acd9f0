/** A model is one entry of the catalog: here a third one is added, and what is made of the catalog has it. */
import { describe, expect, it } from "vitest";
import { pricesOf } from "../../src/config.ts";
import { generationFields } from "../../src/domain/generation-fields.ts";
import {
  type Catalog,
  defaultModel,
  defaultPrices,
  describeModels,
  imagePrice,
  type Model,
  modelCatalog,
  models,
  namesOf,
  widestBounds,
} from "../../src/domain/model-catalog.ts";
import { clashes } from "../../src/domain/task-request.ts";

const third = {
  ...modelCatalog[defaultModel],
  label: "Small, for thumbnails",
  defaultPrice: 5,
  bounds: { promptCharacters: 100, images: 2, editedImages: 1, references: 1 },
};
const withThird = { ...modelCatalog, third } satisfies Catalog;
/** The functions under test know the names of today's models alone. */
const asCatalog = withThird as Catalog as Catalog<Model>;

const clashesOf = (body: object) =>
  clashes({ model: "third", prompt: "p", ...body }, undefined, withThird).map(({ path, message }) => [
    path[0],
    message,
  ]);

const [standard, pro] = ["wan-2.7-image", "wan-2.7-image-pro"] as const;

describe("the catalog", () => {
  it("offers the standard model first", () => {
    expect([models[0], defaultModel]).toEqual([standard, standard]);
  });

  it("has the documented bounds, which are enforced, and sizes, which are not", () => {
    for (const model of [standard, pro]) {
      const { bounds, sizes } = modelCatalog[model];
      expect(bounds).toEqual({ promptCharacters: 2_000, images: 5, editedImages: 4, references: 4 });
      expect(sizes.edited).toEqual({ least: 768 * 768, most: 2_048 * 2_048 });
      expect(sizes.mostRatio).toBe(8);
    }
    expect(modelCatalog[standard].sizes.generated.most).toBe(2_048 * 2_048);
    expect(modelCatalog[pro].sizes.generated.most).toBe(4_096 * 4_096);
  });
});

describe("a third model", () => {
  const prices = pricesOf(withThird);

  it.each([
    [undefined, { ...defaultPrices(modelCatalog), third: 5 }],
    ["{}", { ...defaultPrices(modelCatalog), third: 5 }],
    ['{"wan-2.7-image":31}', { ...defaultPrices(modelCatalog), [standard]: 31, third: 5 }],
    [{ third: 0 }, { ...defaultPrices(modelCatalog), third: 0 }],
  ])("costs its default where PRICES is %j, which does not name it", (value, expected) => {
    expect(prices.parse(value)).toEqual(expected);
  });

  it("is a name of the field `model`, with its label in the document", () => {
    const { schema } = generationFields({ allowPrivate: false }, asCatalog).model;
    expect(namesOf(withThird)).toEqual([...models, "third"]);
    expect(schema.options).toEqual([...models, "third"]);
    expect(describeModels(asCatalog)).toContain("`third`: small, for thumbnails.");
    expect(schema.safeParse("fourth").success).toBe(false);
  });

  it("is held to its own bounds, and the others to theirs", () => {
    expect(clashesOf({ n: 2, prompt: "🌊".repeat(100) })).toEqual([]);
    expect(clashesOf({ n: 3 })).toEqual([["n", "must be at most 2 with third"]]);
    expect(clashesOf({ n: 2, image_urls: ["a"] })).toEqual([["n", "must be at most 1 with image_urls"]]);
    expect(clashesOf({ prompt: "🌊".repeat(101) })).toEqual([
      ["prompt", "must be at most 100 characters with third"],
    ]);
    expect(clashesOf({ image_urls: ["a", "b"] })).toEqual([
      ["image_urls", "must be at most 1 items with third"],
    ]);
    expect(clashesOf({ model: defaultModel, n: 5, prompt: "p".repeat(2_000) })).toEqual([]);
    expect(clashesOf({ model: defaultModel, n: 5, image_urls: ["a"] })).toEqual([
      ["n", "must be at most 4 with image_urls"],
    ]);
  });

  it("leaves a value that is wrong for every model to the field's own rule", () => {
    expect(widestBounds(withThird)).toEqual(widestBounds());
    expect(clashesOf({ n: 6, prompt: "p".repeat(2_001), image_urls: ["", "", "", "", ""] })).toEqual([]);
    expect(clashesOf({ n: "3", prompt: 7, image_urls: "a" })).toEqual([]);
  });
});

describe("the price of an image", () => {
  it("is the tenant's own, also when it is free, else the gateway's", () => {
    expect(imagePrice(defaultModel, {}, 30)).toBe(30);
    expect(imagePrice(defaultModel, { [defaultModel]: 7 }, 30)).toBe(7);
    expect(imagePrice(defaultModel, { [defaultModel]: 0 }, 30)).toBe(0);
  });
});
