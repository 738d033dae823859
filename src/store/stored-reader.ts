/** Reads of a model's files out of their chunks, those that come next fetched ahead. */
import { NibbleError } from '../errors';
import { type Lent, lentWhole } from '../sources/lent';
import type { Source } from '../sources/source';
import type { ChunkCache } from './chunk-cache';
import { CHUNK_BYTES, chunkKey } from './chunk-store';
import type { FileVersions } from './file-versions';
import type { ModelFiles } from './model-files';
import type { Origin } from './origin';
import type { PartReader } from './part-reader';
import type { ReadAhead } from './read-ahead';
import { beginningOf, takeFirst } from './version-samples';

/** shorter reads are statistics, which come out of turn: nothing is fetched ahead for them */
const SEQUENTIAL_BYTES = 32 << 10;

const chunkAt = (byte: number) => Math.floor(byte / CHUNK_BYTES);

/**
 * @param hold a chunk of the cache, in whatever else takes it as it passes
 * @param ahead told where reads are while weights stream
 * @param placesOf where the first samples of a file are to be
 */
export function createStoredReader(
  files: ModelFiles,
  { source, inTurn, isUntold, signal }: Origin,
  versions: FileVersions,
  parts: PartReader | null,
  cache: ChunkCache,
  hold: ChunkCache['hold'],
  ahead: ReadAhead,
  placesOf: (path: string) => readonly number[] | undefined,
): Required<Pick<Source, 'read' | 'lend' | 'readPart'>> {
  const { complete } = files;

  /** @returns the file's size @throws corrupt-checkpoint when it is less */
  async function expectBytes(path: string, end: number): Promise<number> {
    const bytes = await versions.size(path);
    if (bytes !== null && end <= bytes) return bytes;
    const message = `${path} has ${bytes ?? 'no'} bytes where ${end} are needed. Get the model again.`;
    throw new NibbleError('corrupt-checkpoint', message, { path, bytes, expected: end });
  }

  /** Whether a chunk is here, or will be kept once it is. */
  async function hasChunk(path: string, index: number): Promise<boolean> {
    const { store, key, keeper } = files;
    if (cache.has(path, index) || (store && !keeper.full)) return true;
    const name = chunkKey(key, path, index);
    return store !== null && (await store.chunks.keys(name)).includes(name);
  }

  const isSequential = (start: number, end: number) => files.streaming !== null && end - start >= SEQUENTIAL_BYTES;

  /** A chunk that was read in order up to `end` is not read again, if that is its end. @param bytes the file's */
  function dropIfRead(path: string, index: number, end: number, bytes: number): void {
    if (end >= Math.min((index + 1) * CHUNK_BYTES, bytes)) cache.drop(path, index);
  }

  async function read(path: string, start: number, end: number, until?: AbortSignal) {
    const bytes = await expectBytes(path, end);
    const first = chunkAt(start);
    // headers of a model that is not kept: whole chunks would be thrown away and fetched twice
    if (!complete && !files.streaming && bytes > CHUNK_BYTES && !(await hasChunk(path, first))) {
      const got = await inTurn(() => source.read(path, start, end, until ?? signal));
      if (start === 0 && isUntold(path))
        await versions.sample(path, (samples) => (samples.header = beginningOf(got, 0)));
      return got;
    }
    const result = new Uint8Array(end - start);
    const sequential = isSequential(start, end);
    const places = isUntold(path) ? placesOf(path) : undefined;
    const last = Math.ceil(end / CHUNK_BYTES);
    const copy = (i: number) =>
      cache.use(
        hold(path, i),
        async (got) => {
          const from = i * CHUNK_BYTES;
          if (places) await versions.sample(path, (samples) => takeFirst(samples, places, i, got));
          const part = got.subarray(Math.max(0, start - from), Math.min(got.length, end - from));
          result.set(part, Math.max(0, from - start));
        },
        until,
      );
    let copied = first < last ? copy(first) : null;
    for (let i = first; copied; i++) {
      // claimed before this one is waited for: a later read may be done with it sooner, and drop it
      const after: Promise<void> | null = i + 1 < last ? copy(i + 1) : null;
      after?.catch(() => {});
      if (sequential) ahead.reach(path, i);
      await copied;
      if (sequential) dropIfRead(path, i, end, bytes);
      copied = after;
    }
    if (files.refuted) throw files.refuted;
    return result;
  }

  /** What lies in one chunk is looked at there. */
  async function lend(path: string, start: number, end: number, until?: AbortSignal): Promise<Lent> {
    const index = chunkAt(start);
    if (!isSequential(start, end) || isUntold(path) || index !== chunkAt(end - 1)) {
      return lentWhole(await read(path, start, end, until));
    }
    const bytes = await expectBytes(path, end);
    const from = index * CHUNK_BYTES;
    return new Promise((resolve, reject) => {
      const show = (got: Uint8Array) =>
        new Promise<void>((giveBack) => {
          if (files.refuted) throw files.refuted;
          resolve({ bytes: got.subarray(start - from, end - from), giveBack });
        });
      const used = cache.use(hold(path, index), show, until);
      used.then(() => dropIfRead(path, index, end, bytes)).catch(reject);
      ahead.reach(path, index);
    });
  }

  async function readPart(path: string, start: number, end: number, until?: AbortSignal) {
    const bytes = await expectBytes(path, end);
    const here = cache.has(path, chunkAt(start));
    if (!parts || bytes <= CHUNK_BYTES || here || source.inOrder?.(path)) return read(path, start, end, until);
    return (await parts.read(path, start, end, until)) ?? read(path, start, end, until);
  }

  return { read, lend, readPart };
}
