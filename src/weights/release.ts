/**
 * Gives the memory of arrays back now: garbage of this size may lie about for long. They must not be used again; what
 * shares its buffer with one is gone, too. Where the browser cannot (before 2024), it is left to the collector.
 */
export function release(...arrays: readonly ArrayBufferView[]): void {
  for (const { buffer } of arrays) (buffer as ArrayBuffer & { transfer?(length: number): void }).transfer?.(0);
}
