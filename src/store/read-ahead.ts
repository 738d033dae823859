/**
 * Which chunks are fetched before they are read, while weights stream: the next ones in the order of the files. Each is
 * asked for when little is missing of what is on its way, so that its bytes begin to come as those before them end. The
 * line is then neither idle while a request is answered, nor shared by chunks that would all be here at once.
 */
import type { ChunkCache } from './chunk-cache';
import { CHUNK_BYTES, chunkKey, MOST_AHEAD } from './chunk-store';
import type { Chunks } from './chunks';
import type { ModelFiles } from './model-files';

/** The next one is asked for when no more than that is missing of those on their way. */
const SOON_BYTES = CHUNK_BYTES / 2;
/**
 * How far that may be beyond the chunk that is read: those between that are stored are read when they are
 * among the next MOST_AHEAD.
 */
const REACH = 4;

interface ChunkPlace {
  path: string;
  index: number;
}

export interface ReadAhead {
  /** The reader is at a chunk, of which it reads more than statistics, which may lie elsewhere. */
  reach(path: string, index: number): void;
  /** Bytes have come, or it has become known in which order they will be read. */
  look(): void;
}

/**
 * @param hold a chunk of the cache, in whatever else takes it as it passes
 * @param isOver whether nothing may be fetched any more
 */
export function createReadAhead(
  files: ModelFiles,
  { cache, met, missing }: Chunks,
  hold: ChunkCache['hold'],
  isOver: () => boolean,
): ReadAhead {
  /**
   * Chunks that were asked for here, by name, and whether they are fetched: when one of them fails, or makes room, it
   * is for the reader to ask again.
   */
  const asked = new Map<string, boolean>();
  let at: ChunkPlace | null = null;
  let ahead = 1;

  const nameOf = ({ path, index }: ChunkPlace) => chunkKey(files.key, path, index);
  const isStored = (place: ChunkPlace) => files.complete || (met.has(nameOf(place)) && files.isKept(place.path));

  /** The files in the order in which they are read: what is made of others asks for those, until it is all here. */
  function order(): readonly string[] {
    return files.complete && files.made ? [files.made.path] : (files.streaming ?? []);
  }

  /** The chunk that is read after this one, null after the last. */
  function following({ path, index }: ChunkPlace): ChunkPlace | null {
    if ((index + 1) * CHUNK_BYTES < files.record.files[path].bytes!) return { path, index: index + 1 };
    const paths = order();
    const next = paths[paths.indexOf(path) + 1];
    return next ? { path: next, index: 0 } : null;
  }

  function first(): ChunkPlace | null {
    const [path] = order();
    return files.record.files[path]?.bytes ? { path, index: 0 } : null;
  }

  function look(): void {
    if (!files.streaming || isOver()) return;
    let next = at ? following(at) : first();
    for (let i = 0, held = 0; next && i < REACH && held < ahead; i++, next = following(next)) {
      const { path, index } = next;
      const name = nameOf(next);
      const fetched = asked.get(name) ?? !isStored(next);
      const isNeeded = !cache.has(path, index) && !asked.has(name) && (i < MOST_AHEAD || fetched);
      if (isNeeded) {
        if (fetched && missing(at?.path, at?.index) > SOON_BYTES) return;
        asked.set(name, fetched);
      }
      // what is here already shall not make room for others
      if (isNeeded || cache.has(path, index)) hold(path, index);
      // the first of all is about to be read
      if (asked.get(name) && (at || i > 0)) held++;
    }
  }

  return {
    look,
    reach(path, index) {
      if (!files.streaming || !order().includes(path)) return;
      const isNew = at?.path !== path || at.index !== index;
      if (at && isNew && asked.get(nameOf({ path, index }))) ahead = cache.isHere(path, index) ? 1 : MOST_AHEAD;
      at = { path, index };
      look();
    },
  };
}
