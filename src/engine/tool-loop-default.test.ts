/** The loop of tools on the default model, which knows none: the generic form, held to by its grammar. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { DEFAULT_MODEL } from '../runtime/test/default-model';
import { load } from '.';
import { sessionWorkers } from './test/session-worker';

const here = existsSync(`${DEFAULT_MODEL}/model.safetensors`) || existsSync(`${DEFAULT_MODEL}/tokenizer.json`);
if (!here) console.log(`The default model is not in ${DEFAULT_MODEL}: no loop of tools on it.`);

it.runIf(here)('two tools, the first step forced, end in an answer', { timeout: 120_000 }, async () => {
  const files = readdirSync(DEFAULT_MODEL).map((name) => new File([readFileSync(`${DEFAULT_MODEL}/${name}`)], name));
  const engine = await load(files, { createWorker: sessionWorkers() });
  const made: unknown[] = [];
  const answer = engine.chat([{ role: 'user', content: 'What is the weather in Bern?' }], {
    tools: [
      {
        name: 'weather',
        description: 'The weather of a town',
        parameters: { type: 'object', properties: { town: { enum: ['Bern', 'Oslo'] } }, required: ['town'] },
        run: (given) => {
          made.push(['weather', given]);
          return { sky: 'sunny', celsius: 21 };
        },
      },
      {
        name: 'add',
        description: 'Adds two numbers',
        parameters: {
          type: 'object',
          properties: { a: { type: 'number' }, b: { type: 'number' } },
          required: ['a', 'b'],
        },
        run: ({ a, b }) => {
          made.push(['add', { a, b }]);
          return Number(a) + Number(b);
        },
      },
    ],
    toolChoice: { name: 'weather' },
    maxToolSteps: 1,
    maxNewTokens: 40,
  });
  const { finish, text, messages, note } = await answer.result;
  expect(made[0]).toEqual(['weather', { town: 'Bern' }]);
  expect(finish).toBe('stop');
  expect(text).not.toBe('');
  expect(messages?.map(({ role }) => role)).toEqual(['assistant', 'tool']);
  expect(note).toContain('knows no tools');
  engine.dispose();
});
