/** Nibble's side of bench/in-page.ts: how its worker runs a prompt, and how it answers the page. */
import { reserveFor } from '../src/node/run-prompt';
import type { Model } from '../src/runtime/model';
import type { Run } from './in-page';

const GREEDY = { temperature: 0, topK: 0, topP: 1, seed: 0 };

export interface Job {
  prompt: number[];
  newTokens: number;
}

/** A prompt from position 0 and so many new tokens, greedily and past every stop, as `nibble bench` does it. */
export async function timedRun(model: Model, { prompt, newTokens }: Job): Promise<Run> {
  const { executor } = model;
  const cache = await reserveFor(model, prompt.length, newTokens);
  const start = performance.now();
  await executor.prefill(cache, prompt, 0);
  const ids: number[] = [];
  let first = 0;
  for await (const id of executor.decode(cache, prompt.length, newTokens, GREEDY)) {
    if (ids.push(id) > 1) continue;
    first = performance.now();
    postMessage({ event: 'firstToken' });
  }
  const end = performance.now();
  return { ids, prefill: (1000 * prompt.length) / (first - start), decode: (1000 * (newTokens - 1)) / (end - first) };
}

/** Answers what the page asks, by name. */
export function answerCalls(calls: Readonly<Record<string, (argument: never) => Promise<unknown>>>): void {
  addEventListener('message', async ({ data }: MessageEvent<{ call: string; argument: unknown }>) => {
    try {
      postMessage({ result: await calls[data.call](data.argument as never) });
    } catch (error) {
      postMessage({ error: error instanceof Error ? error.stack : String(error) });
    }
  });
}
