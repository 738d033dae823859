/**
 * Where a checkpoint's bytes come from: a random-access reader over named files. Http, File, memory, a Node folder
 * and the IndexedDB-backed store are all Sources; stores wrap another Source.
 */
export interface Source {
  readonly name: string;
  readonly revision: string | null;
  /** Path of the one .gguf file that this source is about; absent for a folder in Hugging Face layout. */
  readonly gguf?: string;
  /** Size of a file in bytes, or null when it is not there. */
  size(path: string, signal?: AbortSignal): Promise<number | null>;
  /**
   * Bytes [start, end) of a file, never fewer. The array starts at a 4-byte aligned offset of its own buffer.
   * @throws NibbleError network (status, url), corrupt-checkpoint (file shorter than asked), aborted
   */
  read(path: string, start: number, end: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
  close?(): void;
}

/** What crosses to the worker instead of a Source, which is not cloneable. */
export type SourceDescription =
  | { kind: 'http'; base: string /* folder URL, with trailing slash, or the URL of a .gguf */ }
  | { kind: 'hub'; id: string; revision?: string; token?: string; file?: string /* a .gguf in it */ }
  | { kind: 'files'; name: string; files: File[] };
