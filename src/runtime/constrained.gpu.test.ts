/** Answers under a constraint on WebGPU: masks beside the GPU's pass, forced text read as a prompt is. */
import { beforeAll, expect, it } from 'vitest';
import { sharedGpu as gpu } from '../gpu/test-device';
import { createSession } from './session';
import { ask, host, load, SMALL } from './test/tiny';

const SCHEMA = {
  type: 'object',
  properties: {
    name: { type: 'string', maxLength: 12 },
    age: { type: 'integer', minimum: 0, maximum: 130 },
    kind: { enum: ['human', 'robot'] },
  },
  required: ['name', 'age', 'kind'],
};

const [onGpu, onCpu] = [createSession(host({ gpu })), createSession(host())];
beforeAll(async () => {
  await load(onGpu, { ...SMALL, kv: 'f32' });
  await load(onCpu, { kv: 'f32' });
});

it.each([
  [{ schema: SCHEMA }],
  [{ schema: SCHEMA, forced: false }],
  [{ schema: SCHEMA, speculate: 'prompt' as const }],
  [{ grammar: 'root ::= ("ab" [c-f]{1,3} ", ")+ "end"' }],
])('gives the ids that the CPU gives: %o', async (options) => {
  let [same, all] = [0, 0];
  for (const seed of [1, 2, 3]) {
    const [one, other] = await Promise.all(
      [onGpu, onCpu].map((session) =>
        ask(session, { prompt: 'A person:' }, { temperature: 0.5, seed, maxNewTokens: 60, ...options }),
      ),
    );
    expect(one.result.finish).toBe('stop');
    all++;
    if (one.result.ids.join() === other.result.ids.join()) same++;
    if ('schema' in options) JSON.parse(one.result.text);
  }
  // a draw may lie within the rounding of a pass
  expect(same).toBeGreaterThanOrEqual(all - 1);
});
