/**
 * What shows that a file is still the one whose bytes have come, where its server tells nothing of versions: 64 KiB of
 * the tensor bytes that came first, and 64 KiB at two random places. They are asked for again and compared. The header
 * is no sample, for a model that is quantised anew keeps it. One byte that changes elsewhere is not seen.
 */
import { CHUNK_BYTES } from './chunk-store';
import type { Part } from './parts';

const SAMPLE_BYTES = 64 << 10;

/** An empty part where there is nothing yet. */
export interface Samples {
  tensor: Part;
  /** the random places */
  random: [Part, Part];
  /** of a file that is not kept, what its header began with: the header is not read again with the weights */
  header: Part;
}

const NONE: Part = { start: 0, bytes: new Uint8Array(0) };

/** @param parts what partsIn() made */
export function samplesOf([tensor = NONE, first = NONE, second = NONE, header = NONE]: readonly Part[] = []): Samples {
  return { tensor, random: [first, second], header };
}

/** The one that tells most first. */
export const partsIn = ({ tensor, random, header }: Samples): Part[] => [tensor, ...random, header];

export const isEmpty = ({ bytes }: Part): boolean => bytes.length === 0;

/** @param start the place of `bytes` in the file */
export const beginningOf = (bytes: Uint8Array, start: number): Part => ({ start, bytes: bytes.slice(0, SAMPLE_BYTES) });

function anywhereIn(bytes: Uint8Array, start: number): Part {
  const at = Math.floor(Math.random() * (Math.max(0, bytes.length - SAMPLE_BYTES) + 1));
  return beginningOf(bytes.subarray(at), start + at);
}

/** Takes a chunk into account, so that each that came so far is as likely to hold a random sample. Changes `samples`. */
export function takeFrom({ random }: Samples, index: number, chunk: Uint8Array): void {
  for (const i of [0, 1]) {
    if (isEmpty(random[i]) || Math.random() * (index + 1) < 1) random[i] = anywhereIn(chunk, index * CHUNK_BYTES);
  }
}

/** The first tensor begins at `start`, with `bytes`: random samples of the header go. Changes `samples`, once. */
export function takeTensor(samples: Samples, start: number, bytes: Uint8Array): void {
  if (!isEmpty(samples.tensor)) return;
  samples.tensor = beginningOf(bytes, start);
  for (const i of [0, 1]) if (samples.random[i].start < start) samples.random[i] = anywhereIn(bytes, start);
}
