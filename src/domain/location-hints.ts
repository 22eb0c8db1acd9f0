/**
 * Cloudflare's names of regions in which a tenant's object may live. The object stays where it was first reached.
 * https://developers.cloudflare.com/durable-objects/reference/data-location/#provide-a-location-hint
 */
export const locationHints = [
  "wnam",
  "enam",
  "sam",
  "weur",
  "eeur",
  "apac",
  "apac-ne",
  "apac-se",
  "oc",
  "afr",
  "me",
] as const satisfies readonly DurableObjectLocationHint[];

export type LocationHint = (typeof locationHints)[number];
