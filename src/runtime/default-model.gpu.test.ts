/** The model that is shipped, on WebGPU, against torch in float32. It fails, and does not pass, without an adapter. */
import { expect, it } from 'vitest';
import { sharedGpu as gpu } from '../gpu/test-device';
import { createFolderSource } from '../node/folder-source';
import { createSession } from './session';
import { answerOf } from './test/answer-of';
import { DEFAULT_MODEL, expectedPrompts, TOLERANCE } from './test/default-model';
import { difference, sureSteps } from './test/prompts';

it('has the logits and the ids of torch', async () => {
  const session = createSession({
    gpu,
    openSource: () => createFolderSource(DEFAULT_MODEL),
    openStore: async () => ({ store: null, reason: '' }),
  });
  const options = { backend: 'webgpu', kv: 'f32' } as const;
  const info = await session.load(
    { id: 1, source: { kind: 'files', name: '', files: [] }, options },
    { postMessage: () => {} },
  );
  expect(info).toMatchObject({ backend: 'webgpu', adapter: {} });
  const [prompt] = expectedPrompts('default');
  expect(sureSteps(prompt, TOLERANCE.f32)).toBeGreaterThanOrEqual(2);
  const { logits, ids } = await answerOf(session.model(), prompt.ids, 2);
  expect(difference(logits, prompt)).toBeLessThan(TOLERANCE.f32);
  expect(ids).toEqual(prompt.greedy.slice(0, 2));
  await session.dispose();
});
