/**
 * Nibble's face in Node, Bun and Deno, under the same import as in a page: the models run in a thread. Names of models
 * are paths, too; what is fetched is kept in the cache folder (cache-folder.ts).
 */
import { runIn } from '../engine/environment';
import { NibbleError } from '../errors';
import { locate } from './locate';
import { createThread } from './thread';

runIn({
  createWorker: createThread,
  locate,
  workerAdvice:
    'Where a bundler packed nibble-llm into the program, leave it out (external), or name the file dist/node/worker.js as workerUrl.',
  again: 'Start the program again',
});

export * from '../index';

/** There is nothing to be dropped upon. @throws invalid-option */
export async function modelFromDrop(_drop: unknown): Promise<never> {
  const text = 'modelFromDrop() is for pages: here give load() the path of a folder or of a .gguf.';
  throw new NibbleError('invalid-option', text, { option: 'model' });
}
