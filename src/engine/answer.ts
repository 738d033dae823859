/** An answer under way: its text as it comes, and its result at the end. */
import { NibbleError } from '../errors';
import type {
  AnswerPart,
  AnswerSource,
  FunctionTool,
  GenerateResult,
  MessageInput,
  Prefill,
  SamplingOptions,
  TokenLogprob,
  TokenMessage,
  ToolDefinition,
  ToolOptions,
} from '../protocol';

/**
 * A tool that a model may call. With `run`, chat() makes the calls by itself; without, the answer ends with its calls.
 */
export interface Tool extends ToolDefinition {
  /**
   * Makes a call, in the page. What it returns is told to the model: a text as it stands, all else as JSON; of what it
   * throws, the message.
   * @param args - the arguments, as the model wrote them: they are not checked against `parameters`
   * @param context - `signal` fires when the answer is stopped: what comes after that is not waited for
   */
  run?(args: Record<string, unknown>, context: { signal: AbortSignal }): unknown;
}

/**
 * Whether tools are called. 'auto' (default): as the model likes. 'none': it is not told of them. 'required': the
 * answer is a call; `{ name }`: of that tool. The last two bind the first step only, where chat() makes the calls.
 */
export type ToolChoice = 'auto' | 'none' | 'required' | { name: string };

/** Tools of one answer. */
export interface CallOptions extends Omit<ToolOptions, 'tools'> {
  /**
   * Tools that the model may call, by unlike names. Where they have functions (`run`), chat() makes the calls, tells
   * the model what came of them, and goes on until it answers. Default: none.
   */
  tools?: readonly (Tool | FunctionTool)[];
  /** Whether, and which, tools are called. Default: 'auto'. */
  toolChoice?: ToolChoice;
  /**
   * How many answers with calls are followed by another, where chat() makes the calls, at most. In the generic form the
   * last one is a text; in others its calls, if it makes some, are left to the caller: `finish: 'tool-calls'`.
   * Default: 8.
   */
  maxToolSteps?: number;
}

/** Options of one answer. */
export interface GenerateOptions extends SamplingOptions, CallOptions {
  /** Stops the answer when it fires: its result has `finish: 'aborted'` and what there is. */
  signal?: AbortSignal;
  /**
   * Told how many tokens of the prompt have been read, of those that are not in the cache: at the start and as it goes.
   */
  onPrefill?: (prefill: Prefill) => void;
  /**
   * Ids of an answer that was stopped, or ended at its length: they are told again at once, then it goes on, as if it
   * had never ended. They count in `maxNewTokens`.
   */
  made?: readonly number[];
}

/** One of several that are asked together: messages as for chat(), or a text or token ids as for generate(). */
export type BatchInput = string | readonly number[] | readonly MessageInput[];

/** Options of answers that are computed together. */
export interface BatchOptions extends Omit<GenerateOptions, 'made'> {
  /** Answers of each input. They differ where they are drawn: with a `seed`, each next one has the next. Default: 1. */
  n?: number;
  /** How many are computed at once, at most, 1 to 16; the others wait in their order. Default: 4. */
  parallel?: number;
}

/**
 * An answer under way. Iterate it for the text, in pieces, or iterate `parts`; await `result` for ids, statistics and
 * memory. Either alone will do. Leaving the loop stops the answer. It is iterated once: a second loop throws
 * invalid-option.
 */
export interface Answer extends AsyncIterable<string> {
  /**
   * The whole, when it is complete. Rejects with invalid-option, context-overflow, out-of-memory, device-lost,
   * worker-failed or disposed; where a server answers, with unsupported-remote or network. A server's answer that broke
   * in the middle is the `cause` of its error, as far as it came.
   */
  readonly result: Promise<GenerateResult>;
  /**
   * What was thought before the answer, calls of tools, and the answer, as they come; iterated in the place of the
   * answer itself.
   */
  readonly parts: AsyncIterable<AnswerPart>;
  /**
   * The answer's JSON as far as it has come, for answers under a `schema`: each piece that says more gives a value of
   * what there is, the last of them the whole. Iterated in the place of the answer itself. Of an answer that was cut it
   * ends with the part that there is.
   */
  readonly objects: AsyncIterable<unknown>;
  /**
   * The answer's JSON, when it is complete.
   * @throws what `result` throws; invalid-option where the answer is no whole JSON, as one that its limit has cut
   */
  object<T = unknown>(): Promise<T>;
  /** The whole text, when it is complete; without what was thought. @throws what `result` throws */
  text(): Promise<string>;
  /** Who answers: null until the first piece has come where load() was given `remote`, and either may. */
  readonly source: AnswerSource | null;
  /** Ends the answer with what there is: its result's `finish` is 'aborted'. */
  stop(): void;
  /** Whether it was stopped: by stop(), its signal, or who left the loop. It may still be on the way to its end. */
  readonly stopped: boolean;
}

export type PieceType = NonNullable<TokenMessage['type']> | 'text';

/** Takes pieces of an answer. @param more what was written, where that is not the text, and which call it is of */
export type Push = (type: PieceType, text: string, more?: Pick<TokenMessage, 'raw' | 'call' | 'logprobs'>) => void;

/** A queue between the port that brings pieces and the loop that takes them. */
export class AnswerQueue implements Answer {
  readonly result: Promise<GenerateResult>;
  readonly parts: AsyncIterable<AnswerPart> = { [Symbol.asyncIterator]: () => this.#once() };
  readonly objects: AsyncIterable<unknown> = { [Symbol.asyncIterator]: () => objectsOf(this.#once()) };
  #pieces: AnswerPart[] = [];
  #received = 0;
  #wake: () => void = () => {};
  #done = false;
  #taken = false;

  /**
   * @param start begins the answer; its promise may settle before the last pieces have come through the port
   * @param stopping aborted when the loop is left early
   * @param expected how many characters the pieces of an answer have, as they were written
   * @param source who answers, where it is known by now
   */
  constructor(
    start: (push: Push) => Promise<GenerateResult>,
    readonly stopping: AbortController,
    expected = ({ raw }: GenerateResult): number => raw.length,
    public source: AnswerSource | null = 'device',
  ) {
    // of tokens that have completed no piece yet
    let told: TokenLogprob[] = [];
    const push: Push = (type, text, { raw = text, call, logprobs = [] } = {}) => {
      this.#received += raw.length;
      told.push(...logprobs);
      if ((text || call) && type !== 'mark') {
        this.#pieces.push({ type, text, ...(call && { call }), ...(told.length > 0 && { logprobs: told }) });
        told = [];
      }
      this.#wake();
    };
    this.result = this.#finish(start(push), expected);
    // whoever only iterates learns of a failure there
    this.result.catch(() => {});
  }

  get stopped(): boolean {
    return this.stopping.signal.aborted;
  }

  stop(): void {
    this.stopping.abort();
  }

  async text(): Promise<string> {
    return (await this.result).text;
  }

  async object<T = unknown>(): Promise<T> {
    const { text, finish } = await this.result;
    try {
      return JSON.parse(text);
    } catch {
      throw new NibbleError('invalid-option', `The answer is no whole JSON: it ended with ${finish}.`, { finish });
    }
  }

  async #finish(
    outcome: Promise<GenerateResult>,
    expected: (result: GenerateResult) => number,
  ): Promise<GenerateResult> {
    try {
      const result = await outcome;
      while (this.#received < expected(result)) await this.#more();
      return { ...result, source: this.source! };
    } finally {
      this.#done = true;
      this.#wake();
    }
  }

  #more(): Promise<void> {
    const before = this.#wake;
    return new Promise((resolve) => {
      this.#wake = () => {
        before();
        resolve();
      };
    });
  }

  #once(): AsyncGenerator<AnswerPart> {
    if (this.#taken) {
      throw new NibbleError(
        'invalid-option',
        'This answer was iterated before: its pieces come once. Await text() or result for the whole.',
      );
    }
    this.#taken = true;
    return this.#iterate();
  }

  async *#iterate(): AsyncGenerator<AnswerPart> {
    let whole = false;
    try {
      for (;;) {
        while (this.#pieces.length > 0) yield this.#pieces.shift()!;
        if (this.#done) break;
        await this.#more();
      }
      whole = true;
      await this.result;
    } finally {
      // whoever leaves early has stopped it, also where its end is on the way
      if (!whole) this.stop();
    }
  }

  [Symbol.asyncIterator](): AsyncGenerator<string> {
    return texts(this.#once());
  }
}

async function* texts(parts: AsyncIterable<AnswerPart>): AsyncGenerator<string> {
  for await (const { type, text } of parts) if (type === 'text') yield text;
}

async function* objectsOf(parts: AsyncIterable<AnswerPart>): AsyncGenerator<unknown> {
  yield* (await import('./partial-json')).partialJson(parts);
}
