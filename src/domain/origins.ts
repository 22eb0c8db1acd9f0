/** Web origins that a browser key or a client token works from. */

const wildcard = /^https:\/\/\*\.((?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]{2,})$/;
export const maxOriginCharacters = 300;
const anyLocalPort = "http://localhost:*";

/** What is wrong with an entry of `allowed_origins`: an exact origin, `https://*.host` or `http://localhost:*`. */
export function originProblem(text: string): string | undefined {
  if (text.length > maxOriginCharacters) return `must be at most ${maxOriginCharacters} characters`;
  if (text === anyLocalPort || wildcard.test(text)) return undefined;
  const url = URL.parse(text);
  // URLs take a star in a host as any other letter: it would be an exact origin that no page has.
  const exact = url !== null && /^https?:$/.test(url.protocol) && url.origin === text && !text.includes("*");
  return exact
    ? undefined
    : 'must be an origin such as "https://app.example", "https://*.example.com" or "http://localhost:*"';
}

/** Whether a page of this origin may use what is limited to `allowed`. `null`, a sandbox's origin, never may. */
export function allowsOrigin(allowed: readonly string[], origin: string): boolean {
  const url = origin.length > maxOriginCharacters ? null : URL.parse(origin);
  if (url === null || url.origin !== origin) return false;
  return allowed.some((entry) => {
    if (entry === origin) return true;
    if (entry === anyLocalPort) return url.protocol === "http:" && url.hostname === "localhost";
    const host = wildcard.exec(entry)?.[1];
    return (
      host !== undefined && url.protocol === "https:" && url.port === "" && url.hostname.endsWith(`.${host}`)
    );
  });
}
