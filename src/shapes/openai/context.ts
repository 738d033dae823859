/** What every route is given, and what it gives back. */
import type { CompletionUsage } from 'openai/resources/completions';
import type { GenerateResult } from '../../index';
import type { AskedEngine, Taken } from './answers';

/** One request under way. */
export interface Context {
  engine: AskedEngine;
  /** how many answers are computed at once */
  parallel?: number;
  /** what the model is called */
  model: string;
  /** when it was asked, in seconds since 1970 */
  created: number;
  /** fires when nobody waits for the answer any more */
  signal: AbortSignal;
}

/** JSON, or the events of a stream as they are sent. */
export type Reply = object | AsyncGenerator<string, void>;

/** A name that nothing else has. */
export function newId(prefix: string): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return prefix + Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** An event without a name. */
export const event = (data: object): string => `data: ${JSON.stringify(data)}\n\n`;

/** What ends a stream of /chat/completions and /completions. */
export const DONE = 'data: [DONE]\n\n';

export const usage = ({ prompt, cached, answer, reasoning }: Taken): CompletionUsage => ({
  prompt_tokens: prompt,
  completion_tokens: answer,
  total_tokens: prompt + answer,
  prompt_tokens_details: { cached_tokens: cached },
  completion_tokens_details: { reasoning_tokens: reasoning },
});

/** What the engine notes about answers, for the person, in a field that OpenAI does not have; {} for nothing. */
export function noted(results: readonly GenerateResult[]): { nibble_note?: string } {
  const notes = new Set(results.flatMap(({ note }) => note ?? []));
  return notes.size > 0 ? { nibble_note: [...notes].join(' ') } : {};
}
