/**
 * What shows that a file is still the one whose bytes have come, where its server tells nothing of versions: 64 KiB of
 * the tensor bytes that came first, and 64 KiB at two random places. They are asked for again and compared. The header
 * is no sample, for a model that is quantised anew keeps it. One byte that changes elsewhere is not seen. Where nothing
 * says yet where matrices begin (of a load that ended before, and of what an earlier version of Nibble kept) more
 * places are compared, for two may both lie in scales that stayed as they are.
 */
import type { FileLayout } from '../formats/layout';
import { CHUNK_BYTES } from './chunk-store';
import type { Part } from './parts';

const SAMPLE_BYTES = 64 << 10;

/** An empty part where there is nothing yet. */
export interface Samples {
  /** at samplePlaces() */
  first: [Part, Part];
  /** at two random places */
  random: [Part, Part];
  /** of a file that is not kept, what it began with: its header is not read again with the weights */
  header: Part;
}

/** of what was kept without samples */
const SPREAD_BYTES = 16 << 10;
const SPREAD_A_CHUNK = 4;
const MOST_SPREAD = 32;

const NONE: Part = { start: 0, bytes: new Uint8Array(0) };

/** @param parts what partsIn() made */
export function samplesOf([a = NONE, b = NONE, c = NONE, d = NONE, header = NONE]: readonly Part[] = []): Samples {
  return { first: [b, a], random: [c, d], header };
}

/** The one that tells most comes first. */
export const partsIn = ({ first: [a, b], random, header }: Samples): Part[] => [b, a, ...random, header];

export const isEmpty = ({ bytes }: Part): boolean => bytes.length === 0;

/**
 * By file, where its first tensor begins, and its first matrix: small tensors often come first, and may be the same in
 * a model that has been quantised anew.
 */
export function samplePlaces({ records }: Pick<FileLayout, 'records'>): Map<string, [number, number]> {
  const places = new Map<string, [number, number]>();
  for (const { info, data, statistics } of records.values()) {
    for (const { path, start } of [data, ...statistics]) {
      const [tensor, matrix] = places.get(path) ?? [start, Number.POSITIVE_INFINITY];
      const isMatrix = info.rows > 1 && start === data.start && path === data.path;
      places.set(path, [Math.min(tensor, start), isMatrix ? Math.min(matrix, start) : matrix]);
    }
  }
  for (const place of places.values())
    if (place[1] < place[0] + SAMPLE_BYTES / 2) place[1] = place[0] + SAMPLE_BYTES / 2;
  return places;
}

/** @param start the place of `bytes` in the file */
export const beginningOf = (bytes: Uint8Array, start: number, most = SAMPLE_BYTES): Part => ({
  start,
  bytes: bytes.slice(0, most),
});

function anywhereIn(bytes: Uint8Array, start: number): Part {
  const at = Math.floor(Math.random() * (Math.max(0, bytes.length - SAMPLE_BYTES) + 1));
  return beginningOf(bytes.subarray(at), start + at);
}

/**
 * One place in each quarter of a chunk: what a model that is quantised anew keeps, such as an embedding, lies together.
 */
export function spreadOver(index: number, chunk: Uint8Array): Part[] {
  const quarter = Math.ceil(chunk.length / SPREAD_A_CHUNK);
  return Array.from({ length: SPREAD_A_CHUNK }, (_, i) => {
    const within = chunk.subarray(i * quarter, (i + 1) * quarter);
    const at = Math.floor(Math.random() * (Math.max(0, within.length - SPREAD_BYTES) + 1));
    return beginningOf(within.subarray(at), index * CHUNK_BYTES + i * quarter + at, SPREAD_BYTES);
  });
}

/** As many as are worth a request each, from all over the file. */
export function thinned(parts: readonly Part[]): Part[] {
  const step = Math.max(1, parts.length / MOST_SPREAD);
  return Array.from({ length: Math.min(parts.length, MOST_SPREAD) }, (_, i) => parts[Math.floor(i * step)]);
}

/**
 * Takes a chunk into account, so that each that came so far is as likely to hold a random sample. Changes `samples`.
 */
export function takeFrom({ random }: Samples, index: number, chunk: Uint8Array): void {
  for (const i of [0, 1]) {
    if (isEmpty(random[i]) || Math.random() * (index + 1) < 1) random[i] = anywhereIn(chunk, index * CHUNK_BYTES);
  }
}

/**
 * Takes samples at those of the places that lie in a chunk, and have none yet; random samples of the header before them
 * go. Changes `samples`.
 * @returns whether there was one to take
 */
export function takeFirst({ first, random }: Samples, places: readonly number[], index: number, chunk: Uint8Array) {
  const from = index * CHUNK_BYTES;
  const which = [0, 1].filter((i) => Math.floor(places[i] / CHUNK_BYTES) === index && isEmpty(first[i]));
  for (const i of which) {
    const start = places[i];
    const rest = chunk.subarray(start - from);
    first[i] = beginningOf(rest, start, SAMPLE_BYTES / 2);
    if (i > 0) continue;
    for (const j of [0, 1]) if (random[j].start < start) random[j] = anywhereIn(rest, start);
  }
  return which.length > 0;
}
