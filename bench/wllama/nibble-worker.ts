/** Nibble in a worker, on the CPU: the session of src/worker with the GGUF that wllama reads, too. */

import { tokenizerOf } from '../../src/runtime/prompt';
import { createSession, type Session } from '../../src/runtime/session';
import { createFileSource } from '../../src/sources/file-source';
import { pageThreads } from '../../src/worker/compute-threads';
import { answerCalls, type Job, timedRun } from '../in-worker';

let session: Session;

async function load({ model, threads }: { model: string; threads: number | 'auto' }) {
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
    {
      id: 1,
      source: { kind: 'files', name: 'model', files: [] },
      options: { backend: 'cpu', threads, storage: 'none' },
    },
    { postMessage: () => {} },
  );
  return { name: info.name, way: info.variants.cpu, weights: info.weightTypes, kv: info.options.kv };
}

/**
 * So many ids of the beginning of a longer text, and what text they are. As llama.cpp takes a text, they begin with the
 * token that the model has before every one, if it has.
 */
async function prompt({ text, tokens }: { text: string; tokens: number }) {
  const tokenizer = tokenizerOf(session.model());
  const encode = (of: string) => tokenizer.encode(of, { special: false, bos: true });
  const ids = encode(text).slice(0, tokens);
  const beginning = tokenizer.decode(ids, { skipSpecial: true });
  if (ids.length < tokens || encode(beginning).join() !== ids.join())
    throw new Error(`The text's first ${tokens} tokens are not what its beginning alone has: choose another number.`);
  return { ids, text: beginning };
}

answerCalls({
  load,
  prompt,
  run: (job: Job) => timedRun(session.model(), job),
  text: (ids: number[]) => session.detokenize(ids),
});
