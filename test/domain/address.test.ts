import { describe, expect, it } from "vitest";
import {
  type AddressPolicy,
  checkAddress,
  hostOf,
  isPublicHost,
  maxUrlCharacters,
} from "../../src/domain/address.ts";

const anyScheme: AddressPolicy = { allowPrivate: false, schemes: ["https:", "http:"] };
const httpsOnly: AddressPolicy = { allowPrivate: false, schemes: ["https:"] };
const local: AddressPolicy = { allowPrivate: true, schemes: ["https:"] };

const accepts = (address: string, policy = anyScheme) => "url" in checkAddress(address, policy);
const problemOf = (address: string, policy = anyScheme) => {
  const checked = checkAddress(address, policy);
  return "problem" in checked ? checked.problem : undefined;
};

describe("an address on a public name", () => {
  it.each([
    "https://example.com/",
    "http://example.com/a.png",
    "https://files.evolink.ai/1/2.png?sign=abc%2Bdef&expires=1",
    "https://example.com:8443/a.png",
    "https://EXAMPLE.com/A",
    "https://example.com./a.png",
    "https://bücher.example.com/",
    "https://xn--bcher-kva.example.com/",
    "https://under_score.example.com/",
    "https://localhost.example.com/",
    "https://mylocalhost.com/",
    "https://notlocal.com/",
    "https://www.cobalt/",
    "https://files.mylocal/",
    "https://local.example.com/",
    "https://internal.example.com/",
    "https://metadata.example.com/",
    "https://lan.example.com/",
    "https://127.0.0.1.example.com/",
    "https://10.0.0.1.example.com/",
    "https://example.com/http://127.0.0.1/",
    "https://example.com/?u=http://localhost/",
    "https://example.com/#@127.0.0.1",
  ])("passes: %s", (address) => {
    expect(accepts(address)).toBe(true);
  });
});

describe("an address on a name of this host or network", () => {
  it.each([
    "http://localhost/",
    "http://localhost:8787/",
    "http://LOCALHOST/",
    "http://LocalHost./",
    "http://localhost../",
    "http://api.localhost/",
    "http://a.b.localhost./",
    "http://localhost.localdomain/",
    "http://printer.local/",
    "http://gateway.lan/",
    "http://wiki.corp/",
    "http://wiki.intranet/",
    "http://nas.home.arpa/",
    "http://api.internal/",
    "http://hidden.onion/",
    "http://name.alt/",
    "http://router/",
    "http://router./",
    "http://db:5432/",
    "http://com/",
    // Metadata services by name.
    "http://metadata/computeMetadata/v1/",
    "http://metadata.goog/computeMetadata/v1/",
    "http://168.63.129.16/metadata/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://METADATA.GOOGLE.INTERNAL./",
    "http://instance-data/latest/meta-data/",
    "http://instance-data.ec2.internal/latest/meta-data/",
    "http://kubernetes.default.svc/",
    "http://kubernetes.default.svc.cluster.local/",
    // Similar characters that the URL parser turns into the plain name.
    "http://ｌｏｃａｌｈｏｓｔ/",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
    "http://𝓵𝓸𝓬𝓪𝓵𝓱𝓸𝓼𝓽/",
    "http://%6c%6f%63%61%6c%68%6f%73%74/",
    "http://loc\u00adalhost/",
    "http://localhost。/",
    "http://api。internal/",
    "http://metadata．google．internal/",
  ])("is refused: %j", (address) => {
    expect(problemOf(address)).toBe("must be on a public address");
  });
});

describe("an address that parsers read differently", () => {
  it.each([
    "http:\\\\localhost\\",
    "http:localhost/",
    "ht\ntp://local\thost/",
    "  http://localhost/  ",
    "https:///path/only",
  ])("does not lead to this host: %j", (address) => {
    expect(accepts(address)).toBe(false);
  });
});

describe("an address", () => {
  it.each([
    "ftp://example.com/a.png",
    "file:///etc/passwd",
    "data:image/png;base64,iVBORw0KGgo=",
    "javascript:alert(1)",
    "blob:https://example.com/0",
    "ws://example.com/",
    "wss://example.com/",
    "gopher://example.com/",
    "mailto:a@example.com",
    "about:blank",
    "localhost:80",
  ])("of another scheme is refused: %s", (address) => {
    expect(problemOf(address)).toBe("must be a URL with https or http");
  });

  it("with plain http is refused where only https will do", () => {
    expect(problemOf("http://example.com/", httpsOnly)).toBe("must be a URL with https");
    expect(problemOf("HTTP://example.com/", httpsOnly)).toBe("must be a URL with https");
    expect(accepts("HTTPS://example.com/", httpsOnly)).toBe(true);
  });

  it.each([
    "https://user@example.com/",
    "https://user:password@example.com/",
    "https://:password@example.com/",
    "https://example.com@127.0.0.1/",
    "https://127.0.0.1@example.com/",
    "https://example.com%2f@example.org/",
  ])("with a user name or password is refused: %s", (address) => {
    expect(problemOf(address)).toBe("must not hold a user name or password");
  });

  it.each([
    "",
    " ",
    "example.com/a.png",
    "/v1/files/a.png",
    "//example.com/a.png",
    "a.png",
    "http://",
    "https://?",
    "https://exa mple.com/",
    "https://example.com:65536/",
    "https://example.com:port/",
    "https://[::1/",
    "https://[fe80::1%25eth0]/",
    "https://[::ffff:127.0.0.1.1]/",
    "https://1.2.3.4.5/",
    "https://256.0.0.1/",
    "https://4294967296/",
    "https://exa<mple.com/",
    "https://%00.example.com/",
  ])("that is none is refused: %j", (address) => {
    expect(problemOf(address)).toBe("must be an absolute URL");
  });

  it("may be as long as the limit and no longer", () => {
    const start = "https://example.com/";
    expect(accepts(start + "a".repeat(maxUrlCharacters - start.length))).toBe(true);
    expect(maxUrlCharacters).toBe(2_048);
    for (const policy of [anyScheme, local]) {
      const tooLong = start + "a".repeat(maxUrlCharacters - start.length + 1);
      expect(problemOf(tooLong, policy)).toBe("must be at most 2048 characters");
    }
  });

  it("is sent on as the parser understood it", () => {
    const checked = checkAddress("HTTPS://BÜCHER.Example.com:443/../ä", anyScheme);
    expect("url" in checked && checked.url.href).toBe("https://xn--bcher-kva.example.com/%C3%A4");
  });
});

describe("where private networks are allowed", () => {
  it.each([
    "http://localhost:8788/files/1.png",
    "http://127.0.0.1:8788/",
    "http://10.0.0.7/",
    "http://192.168.1.4/",
    "http://[::1]:8788/",
    "http://[fd00::1]/",
    "http://simulator/",
    "http://host.docker.internal:8788/",
    "http://example.com/",
    "https://example.com/",
  ])("%s passes", (address) => {
    expect(accepts(address, local)).toBe(true);
  });

  it.each(["file:///etc/passwd", "data:,x", "ftp://localhost/", "http://user@localhost/", "localhost", ""])(
    "%j is refused all the same",
    (address) => {
      expect(accepts(address, local)).toBe(false);
    },
  );
});

describe("the host of a URL", () => {
  it.each([
    ["https://example.com/", "example.com"],
    ["https://EXAMPLE.com./", "example.com"],
    ["https://example.com../", "example.com"],
    ["https://127.1:8080/", "127.0.0.1"],
    ["https://[::1]/", "[::1]"],
  ])("of %s is %s, in one spelling", (address, host) => {
    expect(hostOf(new URL(address))).toBe(host);
  });
});

describe("a host as the URL parser writes it", () => {
  it.each(["", ".", "..", "[]", "[::1", "localhost", "127.0.0.1", "[::1]"])("is not public: %j", (host) => {
    expect(isPublicHost(host)).toBe(false);
  });

  it("is public by name or address", () => {
    for (const host of ["example.com", "8.8.8.8", "[2606:4700:4700::1111]"])
      expect(isPublicHost(host)).toBe(true);
  });
});
