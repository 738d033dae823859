/** Nibble in a worker: the session of src/worker with a random NF4 model, measured as `nibble bench` does. */
import { createRandomSource } from '../../src/node/random-source';
import { reserveFor } from '../../src/node/run-prompt';
import type { TokenMessage } from '../../src/protocol';
import { createSession, type Session } from '../../src/runtime/session';
import type { Geometry } from './geometries';

const GREEDY = { temperature: 0, topK: 0, topP: 1, seed: 0 };
let session: Session;
let requests = 0;

async function load({ geometry, tune }: { geometry: Geometry; tune: string }) {
  session = createSession({
    gpu: navigator.gpu,
    openSource: () => createRandomSource(geometry),
    openStore: async () => ({ store: null, reason: 'A benchmark keeps nothing.' }),
  });
  const info = await session.load(
    {
      id: ++requests,
      source: { kind: 'files', name: 'random', files: [] },
      options: { backend: 'webgpu', tune, storage: 'none' },
    },
    { postMessage: () => {} },
  );
  return { adapter: info.adapter, variants: info.variants, backend: info.backend, weights: info.weightTypes };
}

/** What an application gets from the same weights. */
async function generate({ prompt, newTokens }: { prompt: number[]; newTokens: number }) {
  const options = { temperature: 0, maxNewTokens: newTokens, ignoreEos: true };
  const { ids } = await session.generate(
    { id: ++requests, input: { ids: prompt }, options },
    { postMessage: (_: TokenMessage) => {} },
  );
  return { ids };
}

async function run({ prompt, newTokens }: { prompt: number[]; newTokens: number }) {
  const model = session.model();
  const { executor } = model;
  const cache = await reserveFor(model, prompt.length, newTokens);
  const start = performance.now();
  await executor.prefill(cache, prompt, 0);
  const ids: number[] = [];
  let first = 0;
  for await (const id of executor.decode(cache, prompt.length, newTokens, GREEDY)) {
    if (ids.push(id) === 1) first = performance.now();
  }
  const end = performance.now();
  return { ids, prefill: (1000 * prompt.length) / (first - start), decode: (1000 * (newTokens - 1)) / (end - first) };
}

const calls: Record<string, (argument: never) => Promise<unknown>> = { load, generate, run };

addEventListener('message', async ({ data: { call, argument } }: MessageEvent<{ call: string; argument: unknown }>) => {
  try {
    postMessage({ result: await calls[call](argument as never) });
  } catch (error) {
    postMessage({ error: error instanceof Error ? error.stack : String(error) });
  }
});
