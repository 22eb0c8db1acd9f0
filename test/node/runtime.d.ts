/** What the Workers runtime has beside the web's own API, for sources that are read by programs of Node's. */

interface SubtleCrypto {
  timingSafeEqual(a: ArrayBuffer | ArrayBufferView, b: ArrayBuffer | ArrayBufferView): boolean;
}
