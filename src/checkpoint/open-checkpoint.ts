/** A Checkpoint over a Source: formats/ says where bytes lie and what they mean, the Source brings them. */
import { NibbleError, throwIfAborted } from '../errors';
import { openSafetensorsFolder } from '../formats/folder';
import { type ByteRange, type FileLayout, recordsInOrder } from '../formats/layout';
import { arraysOf, type RowSlice } from '../formats/matrix';
import { tensorRows } from '../formats/rows';
import { release } from '../platform/release';
import { type Lent, lentWhole } from '../sources/lent';
import type { Source } from '../sources/source';
import type { Checkpoint } from './checkpoint';

/** a quarter of a chunk: few slices straddle two, and those in flight stay small beside the chunks */
const SLICE_BYTES = 1 << 20;
/** slices whose bytes are asked for before they are taken */
const AHEAD = 2;

/**
 * Reads the headers.
 * @throws corrupt-checkpoint, unsupported-quantization, aborted; network, also for a file that the model cannot do
 * without and that the server does not give: with its address and what was answered
 */
export async function openLayout(source: Source, signal?: AbortSignal): Promise<FileLayout> {
  try {
    return await readLayout(source, signal);
  } catch (error) {
    throw refusalOf(source, error) ?? error;
  }
}

/** What the server said of the file that an error says is not there. */
export function refusalOf(source: Source, error: unknown): NibbleError | undefined {
  if (!(error instanceof NibbleError) || typeof error.details.path !== 'string') return undefined;
  return source.refusal?.(error.details.path);
}

async function readLayout(source: Source, signal?: AbortSignal): Promise<FileLayout> {
  const read = (path: string, start: number, end: number) => source.read(path, start, end, signal);
  const readPart = (path: string, start: number, end: number) =>
    source.readPart ? source.readPart(path, start, end, signal) : read(path, start, end);
  const size = (path: string) => source.size(path, signal);
  return source.gguf
    ? (await import('../formats/gguf')).openGguf(source.gguf, read, size)
    : openSafetensorsFolder(read, size, readPart, source.names);
}

export async function openCheckpoint(source: Source, signal?: AbortSignal): Promise<Checkpoint> {
  return checkpointOf(await openLayout(source, signal), source);
}

/** Bytes of a source that has them already, or read for this. */
async function lentBy(source: Source, { path, start, end }: ByteRange, signal?: AbortSignal): Promise<Lent> {
  if (source.lend) return source.lend(path, start, end, signal);
  return lentWhole(await source.read(path, start, end, signal));
}

/** What a layout says, with the bytes of a source. */
export function checkpointOf(layout: FileLayout, source: Source): Checkpoint {
  const tensors = new Map(recordsInOrder(layout).map(([name, record]) => [name, record.info]));

  async function* slices(name: string, sliceBytes: number, stop?: AbortSignal): AsyncGenerator<RowSlice> {
    const record = layout.records.get(name);
    if (!record) throw new NibbleError('corrupt-checkpoint', `The checkpoint has no tensor ${name}.`, { name });
    const fetchRange = ({ path, start, end }: ByteRange) => source.read(path, start, end, stop);
    const rows = tensorRows(record, await Promise.all(record.statistics.map(fetchRange)));
    const total = record.info.rows;
    const step = rows.rowsPer(sliceBytes);
    const queue: Promise<Lent>[] = [];
    let asked = 0;
    try {
      for (let row = 0; row < total; row += step) {
        for (; asked < total && queue.length <= AHEAD; asked += step) {
          const bytes = lentBy(source, rows.rowBytes(asked, Math.min(step, total - asked)), stop);
          bytes.catch(() => {});
          queue.push(bytes);
        }
        throwIfAborted(stop);
        const lent = await queue[0];
        const slice = rows.decode(row, Math.min(step, total - row), lent.bytes);
        yield slice;
        release(...arraysOf(slice).filter(({ buffer }) => buffer !== lent.bytes.buffer));
        lent.giveBack();
        queue.shift();
      }
    } finally {
      for (const left of queue) left.then(({ giveBack }) => giveBack()).catch(() => {});
    }
  }

  return {
    name: source.name,
    revision: source.revision,
    config: layout.config,
    generationConfig: layout.generationConfig,
    tokenizer: layout.tokenizer,
    tensors,
    unread: layout.unread,
    ...(layout.modules && { modules: layout.modules }),
    notes: layout.notes ?? [],
    files: layout.files.map(({ path }) => path),
    totalBytes: layout.totalBytes,
    read: (name, { sliceBytes = SLICE_BYTES, signal: stop } = {}) => slices(name, sliceBytes, stop),
    close: () => source.close?.(),
  };
}
