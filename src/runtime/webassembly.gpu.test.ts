/** WebAssembly is for the CPU: where a GPU answers, it is never compiled. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { countCompilations } from '../execute/test/count-compilations';
import { sharedGpu as gpu } from '../gpu/test-device';
import { createSession } from './session';
import { ask, chats, host, load, SMALL } from './test/tiny';

let compilations: ReturnType<typeof countCompilations>;
beforeEach(() => {
  compilations = countCompilations();
});
afterEach(() => compilations.restore());

it('a model that loads, answers and goes on the GPU compiles no WebAssembly', async () => {
  const session = createSession(host({ gpu }));
  const { info } = await load(session, SMALL);
  expect(info.backend).toBe('webgpu');
  expect(info.variants.cpu).toBeUndefined();
  await ask(session, { messages: chats[0].messages }, { maxNewTokens: 4 });
  await session.dispose();
  expect(compilations.count).toBe(0);
});

it('and the counter counts', async () => {
  new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]));
  await WebAssembly.compile(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]));
  expect(compilations.count).toBe(2);
});
