/** In the bundle this stands for what of zod a Worker has no use for (`[alias]` in wrangler.toml). */

/** What reads values that contain themselves: all that zod reads here is made of texts, which have none. */
export const memoizer = (): undefined => undefined;

/** No schema contains itself either. */
export const isBackEdge = (): boolean => false;
export const isRecursiveSchema = isBackEdge;

/** Its own messages: `src/http/validation.ts` says which rule is broken. */
export default () => ({});

/** What writes code at run time, which a Worker does not allow: zod asks first. */
export class Doc {}
