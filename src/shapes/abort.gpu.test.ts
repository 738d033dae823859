/** Whoever stops an answer through a client of another shape stops the GPU: counted where WebGPU is called. */
import { Anthropic } from '@anthropic-ai/sdk';
import { streamText } from 'ai';
import { OpenAI } from 'openai';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { Engine } from '../engine';
import { sessionWorkers } from '../engine/test/session-worker';
import { sharedGpu } from '../gpu/test-device';
import { createNibble } from './ai-sdk';
import { createMessagesFetch } from './anthropic';
import { createFetch } from './openai';
import { createLanguageModel } from './prompt-api';
import { CHAT_MODEL, tinyEngine } from './test/tiny-engine';

let engine: Engine;
let submits = 0;
const { submit } = GPUQueue.prototype;
beforeAll(async () => {
  GPUQueue.prototype.submit = function (...given) {
    submits++;
    return submit.apply(this, given);
  };
  const createWorker = sessionWorkers(undefined, undefined, sharedGpu);
  engine = await tinyEngine(CHAT_MODEL, {}, { createWorker, backend: 'webgpu', tune: 'small' });
});
afterAll(() => {
  GPUQueue.prototype.submit = submit;
  engine.dispose();
});
beforeEach(() => {
  submits = 0;
});

const LONG = { maxNewTokens: 300, ignoreEos: true };

/** Stops what yields pieces after the third, and waits until the engine is free. @returns submits since then */
async function stopped(pieces: AsyncIterable<unknown>, stop: () => void): Promise<number> {
  let [count, before] = [0, 0];
  try {
    for await (const _ of pieces) {
      if (++count !== 3) continue;
      before = submits;
      stop();
    }
  } catch (error) {
    expect((error as Error).name).toMatch(/Abort/);
  }
  expect(count).toBeGreaterThanOrEqual(3);
  // nothing more comes, and the next request is answered
  let known = -1;
  while (known !== submits) {
    known = submits;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  const ended = submits - before;
  await engine.score([[1, 2]]);
  return ended;
}

const question = [{ role: 'user' as const, content: 'Hi' }];
const stopping = () => new AbortController();

it('OpenAI’s client', async () => {
  const client = new OpenAI({ fetch: createFetch(engine, { model: 'm' }), apiKey: 'none' });
  const asked = { model: 'm', messages: question, max_tokens: 300, stream: true, ignore_eos: true } as const;
  const stop = stopping();
  const stream = await client.chat.completions.create(asked, { signal: stop.signal });
  expect(await stopped(stream, () => stop.abort())).toBeLessThanOrEqual(1);
});

it('OpenAI’s client, beside another answer', async () => {
  const client = new OpenAI({ fetch: createFetch(engine, { model: 'm', parallel: 2 }), apiKey: 'none' });
  const asked = { model: 'm', messages: question, max_tokens: 300, stream: true, ignore_eos: true } as const;
  const stop = stopping();
  const streams = [1, 2].map(() => client.chat.completions.create(asked, { signal: stop.signal }));
  const [one, other] = await Promise.all(streams);
  const rest = (async () => {
    for await (const _ of other);
  })().catch(() => {});
  expect(await stopped(one, () => stop.abort())).toBeLessThanOrEqual(1);
  await rest;
});

it('Anthropic’s client', async () => {
  const fetch = createMessagesFetch(engine, { model: 'm' });
  const client = new Anthropic({ fetch, apiKey: 'none' });
  const stop = stopping();
  const asked = { model: 'm', messages: question, max_tokens: 300, stream: true, ignore_eos: true } as const;
  const stream = await client.messages.create(asked, { signal: stop.signal });
  expect(await stopped(stream, () => stop.abort())).toBeLessThanOrEqual(1);
});

it('the AI SDK', async () => {
  const stop = stopping();
  const { stream } = streamText({
    model: createNibble({ engine })(),
    prompt: 'Hi',
    maxOutputTokens: 300,
    providerOptions: { nibble: { ignoreEos: true } },
    abortSignal: stop.signal,
  });
  const pieces = (async function* () {
    for await (const part of stream) if (part.type === 'text-delta') yield part;
  })();
  expect(await stopped(pieces, () => stop.abort())).toBeLessThanOrEqual(1);
});

it('the Prompt API', async () => {
  const session = await createLanguageModel(engine, LONG).create();
  const stop = stopping();
  const stream = session.promptStreaming('Hi', { signal: stop.signal });
  expect(await stopped(stream, () => stop.abort())).toBeLessThanOrEqual(1);
});
