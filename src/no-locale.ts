/** In the bundle this stands for zod's own messages (`[alias]` in wrangler.toml), which no reply has. */
export default () => ({});
