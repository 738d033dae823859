/**
 * The interface between files and everything above them. A layout says what a checkpoint is and where each tensor's
 * bytes lie; it is made from headers alone, by functions that get the bytes they ask for and do no IO of their own:
 *
 *   const layout = await openSafetensorsFolder(read, size)      // or gguf.ts: openGguf(path, read, size)
 *   const record = layout.records.get(name)
 *   const rows = tensorRows(record, await Promise.all(record.statistics.map(readRange)))   // once a tensor
 *   const step = rows.rowsPer(4 MiB)
 *   for (let r = 0; r < record.info.rows; r += step) {
 *     const n = Math.min(step, record.info.rows - r)
 *     yield rows.decode(r, n, await readRange(rows.rowBytes(r, n)))
 *   }
 */
import type { EmbeddingModules } from './embedding-modules';
import type { JsonObject } from './json';
import type { DenseType, PackedRows, QuantisedRows, RowSlice, TensorInfo } from './matrix';

/** Bytes [start, end) of a file. */
export interface ByteRange {
  path: string;
  start: number;
  end: number;
}

/** Reads bytes [start, end) of a file: all of them, or it throws. */
export type ReadBytes = (path: string, start: number, end: number) => Promise<Uint8Array>;
/** Size of a file in bytes, or null when it is not there. */
export type FileSize = (path: string) => Promise<number | null>;
/** Names of all files of a folder. */
export type FileNames = () => Promise<readonly string[]>;

/** How the bytes of `data` and `statistics` are to be understood. */
export type Encoding =
  | { kind: 'dense'; type: DenseType }
  /** rounded to f32 as it is read */
  | { kind: 'f64' }
  /** bitsandbytes 4 bits; blocks of `blocksize` run over the flattened tensor. statistics: absmax f32; or, nested:
   * absmax u8, nested_absmax f32, nested_quant_map f32[256], with absmax[b] = map[q[b]] * nested[b >> 8] + offset */
  | { kind: 'bnb4'; blocksize: number; codebook: readonly number[]; nestedOffset: number | null }
  /** LLM.int8. statistics: SCB f32, one a row; value = int8 * SCB / 127 */
  | { kind: 'int8' }
  /**
   * GGUF blocks of `elements` columns in `bytes` bytes, statistics among them (gguf-blocks.ts); `packed`: slices are of
   * the blocks themselves
   */
  | {
      kind: 'blocks';
      elements: number;
      bytes: number;
      packed?: Pick<PackedRows, 'levels' | 'halves'>;
      unpack(bytes: Uint8Array): QuantisedRows;
    };

export interface TensorRecord {
  info: TensorInfo;
  /** Small parts to read whole before the first row, in the order tensorRows takes them. May be empty. */
  statistics: readonly ByteRange[];
  /** All rows, in the file's order. */
  data: ByteRange;
  encoding: Encoding;
  /**
   * Of a GGUF q or k whose rows (or, of a bias, whose elements) stand as interleaved rotary pairs a head; else null.
   */
  interleavedHead: number | null;
  /** Added to every value, in f32: GGUF stores Gemma's norms as 1 + w where Hugging Face has w. Absent: nothing. */
  addend?: number;
}

export interface TensorRows {
  /**
   * The bytes to read for rows [row0, row0 + rows). `row0` is a multiple of `rowStep` (rows that share a byte, or a
   * head whose rows are reordered, stay together), and so is `rows` unless it reaches the last row.
   */
  rowBytes(row0: number, rows: number): ByteRange;
  rowStep: number;
  /** The most rows that fit into `sliceBytes` stored bytes: a multiple of rowStep, and at least rowStep. */
  rowsPer(sliceBytes: number): number;
  /**
   * Turns what rowBytes named into a slice. The slice may share memory with `bytes`: do not change them.
   * @throws NibbleError corrupt-checkpoint when there are too few or too many bytes
   */
  decode(row0: number, rows: number, bytes: Uint8Array): RowSlice;
}

/** A layout's records in the order of the files, so that reading all tensors in turn reads every byte once. */
export function recordsInOrder({ files, records }: Pick<FileLayout, 'files' | 'records'>): [string, TensorRecord][] {
  const place = new Map(files.map(({ path }, index) => [path, index]));
  return [...records].sort(
    ([, { data: a }], [, { data: b }]) => place.get(a.path)! - place.get(b.path)! || a.start - b.start,
  );
}

export interface FileLayout {
  config: JsonObject;
  generationConfig: JsonObject | null;
  tokenizer: { json: JsonObject; config: JsonObject } | null;
  /** by Hugging Face name */
  records: Map<string, TensorRecord>;
  /** tensors of number types that no weight has here, buffers mostly: the type by name */
  unread?: ReadonlyMap<string, string>;
  /** how its texts become vectors, where its files say so */
  modules?: EmbeddingModules;
  /** what the person should know: whole sentences */
  notes?: readonly string[];
  /** the weight files, and the sum of their sizes */
  files: readonly { path: string; bytes: number }[];
  totalBytes: number;
}
