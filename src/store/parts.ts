/**
 * Small parts of a file that were read apart from its chunks, because a header needs them before the weights around
 * them (bitsandbytes' quant_states lie all over the file). They are compared with each chunk that arrives, and all
 * those of a file are kept in one entry of the store. Pure.
 */
export interface Part {
  /** its first byte's place in the file */
  start: number;
  bytes: Uint8Array<ArrayBuffer>;
}

/** A copy of bytes [start, end) of a file where one part has them all, else null. */
export function findPart(parts: readonly Part[], start: number, end: number): Uint8Array<ArrayBuffer> | null {
  const part = parts.find((p) => p.start <= start && end <= p.start + p.bytes.length);
  return part ? part.bytes.slice(start - part.start, end - part.start) : null;
}

/** The file's first byte on which a chunk that starts at `from` and a part do not agree, or null. */
export function firstDifference(parts: readonly Part[], from: number, chunk: Uint8Array): number | null {
  for (const { start, bytes } of parts) {
    const end = Math.min(start + bytes.length, from + chunk.length);
    for (let at = Math.max(start, from); at < end; at++) if (bytes[at - start] !== chunk[at - from]) return at;
  }
  return null;
}

/** f64: how many parts; start and length of each; then their bytes. */
export function packParts(parts: readonly Part[]): Uint8Array<ArrayBuffer> {
  const numbers = Float64Array.of(parts.length, ...parts.flatMap(({ start, bytes }) => [start, bytes.length]));
  const packed = new Uint8Array(parts.reduce((sum, { bytes }) => sum + bytes.length, numbers.byteLength));
  packed.set(new Uint8Array(numbers.buffer));
  let at = numbers.byteLength;
  for (const { bytes } of parts) {
    packed.set(bytes, at);
    at += bytes.length;
  }
  return packed;
}

/** @param packed what packParts() made, and its digest has vouched for */
export function unpackParts(packed: Uint8Array<ArrayBuffer>): Part[] {
  const [count] = new Float64Array(packed.buffer, 0, 1);
  const numbers = new Float64Array(packed.buffer, 8, 2 * count);
  let at = 8 + numbers.byteLength;
  return Array.from({ length: count }, (_, i) => {
    const from = at;
    at += numbers[2 * i + 1];
    return { start: numbers[2 * i], bytes: packed.slice(from, at) };
  });
}
