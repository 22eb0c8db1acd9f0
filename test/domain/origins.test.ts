/** From which pages a browser key or client token works: near misses of an allowed origin are the attack. */
import { describe, expect, it } from "vitest";
import { allowsOrigin, originProblem } from "../../src/domain/origins.ts";

const exact = "https://app.example";
const withPort = "https://app.example:8443";
const wildcard = "https://*.example.com";
const local = "http://localhost:*";

describe("an allowed origin", () => {
  it.each([
    [exact, "https://app.example"],
    [withPort, "https://app.example:8443"],
    ["http://app.example", "http://app.example"],
    ["https://192.0.2.7", "https://192.0.2.7"],
    ["https://[2001:db8::1]:8080", "https://[2001:db8::1]:8080"],
    ["https://xn--bcher-kva.example", "https://xn--bcher-kva.example"],
    [wildcard, "https://a.example.com"],
    [wildcard, "https://a.b.c.example.com"],
    [wildcard, "https://xn--bcher-kva.example.com"],
    [wildcard, "https://a-1.example.com"],
    [local, "http://localhost"],
    [local, "http://localhost:3000"],
    [local, "http://localhost:65535"],
  ])("%s lets %s in", (entry, origin) => {
    expect(originProblem(entry)).toBeUndefined();
    expect(allowsOrigin([entry], origin)).toBe(true);
    expect(allowsOrigin(["https://other.example", entry], origin)).toBe(true);
    expect(allowsOrigin([], origin)).toBe(false);
  });

  it.each([
    // Prefixes and suffixes of the name.
    [exact, "https://app.example.evil.example"],
    [exact, "https://evil-app.example"],
    [exact, "https://evil.app.example"],
    [exact, "https://app.exampleevil"],
    [exact, "https://app.exampl"],
    [wildcard, "https://example.com"],
    [wildcard, "https://evilexample.com"],
    [wildcard, "https://a.example.com.evil.example"],
    [wildcard, "https://example.com.evil.example"],
    [wildcard, "https://a.example.org"],
    [local, "http://localhost.evil.example:3000"],
    [local, "http://evil.localhost:3000"],
    [local, "http://notlocalhost:3000"],
    [local, "http://127.0.0.1:3000"],
    [local, "http://[::1]:3000"],
    // Ports and schemes.
    [exact, "https://app.example:443"],
    [exact, "https://app.example:8443"],
    [exact, "http://app.example"],
    [withPort, "https://app.example"],
    [withPort, "https://app.example:84430"],
    [wildcard, "https://a.example.com:8443"],
    [wildcard, "http://a.example.com"],
    [local, "https://localhost:3000"],
    [local, "ws://localhost:3000"],
    [local, "http://localhost:99999"],
    [local, "http://localhost:*"],
    // Spellings that a browser never sends.
    [exact, "https://APP.example"],
    [exact, "HTTPS://app.example"],
    [wildcard, "https://A.example.com"],
    [local, "http://LOCALHOST:3000"],
    [exact, "https://app.example."],
    [wildcard, "https://a.example.com."],
    [local, "http://localhost.:3000"],
    [exact, "https://app.example/"],
    [exact, "https://app.example/path"],
    [exact, "https://app.example?"],
    [exact, "https://app.example#"],
    [exact, " https://app.example"],
    [exact, "https://app.example\n"],
    [exact, "https://app.example, https://evil.example"],
    [exact, "https://evil.example https://app.example"],
    // A stranger's page that carries the name.
    [exact, "https://app.example@evil.example"],
    [exact, "https://user@app.example"],
    [exact, "https://user:pass@app.example"],
    [wildcard, "https://evil.example#.example.com"],
    [wildcard, "https://evil.example?.example.com"],
    [wildcard, "https://evil.example/.example.com"],
    [wildcard, "https://evil.example\\.example.com"],
    [wildcard, "https://evil.example%2f.example.com"],
    [local, "http://localhost:3000@evil.example"],
    [local, "http://evil.example#http://localhost:3000"],
    // No page at all.
    [exact, "null"],
    [exact, ""],
    [exact, "*"],
    [exact, "app.example"],
    [exact, "blob:https://app.example/0-1-2"],
    [exact, "file://"],
    [exact, "about:blank"],
    [exact, "chrome-extension://abcdefghijklmnop"],
  ])("%s keeps %j out", (entry, origin) => {
    expect(allowsOrigin([entry], origin)).toBe(false);
  });

  it.each(["null", "*", ""])("that no tenant may set lets no page in: %j", (entry) => {
    expect(originProblem(entry)).toBeDefined();
    for (const origin of [entry, exact, "null"]) expect(allowsOrigin([entry], origin)).toBe(false);
  });
});

describe("an entry that would not mean what it says", () => {
  it.each([
    // Every page of a top-level domain, or of the web.
    "https://*.com",
    "https://*",
    "https://**",
    // The star anywhere but as whole first label.
    "https://*.*.example.com",
    "https://a*.example.com",
    "https://*a.example.com",
    "https://app.*.com",
    "https://app.example.*",
    "http://*.example.com",
    "https://*.example.com:8443",
    "https://*.example.com:*",
    "https://*.example.com/",
    "https://*.EXAMPLE.com",
    "https://*..example.com",
    "https://*.-a.example.com",
    "*.example.com",
    "https://app.example:*",
    "https://localhost:*",
    "http://127.0.0.1:*",
    // Not an origin as browsers send it.
    "https://app.example/",
    "https://app.example/path",
    "https://app.example:443",
    "http://app.example:80",
    "https://APP.example",
    "https://bücher.example",
    "https://user@app.example",
    "https://app.example?a",
    " https://app.example",
    "app.example",
    "//app.example",
    "ftp://app.example",
    "ws://app.example",
    "file://",
    "javascript:alert(1)",
    "chrome-extension://abcdefghijklmnop",
  ])("is refused: %j", (entry) => {
    expect(originProblem(entry)).toContain("must be an origin");
  });
});

it("an origin of more than 300 characters is none, in an entry or of a page", () => {
  const long = `https://${"a.".repeat(150)}example`;
  expect(originProblem(long)).toBe("must be at most 300 characters");
  expect(allowsOrigin([long], long)).toBe(false);
  const longest = `https://${"a.".repeat(140)}example`;
  expect([originProblem(longest), allowsOrigin([longest], longest)]).toEqual([undefined, true]);
});
