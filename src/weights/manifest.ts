/**
 * manifest.json of a model folder: every file with its size and the SHA-256 of each of its chunks. With it a load needs
 * no request to learn sizes, and a changed byte is found before it is used.
 */
import { CHUNK_BYTES } from './chunk-store';

export interface Manifest {
  revision: string | null;
  files: Record<string, { bytes: number; chunks: string[] }>;
}

const isHex = (digest: unknown) => typeof digest === 'string' && /^[0-9a-f]{64}$/.test(digest);

/** @returns null when the bytes are some other manifest.json, or one that contradicts itself */
export function parseManifest(bytes: Uint8Array): Manifest | null {
  try {
    const { format, chunkBytes, files, revision } = JSON.parse(new TextDecoder().decode(bytes));
    if (format !== 'nibble-manifest-1' || chunkBytes !== CHUNK_BYTES) return null;
    const manifest: Manifest = { revision: revision ?? null, files: {} };
    for (const { path, bytes, chunks } of files) {
      if (chunks.length !== Math.ceil(bytes / CHUNK_BYTES) || !chunks.every(isHex)) return null;
      manifest.files[path] = { bytes, chunks };
    }
    return manifest;
  } catch {
    return null;
  }
}
