/** The remote engine against our own OpenAI shape and `nibble serve`, over the real session: the same texts come. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Engine, load } from '../engine';
import { sessionWorkers } from '../engine/test/session-worker';
import { createGuard } from '../node/serve/guard';
import { type Server, startServer } from '../node/serve/server';
import { createMessagesFetch } from '../shapes/anthropic';
import { createFetch } from '../shapes/openai';
import { connect } from '.';

const FOLDER = 'reference/fixtures/tiny-llama-128/nf4/';
const NAMES = ['config.json', 'generation_config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];
const CHAT = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'Grüße 🌍?' },
] as const;
const GREEDY = { temperature: 0, maxNewTokens: 12 };

let here: Engine;
let server: Server;
/** by how it is reached */
const remotes: Record<string, Engine> = {};
beforeAll(async () => {
  here = await load(
    NAMES.map((name) => new File([readFileSync(FOLDER + name)], name)),
    { createWorker: sessionWorkers(), kv: 'f32', activations: 'f32' },
  );
  const fetch = createFetch(here, { model: 'tiny' }) as typeof globalThis.fetch;
  remotes['a fetch'] = connect('http://nowhere/v1', { model: 'tiny', fetch });
  const guard = createGuard([], [], 'secret');
  server = await startServer({ address: '127.0.0.1', port: 0, guard, parallel: 4, maxBody: 1 << 20 });
  const names = { model: 'tiny', parallel: 4 };
  const shapes = { openai: createFetch(here, names), anthropic: createMessagesFetch(here, names) };
  server.ready({ shapes, memory: () => here.memory() });
  remotes['nibble serve'] = connect(server.url, { model: 'tiny', key: 'secret' });
});
afterAll(async () => {
  for (const engine of Object.values(remotes)) engine.dispose();
  await server.close();
  here.dispose();
});

it('nibble serve refuses a wrong key', async () => {
  const other = connect(server.url, { model: 'tiny', key: 'wrong' });
  await expect(other.chat(CHAT).result).rejects.toMatchObject({ code: 'network', details: { status: 401 } });
});

describe.each(['a fetch', 'nibble serve'])('locally and by %s', (how) => {
  let there: Engine;
  beforeAll(() => {
    there = remotes[how];
  });

  it.each([
    ['a chat', GREEDY],
    ['drawn with a seed', { ...GREEDY, temperature: 1, topP: 0.9, seed: 7 }],
    ['with penalties and a bias', { ...GREEDY, presencePenalty: 1, frequencyPenalty: 0.5, logitBias: { 5: -100 } }],
    [
      'with what other servers call otherwise',
      { ...GREEDY, temperature: 1, topK: 5, minP: 0.05, seed: 3, ignoreEos: true },
    ],
    [
      'with penalties of its own',
      { ...GREEDY, repetitionPenalty: 1.3, minTokens: 3, typicalP: 0.9, temperature: 1, seed: 1 },
    ],
    ['under a schema', { ...GREEDY, maxNewTokens: 60, schema: { enum: ['left', 'right'] } }],
  ])('%s', async (_, options) => {
    const [mine, theirs] = [await here.chat(CHAT, options).result, await there.chat(CHAT, options).result];
    expect([theirs.text, theirs.reasoning, theirs.finish]).toEqual([mine.text, mine.reasoning, mine.finish]);
    expect([theirs.stats.promptTokens, theirs.stats.newTokens]).toEqual([
      mine.stats.promptTokens,
      mine.stats.newTokens,
    ]);
    expect([mine.source, theirs.source, theirs.note]).toEqual(['device', 'server', mine.note]);
  });

  it('a text to go on with, a stop text, and log-probabilities', async () => {
    const mine = await here.generate('Once upon', { ...GREEDY, logprobs: 2 }).result;
    const theirs = await there.generate('Once upon', { ...GREEDY, logprobs: 2 }).result;
    expect([theirs.text, theirs.finish]).toEqual([mine.text, mine.finish]);
    const values = (of: typeof mine) => of.logprobs?.map(({ logprob }) => expect.closeTo(logprob, 5));
    expect(theirs.logprobs?.map(({ logprob }) => logprob)).toEqual(values(mine));
    const chatted = await there.chat(CHAT, { ...GREEDY, logprobs: 1 }).result;
    const own = await here.chat(CHAT, { ...GREEDY, logprobs: 1 }).result;
    expect(chatted.logprobs?.map(({ logprob }) => logprob)).toEqual(values(own));
    const stop = own.text.slice(2, 4);
    const [a, b] = [
      await here.chat(CHAT, { ...GREEDY, stop }).result,
      await there.chat(CHAT, { ...GREEDY, stop }).result,
    ];
    expect([b.text, b.finish]).toEqual([a.text, a.finish]);
  });

  it('calls of tools', async () => {
    const options = { maxNewTokens: 60, temperature: 0, toolChoice: 'required' as const };
    const tools = [
      { name: 'sky', parameters: { type: 'object', properties: { at: { enum: ['Bern'] } }, required: ['at'] } },
    ];
    const mine = await here.chat(CHAT, { ...options, tools }).result;
    const theirs = await there.chat(CHAT, { ...options, tools }).result;
    const said = ({ toolCalls }: typeof mine) => toolCalls.map(({ name, arguments: given }) => ({ name, given }));
    expect([said(theirs), theirs.finish]).toEqual([said(mine), mine.finish]);
    expect(theirs.toolCalls).toHaveLength(1);
  });

  it('the last message is continued', async () => {
    const begun = [...CHAT, { role: 'assistant' as const, content: 'Once' }];
    const options = { ...GREEDY, continueFinalMessage: true };
    const [mine, theirs] = [await here.chat(begun, options).result, await there.chat(begun, options).result];
    expect(theirs.text).toBe(mine.text);
    expect(theirs.stats.promptTokens).toBe(mine.stats.promptTokens);
  });

  it('a refusal keeps its code and its words', async () => {
    const long = [{ role: 'user' as const, content: 'word '.repeat(300) }];
    const failures = await Promise.all(
      [here, there].map((engine) => engine.chat(long, GREEDY).result.catch(({ code, message }) => ({ code, message }))),
    );
    expect(failures.map((one) => 'code' in one && one.code)).toEqual(['context-overflow', 'context-overflow']);
    const other = connect('http://nowhere/v1', {
      model: 'other',
      fetch: createFetch(here, { model: 'tiny' }) as never,
    });
    await expect(other.chat(CHAT).result).rejects.toMatchObject({ code: 'network', details: { status: 404 } });
  });

  it('what it is', async () => {
    expect(await there.info()).toMatchObject({ name: 'tiny', source: 'server' });
  });
});
