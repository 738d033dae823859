/** Nibble in a worker, on the CPU: the session of src/worker with the GGUF that wllama reads, too. */

import { createSession, type Session } from '../../src/runtime/session';
import { createFileSource } from '../../src/sources/file-source';
import { pageThreads } from '../../src/worker/compute-threads';
import { answerCalls, type Job, timedRun } from '../in-worker';

let session: Session;

async function load({ model }: { model: string }) {
  const response = await fetch(model);
  if (!response.ok) throw new Error(`${model}: ${response.status}`);
  const file = new File([await response.blob()], 'model.gguf');
  session = createSession({
    gpu: null,
    threads: pageThreads(),
    openSource: () => createFileSource('model', [{ path: file.name, file }]),
    openStore: async () => ({ store: null, reason: 'A benchmark keeps nothing.' }),
  });
  const info = await session.load(
    { id: 1, source: { kind: 'files', name: 'model', files: [] }, options: { backend: 'cpu', storage: 'none' } },
    { postMessage: () => {} },
  );
  return { name: info.name, way: info.variants.cpu, weights: info.weightTypes, kv: info.options.kv };
}

/** The text of so many tokens from the beginning of a longer one, and their ids. */
async function prompt({ text, tokens }: { text: string; tokens: number }) {
  const ids = (await session.tokenize(text, false)).slice(0, tokens);
  const prompt = await session.detokenize(ids);
  const again = await session.tokenize(prompt, false);
  if (ids.length < tokens || again.join() !== ids.join())
    throw new Error(`The text's first ${tokens} tokens are not what its beginning alone has: choose another number.`);
  return { ids, text: prompt };
}

answerCalls({
  load,
  prompt,
  run: (job: Job) => timedRun(session.model(), job),
  text: (ids: number[]) => session.detokenize(ids),
});
