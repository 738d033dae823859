/** An engine whose answers are given, in the shapes' own view of one: what a client makes of them is known exactly. */
import { AnswerQueue, type BatchOptions, type GenerateOptions } from '../../engine/answer';
import type { AnswerPart, GenerateResult, ParsedCall, TokenLogprob } from '../../protocol';
import type { AskedEngine, Input } from '../openai/answers';

/** An answer: its parts, and what else is said of it; or what it fails with, behind its parts. */
export interface Scripted {
  parts: readonly AnswerPart[];
  result?: Partial<Pick<GenerateResult, 'finish' | 'note'>> & { promptTokens?: number; reusedTokens?: number };
  error?: Error;
  /** after its parts it goes on, without a word, until it is stopped */
  endless?: boolean;
}

/** What was asked, and the answers that were made. */
export interface Asking {
  input: Input;
  options: BatchOptions;
  answer: AnswerQueue;
}

const turn = () => new Promise((resolve) => setTimeout(resolve));

function resultOf(
  parts: readonly AnswerPart[],
  { promptTokens = 7, reusedTokens = 3, ...more }: Scripted['result'] = {},
) {
  const of = (wanted: AnswerPart['type']) => parts.flatMap(({ type, text }) => (type === wanted ? text : [])).join('');
  const toolCalls = parts.flatMap(({ call }): ParsedCall[] => (call?.whole ? [call.whole] : []));
  const result: Partial<GenerateResult> = {
    text: of('text'),
    reasoning: of('reasoning'),
    toolCalls,
    raw: '',
    ids: [],
    finish: toolCalls.length > 0 ? 'tool-calls' : 'stop',
    note: null,
    stats: {
      promptTokens,
      reusedTokens,
      newTokens: parts.length,
      droppedTokens: 0,
      ttftMs: 1,
      prefillTps: 1,
      decodeTps: 1,
    },
    ...more,
  };
  return result as GenerateResult;
}

/** Answers these in order, the last one again and again. A token is a word. */
export function scriptedEngine(...script: Scripted[]): { engine: AskedEngine; asked: Asking[] } {
  const asked: Asking[] = [];
  const ask = (input: Input, options: GenerateOptions = {}) => {
    const { parts, result, error, endless } = script[Math.min(asked.length, script.length - 1)];
    const stopping = new AbortController();
    options.signal?.addEventListener('abort', () => stopping.abort());
    const start = async (
      push: ConstructorParameters<typeof AnswerQueue>[0] extends (push: infer P) => unknown ? P : never,
    ) => {
      const said: AnswerPart[] = [];
      for (const part of parts) {
        await turn();
        if (stopping.signal.aborted) break;
        said.push(part);
        push(part.type, part.text, { call: part.call, logprobs: part.logprobs });
      }
      if (error) throw error;
      while (endless && !stopping.signal.aborted) await turn();
      return resultOf(said, stopping.signal.aborted ? { ...result, finish: 'aborted' } : result);
    };
    const answer = new AnswerQueue(start, stopping, () => 0);
    asked.push({ input, options, answer });
    return answer;
  };
  const words = (text: string) => text.split(' ');
  const engine = {
    chat: ask,
    generate: ask,
    batch: (inputs: readonly Input[], options: BatchOptions) =>
      inputs.flatMap((input) => Array.from({ length: options.n ?? 1 }, () => ask(input, options))),
    info: async () => ({ name: 'scripted' }),
    tokenize: async (text: string) => words(text).map((_, place) => place),
    detokenize: async (ids: readonly number[]) => ids.map((id) => ` w${id}`).join(''),
    embed: async (texts: readonly string[], { dimensions = 3 }: { dimensions?: number } = {}) => ({
      embeddings: texts.map((text) => Float32Array.from({ length: dimensions }, (_, i) => text.length + i / 3)),
      ids: [],
      dimensions,
      tokens: texts.reduce((sum, text) => sum + words(text).length, 0),
    }),
    score: async (texts: readonly (readonly number[])[]) =>
      texts.map((ids) => ({ ids: [...ids], logProbs: Float64Array.from(ids.slice(1), (id) => -id), sum: 0 })),
  };
  return { engine: engine as unknown as AskedEngine, asked };
}

export const text = (text: string, logprobs?: TokenLogprob[]): AnswerPart => ({
  type: 'text',
  text,
  ...(logprobs && { logprobs }),
});

export const thought = (text: string): AnswerPart => ({ type: 'reasoning', text });

/** The parts of a call whose arguments come in these pieces. */
export function call(
  index: number,
  name: string,
  pieces: readonly string[],
  whole?: Partial<ParsedCall>,
): AnswerPart[] {
  const id = `call-${index}`;
  const written = pieces.join('');
  const parsed = { id, name, arguments: written ? JSON.parse(written) : {}, text: written, ...whole };
  const part = (text: string): AnswerPart => ({ type: 'tool-call', text, call: { index, id, name } });
  return [part(''), ...pieces.map(part), { ...part(''), call: { index, id, name, whole: parsed } }];
}
