/** Answers under way: how many are asked for, their pieces as they come, and what they took. */
import type {
  Answer,
  AnswerPart,
  Engine,
  GenerateOptions,
  GenerateResult,
  MessageInput,
  TokenLogprob,
} from '../../index';

/** What of an engine answers requests. */
export type AskedEngine = Pick<
  Engine,
  'chat' | 'generate' | 'batch' | 'embed' | 'score' | 'info' | 'tokenize' | 'detokenize'
>;

/** Messages, a text to be continued, or its ids. */
export type Input = readonly MessageInput[] | string | readonly number[];

const isMessages = (input: Input): input is readonly MessageInput[] =>
  typeof input !== 'string' && typeof input[0] === 'object';

/**
 * So many answers to each input, those to the first one first.
 * @param parallel see FetchOptions; one answer that need not be beside others has the cache of engine.chat()
 */
export function answersTo(
  { engine, parallel }: { engine: AskedEngine; parallel?: number },
  inputs: readonly Input[],
  count: number,
  options: GenerateOptions,
): Answer[] {
  const [input, ...others] = inputs;
  if (parallel !== undefined || count > 1 || others.length > 0) {
    return engine.batch(inputs, { ...options, n: count, parallel });
  }
  return [isMessages(input) ? engine.chat(input, options) : engine.generate(input, options)];
}

/** What comes of one of several answers: a part, and behind all of its parts the result. */
export type Piece = { index: number } & (
  | { part: AnswerPart; result?: undefined }
  | { part?: undefined; result: GenerateResult }
);

/**
 * The pieces of several answers as they come. Leaving the loop stops them all.
 * @param oneCall each ends with its first call of a tool
 * @throws what the first answer that fails throws
 */
export async function* piecesOf(answers: readonly Answer[], oneCall = false): AsyncGenerator<Piece, void> {
  const queue: Piece[] = [];
  let open = answers.length;
  let failed: { error: unknown } | null = null;
  let wake = () => {};
  const take = async (answer: Answer, index: number) => {
    try {
      let cut = false;
      for await (const part of answer.parts) {
        queue.push({ index, part });
        wake();
        cut = oneCall && part.call?.whole !== undefined;
        if (cut) break;
      }
      const result = await answer.result;
      queue.push({ index, result: cut ? { ...result, finish: 'tool-calls' } : result });
    } catch (error) {
      failed ??= { error };
    }
    open--;
    wake();
  };
  for (const [index, answer] of answers.entries()) void take(answer, index);
  try {
    while (open > 0 || queue.length > 0 || failed) {
      while (queue.length > 0) yield queue.shift()!;
      if (failed) throw (failed as { error: unknown }).error;
      if (open > 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    for (const answer of answers) answer.stop();
  }
}

/** A call of a tool, with its arguments' JSON as far as it has come. */
export interface SaidCall {
  id: string;
  name: string;
  arguments: string;
}

/** What has been said of one answer. */
export class Said {
  text = '';
  reasoning = '';
  readonly calls: SaidCall[] = [];
  readonly logprobs: TokenLogprob[] = [];

  /**
   * @returns what the part adds to the text of its kind; to a call's arguments also where they come in one piece, or
   * cannot be read: then they are what the model wrote
   */
  take({ type, text, call, logprobs = [] }: AnswerPart): string {
    if (type === 'reasoning') this.reasoning += text;
    if (type === 'text') {
      this.text += text;
      this.logprobs.push(...logprobs);
    }
    if (!call) return text;
    this.calls[call.index] ??= { id: call.id, name: call.name, arguments: '' };
    const own = this.calls[call.index];
    const { whole } = call;
    const untold = whole && own.arguments + text === '';
    const added = untold ? (whole.arguments === null ? whole.text : JSON.stringify(whole.arguments)) : text;
    own.arguments += added;
    return added;
  }
}

/** Tokens that answers took. */
export interface Taken {
  prompt: number;
  /** of the prompt, those that were not computed again */
  cached: number;
  answer: number;
  /** of the answer */
  reasoning: number;
}

/**
 * @param results of as many answers to each prompt as `count` says; a prompt counts once
 * @returns `reasoning`: what was thought, tokenized anew
 */
export async function takenBy(
  engine: Pick<AskedEngine, 'tokenize'>,
  results: readonly GenerateResult[],
  count = 1,
): Promise<Taken> {
  const taken: Taken = { prompt: 0, cached: 0, answer: 0, reasoning: 0 };
  for (const [i, { stats, reasoning }] of results.entries()) {
    taken.answer += stats.newTokens;
    if (reasoning) taken.reasoning += (await engine.tokenize(reasoning)).length;
    if (i % count !== 0) continue;
    taken.prompt += stats.promptTokens;
    taken.cached += stats.reusedTokens;
  }
  return taken;
}
