/** OpenAI's own client over an engine whose answers are given. */
import OpenAI from 'openai';
import type { TokenLogprob } from '../../protocol';
import { createFetch, type FetchOptions } from '../openai';
import { type Scripted, scriptedEngine, text } from './scripted-engine';

export const MESSAGES = [{ role: 'user' as const, content: 'Hi?' }];
export const ASKED = { model: 'scripted', messages: MESSAGES };
export const HELLO: Scripted = { parts: [text('Hel'), text('lo!')] };

/** Of an answer of two tokens. */
export const USAGE = {
  prompt_tokens: 7,
  completion_tokens: 2,
  total_tokens: 9,
  prompt_tokens_details: { cached_tokens: 3 },
  completion_tokens_details: { reasoning_tokens: 0 },
};

/** @returns also the responses that the client was given, copied: a client that waits for their end waits for ever */
export function open(script: Scripted | Scripted[], options?: FetchOptions) {
  const { engine, asked } = scriptedEngine(...[script].flat());
  const responses: Response[] = [];
  const fetch = createFetch(engine, options);
  const noting: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    responses.push(response.clone());
    return response;
  };
  const client = new OpenAI({ fetch: noting, apiKey: 'none', baseURL: 'http://nowhere.invalid/some/prefix/v1' });
  return { client, asked, responses, fetch };
}

export const token = (text: string, logprob: number, top: [string, number][] = []): TokenLogprob => {
  const one = (text: string, logprob: number) => ({
    id: 0,
    text,
    bytes: [...new TextEncoder().encode(text)],
    logprob,
  });
  return { ...one(text, logprob), top: top.map(([text, logprob]) => one(text, logprob)) };
};

export async function listed<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of stream) all.push(one);
  return all;
}
