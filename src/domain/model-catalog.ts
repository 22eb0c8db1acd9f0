/** The models that the gateway offers, and what an image of each costs. */

export const models = ["wan-2.7-image", "wan-2.7-image-pro"] as const;
export type Model = (typeof models)[number];

/** Whole credits per image. */
export type Prices = Record<Model, number>;
