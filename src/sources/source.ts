import type { NibbleError } from '../errors';
import type { Lent } from './lent';
import type { FileVersion } from './versions';

/**
 * Where a checkpoint's bytes come from: a random-access reader over named files. Http, File, memory, a Node folder
 * and the IndexedDB-backed store are all Sources; stores wrap another Source.
 */
export interface Source {
  readonly name: string;
  /** what was asked for: of a Hub repository its branch, tag or commit */
  readonly revision: string | null;
  /**
   * Path of the .gguf that this source is about, of several files the first; absent for a folder in Hugging Face
   * layout.
   */
  readonly gguf?: string;
  /** Everything at once, where the place can tell: then nothing is there but what is listed. */
  list?(signal?: AbortSignal): Promise<Listing>;
  /** The names of all files, where the place can tell; asked where one is missing. */
  names?(): Promise<readonly string[]>;
  /** Size of a file in bytes, or null when it is not there. */
  size(path: string, signal?: AbortSignal): Promise<number | null>;
  /**
   * Bytes [start, end) of a file, never fewer. The array is the whole of its buffer, and the caller's: the stored
   * source empties it when it is done with it.
   * @param keepPart told, before a read fails, of the bytes from `start` on that did come
   * @param onPart told, where bytes come piece by piece, how many of them have come so far
   * @throws NibbleError network (status, url), corrupt-checkpoint (file shorter than asked), aborted
   */
  read(
    path: string,
    start: number,
    end: number,
    signal?: AbortSignal,
    keepPart?: (bytes: Uint8Array<ArrayBuffer>) => void,
    onPart?: (bytes: number) => void,
  ): Promise<Uint8Array<ArrayBuffer>>;
  /** As read(), of bytes that are only looked at, and soon given back. Absent: they have to be read. */
  lend?(path: string, start: number, end: number, signal?: AbortSignal): Promise<Lent>;
  /**
   * As read(), of a small part of a file that lies apart from what is read before and after it. Absent: read() is as
   * good for those.
   */
  readPart?(path: string, start: number, end: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Of a place whose files may change meanwhile: of what version they are, by path. Answers about a file that stands
   * here are compared with it, or put here what they say (null). One about another version is not read:
   * `integrity-mismatch` with `reason: 'changed'`.
   */
  readonly versions?: Map<string, FileVersion | null>;
  /** Asks about a file once more, so that its version is compared. @throws integrity-mismatch, network, aborted */
  confirm?(path: string, signal?: AbortSignal): Promise<void>;
  /** What the place said where size() is null; absent for what nobody asked for, or where there is nothing to say. */
  refusal?(path: string): NibbleError | undefined;
  /** The place gives a file from beginning to end only (HTTP without ranges): known once some of it has been read. */
  inOrder?(path: string): boolean;
  close?(): void | Promise<void>;
}

/** The files of a place and what their author says of them. */
export interface Listing {
  /** the commit that `revision` meant */
  revision: string;
  /** digest: SHA-256 (64 hex digits), or git's SHA-1 object name (40) */
  files: Record<string, { bytes: number; digest: string | null }>;
}

/** A file by its path in the model's folder. */
export interface NamedFile {
  /** Path in the model's folder, parted by /. */
  path: string;
  /** Its bytes. */
  file: File;
}

/** What crosses to the worker instead of a Source, which is not cloneable. */
export type SourceDescription =
  | { kind: 'http'; base: string /* folder URL, with trailing slash, or the URL of a .gguf, or of one of its parts */ }
  | {
      kind: 'hub';
      id: string;
      revision?: string;
      token?: string;
      /** a .gguf in it, or one of its parts */
      file?: string;
      /** origin of the Hub; huggingface.co when absent */
      hub?: string;
    }
  | {
      kind: 'files';
      name: string;
      files: NamedFile[];
      /** in Node: of a folder or a .gguf on disk, which is read in the place of `files` */
      path?: string;
    };
