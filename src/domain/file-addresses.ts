/** The addresses of uploaded files: what names one, and whether an address is the gateway's own. */
import { hostOf, localHostOf } from "./address.ts";
import { fileIdPattern } from "./ids.ts";

const filesPath = "/files/";

/** The id and extension in a file's name; undefined for what names no file. */
export function readFileName(name: string): { id: string; extension: string } | undefined {
  const dot = name.lastIndexOf(".");
  const [id, extension] = [name.slice(0, dot), name.slice(dot + 1)];
  return dot > 0 && fileIdPattern.test(id) ? { id, extension } : undefined;
}

/** Whether an address has the path of a file, wherever it leads. */
export function hasFilePath(url: URL): boolean {
  return (
    readFileName(url.pathname.slice(filesPath.length)) !== undefined && url.pathname.startsWith(filesPath)
  );
}

/**
 * The name of the file that an address on one of these bases means, which may be of no file; undefined for any other
 * address. The upstream gets an address as it was typed: one that leads to files by doubled slashes, dots or escapes has
 * an empty name.
 */
export function ownFileName(text: string, bases: readonly string[], byPort: boolean): string | undefined {
  const url = URL.parse(text);
  if (!url || !plainPath(url).startsWith(filesPath)) return undefined;
  if (!bases.some((base) => sameHost(url, new URL(base), byPort))) return undefined;
  const [, , , folder, name, ...rest] = text.slice(0, text.search(/[?#]|$/)).split("/");
  return `/${folder}/` === filesPath && rest.length === 0 ? name : "";
}

/** A URL's path as a lenient server may read it. */
function plainPath({ pathname }: URL): string {
  try {
    return decodeURI(pathname).replace(/\/+/g, "/");
  } catch {
    return pathname;
  }
}

/** By the host, whatever the port; on one machine, where all share a host, by both. */
export function sameHost(a: URL, b: URL, byPort: boolean): boolean {
  return byPort ? localHostOf(a) === localHostOf(b) && a.port === b.port : hostOf(a) === hostOf(b);
}
