/** For tests of both backends: requests that are answered together say what each says alone. */
import { expect, it } from 'vitest';
import type { EngineOptions, GenerateRequest, GenerateResult, SamplingOptions, TokenMessage } from '../../protocol';
import { createSession, type Session } from '../session';
import { fixture, host, load } from './tiny';

let id = 1000;

const said = (n: number, seed: number) => Array.from({ length: n }, (_, i) => (i * 37 + seed + i * i * 3) % 107);

interface Asked {
  input: GenerateRequest['input'];
  options: SamplingOptions;
}

const SCHEMA = {
  type: 'object',
  properties: { name: { type: 'string', maxLength: 8 }, kind: { enum: ['human', 'robot'] } },
  required: ['name', 'kind'],
};

/** Of every kind that ends, reads or draws otherwise. */
export const EVERY_KIND: readonly Asked[] = [
  { input: { ids: said(5, 1) }, options: { temperature: 0, maxNewTokens: 20, ignoreEos: true } },
  { input: { prompt: 'A person:' }, options: { schema: SCHEMA, temperature: 1, seed: 3, maxNewTokens: 60 } },
  { input: { ids: said(40, 2) }, options: { temperature: 1, topK: 20, seed: 5, maxNewTokens: 30, logprobs: 2 } },
  { input: { prompt: 'Once upon a time' }, options: { temperature: 1.3, seed: 8, maxNewTokens: 24, stop: ['a', 'e'] } },
  { input: { ids: said(3, 4) }, options: { temperature: 0, maxNewTokens: 1 } },
  {
    input: { ids: said(61, 6) },
    options: { temperature: 0.9, seed: 2, repetitionPenalty: 1.3, noRepeatNgram: 3, maxNewTokens: 16, ignoreEos: true },
  },
  { input: { ids: [...said(40, 2), 7] }, options: { speculate: 'prompt', temperature: 0, maxNewTokens: 12 } },
  { input: { prompt: 'One:' }, options: { choice: ['yes', 'no', 'perhaps'], temperature: 1, seed: 1 } },
];

export interface Answered {
  result: GenerateResult;
  messages: TokenMessage[];
}

/** @param together how many at once; absent: alone */
export function ask(session: Session, { input, options }: Asked, together?: number, own = ++id) {
  const messages: TokenMessage[] = [];
  const port = { postMessage: (message: TokenMessage) => void messages.push(message) };
  // alone in a conversation of its own
  const conversation = together ? undefined : own;
  return session
    .generate({ id: own, input, options, together, conversation }, port)
    .then((result): Answered => ({ result, messages }));
}

export async function opened(options: EngineOptions, folder?: string, gpu: GPU | null = null): Promise<Session> {
  const session = createSession(host({ gpu, ...(folder ? { files: fixture(folder) } : {}) }));
  await load(session, options);
  return session;
}

const heard = ({ result: { ids, text, finish, logprobs }, messages }: Answered) => ({
  ids,
  text,
  finish,
  told: logprobs?.map(({ id, top = [] }) => [id, ...top.map((one) => one.id)]),
  streamed: messages.flatMap((message) => message.ids),
});

/** @param options that the model is loaded with @param at how many at a time */
export function everyKind(options: EngineOptions, at: readonly number[], gpu: GPU | null = null): void {
  it.each(at)('%i at a time, of every kind, say what each says alone', async (most) => {
    const session = await opened(options, undefined, gpu);
    const alone: Answered[] = [];
    for (const one of EVERY_KIND) alone.push(await ask(session, one));
    const before = await session.memory();
    const all = await Promise.all(EVERY_KIND.map((one) => ask(session, one, most)));
    expect(all.map(heard)).toEqual(alone.map(heard));
    // what they took beside their caches is gone
    const { scratch } = await session.memory();
    expect(scratch).toBe(before.scratch);
    await session.dispose();
  });
}
