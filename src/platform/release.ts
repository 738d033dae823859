/**
 * Gives the memory of arrays back now: garbage of this size may lie about for long. A buffer has one owner: whoever got
 * its bytes from read(), or made it, and it is given back once, together with all views of it that the owner has made
 * (f32 values are a view of their bytes, 16 bits become a copy). None of them may be used again. Where the browser
 * cannot (before 2024), it is left to the collector.
 *
 * Not so for what the browser was shown as an argument (of writeBuffer, digest): Chromium 156 wraps that in an object
 * of its own, which keeps the memory until it is collected, while V8, which no longer counts it, sees no reason to
 * collect (measured: 383 MiB of such memory beside a JavaScript heap of 38). So such calls, which copy at once, are
 * shown one and the same memory again and again.
 */
export function release(...arrays: readonly ArrayBufferView[]): void {
  for (const buffer of new Set(arrays.map((array) => array.buffer))) {
    (buffer as ArrayBuffer & { transfer?(length: number): void }).transfer?.(0);
  }
}

/**
 * Lets the collector run sooner: V8 counts memory that was asked for, although nobody touches or keeps it. What the
 * browser holds until then, of what IndexedDB gave and of what the GPU's queue was shown, it hardly counts: without
 * this the renderer was 76 to 91 MiB above its start while 1 GB went from IndexedDB to the GPU, and 55 to 149 above
 * start and weights on the CPU (bench/load-1gb.md).
 */
export function hastenCollection(bytes: number): void {
  // a minifier drops a `new` whose result nobody reads
  Reflect.construct(ArrayBuffer, [bytes]);
}
