/**
 * Which addresses may be fetched, by this gateway or on its behalf. The URL parser has already turned every
 * spelling of an IPv4 address (decimal, octal, hexadecimal, short) into dotted form, as WHATWG URL says;
 * what is left is to let through public unicast addresses only and to refuse names that mean this network.
 *
 * A name that resolves to a private address passes: a Worker cannot pin DNS. Cloudflare's runtime does not
 * route a Worker's fetch into private networks, which is the second lock.
 */
import ipaddr from "ipaddr.js";

export interface AddressPolicy {
  /** Local work and tests only: loopback and private addresses, and plain http. */
  allowPrivate: boolean;
  schemes: readonly ("http:" | "https:")[];
}

export const maxUrlCharacters = 2_048;

export const notPublic = "must be on a public address";

/** Names under these never lead to a public host (RFC 6761, RFC 6762, RFC 8375, RFC 9476, ICANN's `internal`). */
const privateSuffixes = [
  "localdomain",
  "localhost",
  "local",
  "internal",
  "home.arpa",
  "lan",
  "intranet",
  "corp",
  "alt",
  "onion",
];
const privateNames = ["metadata.goog", "metadata.tencentyun.com", "kubernetes.default.svc"];
/** A public address that means the cloud platform underneath: Azure's metadata service. */
const platformAddresses = ["168.63.129.16"];

/**
 * Spellings that this parser takes and others read differently: back slashes, characters that it drops, and not
 * exactly two slashes. The upstream gets an address as it was typed, and must not find another host in it.
 */
const ambiguous = /[\\\p{Cc}]|^\s|\s$|^https?:(?!\/\/[^/])/iu;

/**
 * Checks an address before it is fetched or sent on.
 * @returns what is wrong with it, as the end of a sentence that starts with the field's name; or the parsed URL.
 */
export function checkAddress(text: string, policy: AddressPolicy): { url: URL } | { problem: string } {
  if (text.length > maxUrlCharacters) return { problem: `must be at most ${maxUrlCharacters} characters` };
  const url = ambiguous.test(text) ? null : URL.parse(text);
  if (!url) return { problem: "must be an absolute URL" };
  const schemes = policy.allowPrivate ? ["http:", "https:"] : policy.schemes;
  if (!(schemes as readonly string[]).includes(url.protocol)) {
    return { problem: `must be a URL with ${schemes.map((s) => s.slice(0, -1)).join(" or ")}` };
  }
  if (url.username || url.password) return { problem: "must not hold a user name or password" };
  if (!policy.allowPrivate && !isPublicHost(url.hostname)) return { problem: notPublic };
  return { url };
}

/** A URL's host without the dots that DNS allows at the end, so that one host has one spelling. */
export function hostOf({ hostname }: Pick<URL, "hostname">): string {
  // No name is longer than 255 characters.
  return hostname.length > 255 ? hostname : hostname.replace(/\.+$/, "");
}

/** Names and addresses by which a machine speaks to itself, as the URL parser writes them, are one host. */
export function localHostOf(url: URL): string {
  const host = hostOf(url);
  const address = host.startsWith("[") ? host.slice(1, -1) : host;
  const isLocal =
    host === "localhost" ||
    host.endsWith(".localhost") ||
    (ipaddr.isValid(address) && ["loopback", "unspecified"].includes(ipaddr.process(address).range()));
  return isLocal ? "localhost" : host;
}

/** Whether a host, as the URL parser writes it, is a public address or may be a public name. */
export function isPublicHost(hostname: string): boolean {
  const host = hostOf({ hostname });
  if (host.startsWith("[")) return isPublicIpv6(host.slice(1, -1));
  if (ipaddr.IPv4.isValidFourPartDecimal(host)) {
    return ipaddr.IPv4.parse(host).range() === "unicast" && !platformAddresses.includes(host);
  }
  if (!host.includes(".") || privateNames.includes(host)) return false;
  return !privateSuffixes.some((suffix) => host === suffix || host.endsWith(`.${suffix}`));
}

function isPublicIpv6(text: string): boolean {
  if (!ipaddr.IPv6.isValid(text)) return false;
  const address = ipaddr.IPv6.parse(text);
  // Only 2000::/3 is allocated as global unicast (RFC 4291); mapped, NAT64, 6to4 and Teredo forms hide an
  // IPv4 address in a form that no receiver needs, so they are refused as well.
  return address.range() === "unicast" && (address.parts[0] ?? 0) >> 13 === 1;
}

/** What is limited as one: an IPv4 address, or the /64 that one IPv6 subscriber has. */
export function addressGroup(ip: string): string {
  if (!ipaddr.isValid(ip)) return ip.slice(0, 64);
  const address = ipaddr.process(ip);
  if (address.kind() === "ipv4") return address.toString();
  const parts = (address as ipaddr.IPv6).parts.slice(0, 4);
  return `${parts.map((part) => part.toString(16)).join(":")}::/64`;
}
