/** What a session needs of Node: files on disk, models over HTTP, the cache folder, the machine. */
import { availableParallelism, totalmem } from 'node:os';
import type { Threads } from '../execute/cpu/team';
import type { Host } from '../runtime/host';
import { openSource } from '../runtime/open-source';
import type { Source, SourceDescription } from '../sources/source';
import { lockBy } from '../store/locks';
import { cacheFolder } from './cache-folder';
import { startNodeThread } from './compute-threads';
import { createFileLocks } from './file-locks';
import { openFileStore } from './file-store';
import { createFolderSource } from './folder-source';

/** Its processors, and how threads are made for them. */
export const THREADS: Threads = { count: availableParallelism(), start: startNodeThread };

/** What is known of this machine. */
export const MACHINE = { memory: totalmem(), userAgent: '' };

export async function openAnySource(
  description: SourceDescription,
  onBytes: (path: string, bytes: number) => void = () => {},
  onNote?: (note: string) => void,
): Promise<Source> {
  const path = description.kind === 'files' ? description.path : undefined;
  return path === undefined ? openSource(description, onBytes, onNote) : createFolderSource(path);
}

/** whose locks are in effect */
let locked = '';

/** Lets the cache folder's locks stand in for Web Locks. */
function lockByFiles(folder: string): void {
  if (folder !== locked) lockBy(createFileLocks(folder));
  locked = folder;
}

/** @param gpu Dawn's, or null */
export function nodeHost(gpu: GPU | null): Host {
  lockByFiles(cacheFolder());
  return {
    gpu,
    machine: MACHINE,
    threads: THREADS,
    openSource: openAnySource,
    openStore: () => openFileStore(),
    marks: false,
  };
}
