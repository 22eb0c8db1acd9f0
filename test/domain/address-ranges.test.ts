/** Every special range of IPv4 and IPv6 (IANA's registries), at both its ends and beside them, in every notation. */
import { describe, expect, it } from "vitest";
import { checkAddress } from "../../src/domain/address.ts";

const isPublic = (address: string) =>
  "url" in checkAddress(address, { allowPrivate: false, schemes: ["https:", "http:"] });

describe("an IPv4 address", () => {
  it.each([
    ["0.0.0.0", "this network"],
    ["0.255.255.255", "this network"],
    ["10.0.0.0", "private use"],
    ["10.255.255.255", "private use"],
    ["100.64.0.0", "shared address space"],
    ["100.100.100.200", "a metadata service"],
    ["100.127.255.255", "shared address space"],
    ["127.0.0.1", "loopback"],
    ["127.255.255.255", "loopback"],
    ["169.254.0.0", "link-local"],
    ["169.254.169.254", "a metadata service"],
    ["169.254.170.2", "a metadata service"],
    ["169.254.169.123", "a time service"],
    ["169.254.255.255", "link-local"],
    ["172.16.0.0", "private use"],
    ["172.31.255.255", "private use"],
    ["192.0.0.0", "protocol assignments"],
    ["192.0.0.192", "a metadata service"],
    ["192.0.2.1", "documentation"],
    ["192.88.99.1", "6to4 relays"],
    ["192.168.0.0", "private use"],
    ["192.168.255.255", "private use"],
    ["198.18.0.0", "benchmarks"],
    ["198.19.255.255", "benchmarks"],
    ["198.51.100.1", "documentation"],
    ["203.0.113.1", "documentation"],
    ["224.0.0.1", "multicast"],
    ["239.255.255.255", "multicast"],
    ["240.0.0.1", "reserved"],
    ["255.255.255.255", "broadcast"],
  ])("%s is refused: %s", (host) => {
    expect(isPublic(`http://${host}/`)).toBe(false);
    expect(isPublic(`https://${host}:8443/a.png`)).toBe(false);
  });

  it.each([
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.3.1",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.254",
  ])("%s is public", (host) => {
    expect(isPublic(`http://${host}/`)).toBe(true);
  });

  it.each([
    // Loopback in other ways of writing.
    "http://2130706433/",
    "http://017700000001/",
    "http://0x7f000001/",
    "http://0x7F.0x0.0x0.0x1/",
    "http://0177.0.0.1/",
    "http://0177.0.0.0x1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.0x1/",
    "http://127.65535/",
    "http://00000177.0.0.1/",
    "http://127.0.0.1./",
    "http://127.0.0.1:80/",
    "http://①②⑦.⓪.⓪.①/",
    "http://１２７.０.０.１/",
    "http://𝟏𝟐𝟕.𝟎.𝟎.𝟏/",
    "http://127。0。0。1/",
    "http://127．0｡0．1/",
    "http://%31%32%37.0.0.1/",
    "http://127%2e0%2e0%2e1/",
    "http://0x7f。1/",
    "http:127.0.0.1",
    "http:\\\\127.0.0.1\\",
    "http:/127.0.0.1/",
    // Unspecified, which many systems take for loopback.
    "http://0/",
    "http://0x/",
    "http://00.00.00.00/",
    "http://0x0.0/",
    // A metadata service in other ways of writing.
    "http://2852039166/latest/meta-data/",
    "http://0xa9fea9fe/",
    "http://0xA9.0xFE.0xA9.0xFE/",
    "http://0251.0376.0251.0376/",
    "http://169.254.43518/",
    "http://169.16689662/",
    "http://①⑥⑨.②⑤④.①⑥⑨.②⑤④/",
    // Private networks in other ways of writing.
    "http://0xa.1/",
    "http://012.1/",
    "http://167772161/",
    "http://192.168.257/",
    "http://0300.0250.1/",
    "http://0xc0a80101/",
    "http://172.0x100001/",
  ])("is refused in every notation: %s", (address) => {
    expect(isPublic(address)).toBe(false);
  });

  it.each(["http://134744072/", "http://0x08080808/", "http://010.010.010.010/", "http://8.8.2056/"])(
    "is public in every notation: %s",
    (address) => {
      expect(isPublic(address)).toBe(true);
    },
  );
});

describe("an IPv6 address", () => {
  it.each([
    ["::", "unspecified"],
    ["0:0:0:0:0:0:0:0", "unspecified"],
    ["::1", "loopback"],
    ["0000:0000:0000:0000:0000:0000:0000:0001", "loopback"],
    ["::2", "reserved"],
    ["::127.0.0.1", "IPv4-compatible"],
    ["::8.8.8.8", "IPv4-compatible"],
    ["::ffff:127.0.0.1", "IPv4-mapped"],
    ["::ffff:7f00:1", "IPv4-mapped"],
    ["::FFFF:169.254.169.254", "IPv4-mapped"],
    ["::ffff:8.8.8.8", "IPv4-mapped"],
    ["::ffff:0:127.0.0.1", "IPv4-translated"],
    ["64:ff9b::127.0.0.1", "NAT64"],
    ["64:ff9b::a9fe:a9fe", "NAT64"],
    ["64:ff9b:1::1", "NAT64, local use"],
    ["100::1", "discard"],
    ["2001::1", "Teredo"],
    ["2001:0:4136:e378:8000:63bf:3fff:fdd2", "Teredo"],
    ["2001:2::1", "benchmarks"],
    ["2001:10::1", "ORCHID"],
    ["2001:20::1", "ORCHIDv2"],
    ["2001:db8::1", "documentation"],
    ["2001:0DB8:ffff::1", "documentation"],
    ["2002:7f00:1::", "6to4 of 127.0.0.1"],
    ["2002:808:808::1", "6to4"],
    ["3fff::1", "documentation"],
    ["3fff:fff:ffff::1", "documentation"],
    ["4000::1", "not allocated"],
    ["5f00::1", "segment routing"],
    ["fc00::1", "unique local"],
    ["fd00::1", "unique local"],
    ["fd00:ec2::254", "a metadata service"],
    ["fd20:ce::254", "a metadata service"],
    ["fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "unique local"],
    ["fe80::1", "link-local"],
    ["febf::1", "link-local"],
    ["fec0::1", "site-local"],
    ["ff02::1", "multicast"],
    ["ff0e::1", "multicast"],
  ])("[%s] is refused: %s", (host) => {
    expect(isPublic(`http://[${host}]/`)).toBe(false);
    expect(isPublic(`https://[${host}]:8443/a.png`)).toBe(false);
  });

  it.each([
    "2001:4860:4860::8888",
    "2606:4700:4700::1111",
    "2606:4700:4700:0:0:0:0:1111",
    "2A00:1450:4001:830::200e",
    "2400:cb00:2048:1::c629:d7a2",
    "2c0f:f248::1",
  ])("[%s] is public", (host) => {
    expect(isPublic(`https://[${host}]/`)).toBe(true);
  });
});
