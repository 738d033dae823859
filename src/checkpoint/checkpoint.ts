/**
 * A checkpoint as the engine sees it: what it is (config, tokenizer files, tensors) and a way to read any rows of any
 * tensor. Opening one reads headers and small parts only. formats/ turns bytes into meaning; this file fixes the
 * interface between where bytes come from (source.ts), what they mean and who takes them (execute/).
 */
import type { EmbeddingModules } from '../formats/embedding-modules';
import type { JsonObject } from '../formats/json';
import type { RowSlice, TensorInfo } from '../formats/matrix';

export interface Checkpoint {
  /** what the person called it: a Hub id, URL, folder or file name */
  readonly name: string;
  readonly revision: string | null;
  /** Hugging Face's config.json, or its equivalent made from GGUF metadata */
  readonly config: JsonObject;
  readonly generationConfig: JsonObject | null;
  /** tokenizer.json and tokenizer_config.json, or their equivalent made from GGUF metadata; null when absent */
  readonly tokenizer: { json: JsonObject; config: JsonObject } | null;
  /** by Hugging Face name */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** tensors of number types that no weight has here: the type by name */
  readonly unread?: ReadonlyMap<string, string>;
  /** how its texts become vectors, where its files say so */
  readonly modules?: EmbeddingModules;
  /** what the person should know of it: whole sentences */
  readonly notes: readonly string[];
  /** the weight files, in the order that `tensors` lie in them */
  readonly files: readonly string[];
  /** bytes of all weight files (what is left to download at most) */
  readonly totalBytes: number;
  /**
   * Reads a tensor as row slices of at most `sliceBytes` (default 1 MiB) of stored bytes, in row order. Bytes that are
   * not stored yet are fetched, verified and stored on the way. At most three slices are in flight. A slice is lent, to
   * be looked at: until the next one is asked for, or no more are.
   * @throws NibbleError corrupt-checkpoint, integrity-mismatch, network, quota-exceeded, aborted
   */
  read(name: string, options?: { sliceBytes?: number; signal?: AbortSignal }): AsyncIterable<RowSlice>;
  close(): void;
}
