/** A small piece of work on which a kernel shows what it computes. */
import type { Kernel } from '../../../kernels/kernel';

export interface TrialDispatch {
  kernel: Kernel;
  groups: readonly number[];
  /** names of tensors, by binding */
  bound: Readonly<Record<string, string>>;
}

export interface Trial {
  dispatches: readonly TrialDispatch[];
  /** what is only read, by name */
  reads: Readonly<Record<string, Uint8Array>>;
  /** what is written, too, as it is before */
  writes: Readonly<Record<string, Uint8Array>>;
  /** what one dispatch writes and a later one only reads: names, and bytes */
  between?: Readonly<Record<string, number>>;
  /** name of what is compared, from its beginning */
  result: string;
  right: Float32Array;
  /** the largest difference that is allowed, in units of the largest value */
  tolerance: number;
}

/** Values of a fixed sequence in [-1, 1) (xorshift32, Marsaglia 2003). */
export function sequence(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 31 - 1;
  };
}

export const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
