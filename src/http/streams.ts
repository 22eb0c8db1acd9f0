/** Replies that are streams. */

const encoder = new TextEncoder();

export function encode(text: string): Uint8Array {
  return encoder.encode(text);
}

/**
 * A stream that the client's pace pulls. A client that leaves ends the generator, and with it all polling.
 * @param end Is called when the stream is over, however it ends.
 */
export function streamOf(chunks: AsyncGenerator<Uint8Array>, end: () => void): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await chunks.next();
        if (!done) return controller.enqueue(value);
      } catch (error) {
        end();
        throw error;
      }
      end();
      controller.close();
    },
    async cancel() {
      // The generator may be asleep, and returns when it wakes.
      end();
      await chunks.return(undefined);
    },
  });
}
