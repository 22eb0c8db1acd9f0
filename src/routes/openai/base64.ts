/** Base 64 (RFC 4648, 4) of bytes as they stream by, so that no picture is ever held whole. */

/** Characters are made of three bytes at a time; what is left over waits for the next chunk. */
export async function* base64Of(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let rest: Uint8Array = new Uint8Array();
  for await (const chunk of chunks) {
    const bytes = new Uint8Array(rest.length + chunk.length);
    bytes.set(rest);
    bytes.set(chunk, rest.length);
    const whole = bytes.length - (bytes.length % 3);
    rest = bytes.slice(whole);
    if (whole > 0) yield bytes.subarray(0, whole).toBase64();
  }
  if (rest.length > 0) yield rest.toBase64();
}
