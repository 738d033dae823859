import { expect, test } from 'vitest';
import { NibbleError } from '../../errors';
import type { ChatSession } from '../conversation/session';
import { report } from './diagnostics';
import { lastErrors, noteError } from './error-log';
import { isSafari } from './storage-facts';

const SECRET = 'hunter2';

test('a report names versions, device and errors, and nothing that a person said, typed or named', () => {
  noteError(new NibbleError('out-of-memory', `No room for ${SECRET}.`, { enough: 12, model: SECRET }), 0);
  const info = {
    name: `${SECRET}/model`,
    family: 'llama',
    parameters: 1,
    contextLength: 2048,
    source: 'device',
    backend: 'webgpu',
    adapter: { vendor: 'v', architecture: 'a', device: 'd', description: 'x', isFallback: true },
    options: { kv: 'f16', maxContext: 512, keep: [SECRET], chatTemplate: SECRET, tune: SECRET, memoryBudget: null },
    variants: { attention: 'tiles' },
    tuning: { how: 'timed', ms: 5, rejected: { tiles: SECRET } },
    weightTypes: { q4: { count: 1, bytes: 2 } },
    lora: [{ name: SECRET }],
    deviceEstimate: { bytes: 7, reason: SECRET },
    sourceReason: SECRET,
  };
  const session = {
    info,
    memory: { total: 99 },
    phase: 'ready',
    settings: { temperature: 0.5, thinking: true, system: SECRET },
    result: { finish: 'stop', stats: { tokens: 3 }, text: SECRET, ids: [1] },
  } as unknown as ChatSession;
  const around = { userAgent: 'UA', platform: {}, gpu: null, storage: { usage: 5 } };
  const text = report(session, around, 'SmolLM2', '1.2.3');
  expect(text).not.toContain(SECRET);
  const told = JSON.parse(text);
  expect(told).toMatchObject({
    nibble: '1.2.3',
    userAgent: 'UA',
    model: { name: '(not told)', backend: 'webgpu', options: { kv: 'f16', maxContext: 512 }, adapters: 1 },
    memory: { total: 99 },
    settings: { temperature: 0.5, thinking: true, system: true },
    lastErrors: [{ at: '1970-01-01T00:00:00.000Z', code: 'out-of-memory', numbers: { enough: 12 } }],
  });
  expect(JSON.parse(report(session, around, info.name, '1')).model.name).toBe(info.name);
});

test('the last ten errors are known, not more', () => {
  for (let number = 0; number < 12; number++) noteError({ code: 'aborted', details: { number } });
  expect(lastErrors().map(({ numbers }) => numbers.number)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
});

const MAC = 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)';

test.each([
  [`${MAC} Version/18.1 Safari/605.1.15`, true],
  ['Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36', false],
  ['Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Firefox/140.0', false],
  [
    'Mozilla/5.0 (Linux; Android 4.4) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/33 Safari/537.36',
    false,
  ],
])('%s: is it Safari?', (userAgent, expected) => expect(isSafari(userAgent)).toBe(expected));
