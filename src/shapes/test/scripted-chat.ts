/** An engine whose answers are written beforehand, piece by piece. */
import { AnswerQueue } from '../../engine/answer';
import type { AnswerPart, Engine, GenerateOptions, GenerateResult, MessageInput } from '../../index';

export interface Script {
  parts?: readonly AnswerPart[];
  result?: Partial<GenerateResult>;
  error?: Error;
  /** it goes on with this piece until it is stopped */
  endless?: string;
}

export interface Asked {
  messages: readonly MessageInput[];
  options: GenerateOptions;
}

const STATS = {
  promptTokens: 10,
  reusedTokens: 4,
  droppedTokens: 0,
  newTokens: 3,
  ttftMs: 1,
  prefillTps: 1,
  decodeTps: 1,
};

const joined = (parts: readonly AnswerPart[], type: AnswerPart['type']) =>
  parts.flatMap((part) => (part.type === type ? [part.text] : [])).join('');

/** @param scripts one an answer; the last one again for those after it */
export function scriptedEngine(...scripts: Script[]) {
  const asked: Asked[] = [];
  const ended: string[] = [];
  function chat(messages: readonly MessageInput[], options: GenerateOptions = {}) {
    asked.push({ messages: structuredClone(messages), options });
    const { parts = [], result, error, endless } = scripts[Math.min(asked.length, scripts.length) - 1];
    const stopping = new AbortController();
    const stop = () => stopping.abort();
    options.signal?.addEventListener('abort', stop);
    return new AnswerQueue(
      async (push) => {
        for (const { type, text, call } of parts) push(type, text, { call });
        while (endless && !stopping.signal.aborted) {
          push('text', endless);
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
        ended.push(stopping.signal.aborted ? 'aborted' : 'whole');
        if (error) throw error;
        const calls = parts.flatMap(({ call }) => (call?.whole ? [call.whole] : []));
        const finish = stopping.signal.aborted ? 'aborted' : calls.length > 0 ? 'tool-calls' : 'stop';
        const text = joined(parts, 'text');
        const reasoning = joined(parts, 'reasoning');
        const whole = {
          ids: [1, 2, 3],
          text,
          reasoning,
          toolCalls: calls,
          raw: text,
          finish,
          stats: STATS,
          note: null,
        };
        return { ...whole, ...result } as GenerateResult;
      },
      stopping,
      () => 0,
    );
  }
  const engine = { chat, info: async () => ({ name: 'scripted' }) } as unknown as Engine;
  return { engine, asked, ended };
}
