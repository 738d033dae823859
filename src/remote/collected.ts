/** An answer out of a server's chunks: pieces for who reads along, and the result at the end. */
import type { Push } from '../engine/answer';
import { NO_MEMORY } from '../engine/no-memory';
import { isObject } from '../options/spec';
import type { FinishReason, GenerateResult, TokenAlternative, TokenLogprob } from '../protocol';
import { Calls } from './calls';

type Given = Record<string, unknown>;

const objectOf = (value: unknown): Given => (isObject(value) ? value : {});
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
const countOf = (value: unknown): number => (typeof value === 'number' && value >= 0 ? value : 0);
const encoder = new TextEncoder();

function alternative({ token, logprob, bytes }: Given): TokenAlternative {
  const text = textOf(token);
  const own = Array.isArray(bytes) ? (bytes as number[]) : [...encoder.encode(text)];
  return { id: -1, text, bytes: own, logprob: typeof logprob === 'number' ? logprob : Number.NEGATIVE_INFINITY };
}

/** Log-probabilities in either form: of /chat/completions, and of /completions. */
function logprobsOf(given: unknown): TokenLogprob[] {
  const { content, tokens, token_logprobs: values, top_logprobs: tops } = objectOf(given);
  if (Array.isArray(content)) {
    return content.map(objectOf).map((one) => ({
      ...alternative(one),
      top: Array.isArray(one.top_logprobs) ? one.top_logprobs.map((top) => alternative(objectOf(top))) : [],
    }));
  }
  if (!Array.isArray(tokens)) return [];
  const at = (list: unknown, place: number): unknown => (Array.isArray(list) ? list[place] : undefined);
  return tokens.map((token, place) => ({
    ...alternative({ token, logprob: at(values, place) }),
    top: Object.entries(objectOf(at(tops, place)))
      .map(([token, logprob]) => alternative({ token, logprob }))
      .sort((a, b) => b.logprob - a.logprob),
  }));
}

export class Collected {
  /** as the server says it; null: not yet */
  finish: string | null = null;
  readonly #push: Push;
  readonly #calls: Calls;
  readonly #asksLogprobs: boolean;
  readonly #askedAt = performance.now();
  #firstAt = 0;
  #lastAt = 0;
  #pieces = 0;
  #text = '';
  #reasoning = '';
  #logprobs: TokenLogprob[] = [];
  #usage: Given | null = null;

  /**
   * @param tools names of those that there are
   * @param asksLogprobs whether the result has some
   */
  constructor(push: Push, tools: ReadonlySet<string>, asksLogprobs: boolean) {
    this.#push = push;
    this.#calls = new Calls(push, tools);
    this.#asksLogprobs = asksLogprobs;
  }

  /** Characters that came. */
  get characters(): number {
    return this.#text.length + this.#reasoning.length;
  }

  /** @param chunk of a stream, or an answer as a whole: what is of no known form counts as nothing */
  take(chunk: unknown): void {
    const { choices, usage } = objectOf(chunk);
    if (isObject(usage)) this.#usage = usage;
    const choice = objectOf(Array.isArray(choices) ? choices.find((one) => !objectOf(one).index) : null);
    const { delta, message, text, finish_reason: finish, logprobs: told } = choice;
    const said = objectOf(delta ?? message ?? { content: text });
    const logprobs = this.#asksLogprobs ? logprobsOf(told) : [];
    this.#logprobs.push(...logprobs);
    const thought = textOf(said.reasoning_content) || textOf(said.reasoning);
    const piece = textOf(said.content);
    const calls = said.tool_calls;
    if (thought || piece || Array.isArray(calls)) {
      this.#lastAt = performance.now();
      this.#firstAt ||= this.#lastAt;
      this.#pieces++;
    }
    if (thought) {
      this.#reasoning += thought;
      this.#push('reasoning', thought, { logprobs: piece ? [] : logprobs });
    }
    if (piece) {
      this.#text += piece;
      this.#push('text', piece, { logprobs });
    }
    this.#calls.take(calls);
    if (typeof finish === 'string') this.finish = finish;
  }

  /**
   * @param finish - why it ended; as the server said, when absent
   * @param notes for the person
   */
  result(notes: readonly string[], finish?: FinishReason): GenerateResult {
    this.#calls.end();
    const toolCalls = this.#calls.whole;
    const said: FinishReason = this.finish === 'length' ? 'length' : toolCalls.length > 0 ? 'tool-calls' : 'stop';
    const usage = this.#usage ?? {};
    const all = [...notes];
    if (this.finish === 'content_filter') all.push('A filter of the server ended the answer.');
    if (!this.#usage && !finish) all.push('The server did not say how many tokens there were: its pieces are counted.');
    const newTokens = this.#usage ? countOf(usage.completion_tokens) : this.#pieces;
    const seconds = (this.#lastAt - this.#firstAt) / 1000;
    return {
      ids: [],
      text: this.#text,
      reasoning: this.#reasoning,
      toolCalls,
      raw: this.#reasoning + this.#text + toolCalls.map(({ text }) => text).join(''),
      ...(this.#asksLogprobs && { logprobs: this.#logprobs }),
      finish: finish ?? said,
      stats: {
        promptTokens: countOf(usage.prompt_tokens),
        reusedTokens: countOf(objectOf(usage.prompt_tokens_details).cached_tokens),
        droppedTokens: 0,
        newTokens,
        ttftMs: this.#firstAt && this.#firstAt - this.#askedAt,
        prefillTps: 0,
        decodeTps: seconds > 0 && newTokens > 1 ? (newTokens - 1) / seconds : 0,
      },
      memory: NO_MEMORY,
      note: all.join(' ') || null,
    };
  }
}
