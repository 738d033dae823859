/**
 * manifest.json of a model folder: every file with its size and the SHA-256 of each of its chunks. With it a load needs
 * no request to learn sizes, and a changed byte is found before it is used.
 */
import { parseObject } from '../formats/json';
import { limitOf, readSmall } from '../formats/small-files';
import type { Listing, Source } from '../sources/source';
import { CHUNK_BYTES } from './chunk-store';

export interface Manifest {
  revision: string | null;
  files: Record<string, { bytes: number; chunks: string[] }>;
}

const PATH = 'manifest.json';
const MAX_FILES = 10_000;

const isHex = (digest: unknown) => typeof digest === 'string' && /^[0-9a-f]{64}$/.test(digest);
/**
 * Of a file in the folder: nothing that climbs out of it, names another host, or means something else on some system.
 */
const isInside = (path: unknown): path is string =>
  typeof path === 'string' && path.length <= 500 && /^[^\\:\0]+$/.test(path) && path.split('/').every(isName);
const isName = (name: string) => !['', '.', '..', '__proto__'].includes(name);
const isBytes = (bytes: unknown): bytes is number => Number.isSafeInteger(bytes) && (bytes as number) >= 0;

/** @returns null when the bytes are some other manifest.json, or one that contradicts itself */
export function parseManifest(bytes: Uint8Array): Manifest | null {
  if (bytes.length > limitOf(PATH)!) return null;
  try {
    const { format, chunkBytes, files, revision = null } = parseObject(bytes, PATH);
    if (format !== 'nibble-manifest-1' || chunkBytes !== CHUNK_BYTES) return null;
    if (revision !== null && !(typeof revision === 'string' && revision.length <= 200)) return null;
    const listed = files as { path: unknown; bytes: unknown; chunks: unknown }[];
    if (!Array.isArray(listed) || listed.length > MAX_FILES) return null;
    const manifest: Manifest = { revision, files: Object.create(null) };
    for (const { path, bytes, chunks } of listed) {
      if (!isInside(path) || !isBytes(bytes) || path in manifest.files || !Array.isArray(chunks)) return null;
      if (chunks.length !== Math.ceil(bytes / CHUNK_BYTES) || !chunks.every(isHex)) return null;
      manifest.files[path] = { bytes, chunks };
    }
    return manifest;
  } catch {
    return null;
  }
}

/** The folder's own manifest.json, where there is one. @throws network; corrupt-checkpoint when it is too large */
export async function readManifest(
  inner: Source,
  listing: Listing | null,
  signal?: AbortSignal,
): Promise<Manifest | null> {
  const bytes = await readSmall(
    PATH,
    (path, start, end) => inner.read(path, start, end, signal),
    async (path) => (listing ? (listing.files[path]?.bytes ?? null) : inner.size(path, signal)),
  );
  return bytes && parseManifest(bytes);
}
