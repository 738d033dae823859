/** A real engine on a tiny fixture, with the real session on the CPU at the other end of a channel. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { load } from '../../engine';
import { sessionWorkers } from '../../engine/test/session-worker';
import type { Engine, LoadOptions } from '../../index';

export const CHAT_MODEL = 'reference/fixtures/tiny-llama-128/nf4';
export const EMBEDDER = 'reference/fixtures/embeddings/qwen3-embedding';

/** @param change puts other values into the model's config.json */
export function tinyEngine(folder = CHAT_MODEL, change: object = {}, options: LoadOptions = {}): Promise<Engine> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const files = entries.flatMap((entry) => {
    const path = relative(folder, join(entry.parentPath, entry.name));
    // what it lists would not be as it says
    if (path === 'manifest.json') return [];
    const bytes = readFileSync(join(folder, path));
    const data = path === 'config.json' ? JSON.stringify({ ...JSON.parse(bytes.toString()), ...change }) : bytes;
    return [{ path, file: new File([data], entry.name) }];
  });
  return load({ name: 'tiny', files }, { createWorker: sessionWorkers(), storage: 'none', ...options });
}
