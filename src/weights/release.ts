/**
 * Gives the memory of arrays back now: garbage of this size may lie about for long. They must not be used again; what
 * shares its buffer with one is gone, too. Where the browser cannot (before 2024), it is left to the collector.
 *
 * Not so for what the browser was shown as an argument (of writeBuffer, digest): Chromium 156 wraps that in an object of
 * its own, which keeps the memory until it is collected, while V8, which no longer counts it, sees no reason to collect
 * (measured: 383 MiB of such memory beside a JavaScript heap of 38). So such calls, which copy at once, are shown one
 * and the same memory again and again.
 */
export function release(...arrays: readonly ArrayBufferView[]): void {
  for (const { buffer } of arrays) (buffer as ArrayBuffer & { transfer?(length: number): void }).transfer?.(0);
}
