/** Nibble in a worker: the session of src/worker with a random NF4 model, measured as `nibble bench` does. */
import { createRandomSource } from '../../src/node/random-source';
import type { TokenMessage } from '../../src/protocol';
import { createSession, type Session } from '../../src/runtime/session';
import { pageThreads } from '../../src/worker/compute-threads';
import { answerCalls, type Job, timedRun } from '../in-worker';
import type { Geometry } from './geometries';

let session: Session;
/** of the GPU; '' on the CPU */
let adapter = '';
let requests = 0;

interface Asked {
  geometry: Geometry;
  backend: 'webgpu' | 'cpu';
  threads: number;
  tune: string;
}

async function load({ geometry, backend, threads, tune }: Asked) {
  session = createSession({
    gpu: backend === 'cpu' ? null : navigator.gpu,
    threads: pageThreads(),
    openSource: () => createRandomSource(geometry),
    openStore: async () => ({ store: null, reason: 'A benchmark keeps nothing.' }),
  });
  const info = await session.load(
    {
      id: ++requests,
      source: { kind: 'files', name: 'random', files: [] },
      options: { backend, threads, tune, storage: 'none' },
    },
    { postMessage: () => {} },
  );
  adapter = info.adapter ? info.adapter.description || info.adapter.architecture : '';
}

/** What an application gets from the same weights, and what computed it: threads have started by then. */
async function generate({ prompt, newTokens }: Job) {
  const options = { temperature: 0, maxNewTokens: newTokens, ignoreEos: true };
  const { ids } = await session.generate(
    { id: ++requests, input: { ids: prompt }, options },
    { postMessage: (_: TokenMessage) => {} },
  );
  const { cpu, shapes } = session.model().executor.stats().variants;
  return { ids, device: adapter ? `${adapter}, shapes ${shapes}` : cpu };
}

answerCalls({ load, generate, run: (job: Job) => timedRun(session.model(), job) });
