/** Compressing texts that are kept in R2. */

export async function gzip(text: string): Promise<ArrayBuffer> {
  const packed = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Response(packed).arrayBuffer();
}

/** @returns undefined for bytes that are no whole gzip. */
export async function gunzip(bytes: ArrayBuffer): Promise<string | undefined> {
  try {
    return await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  } catch {
    return undefined;
  }
}
