/**
 * A session of the Prompt API: messages, and a conversation of the engine's whose cache serves them. What is asked
 * waits for what was asked before; what was stopped is not kept; the oldest turns go where there is no room.
 */
import type { Conversation, Engine, GenerateOptions, GenerateResult, MessageInput } from '../index';
import type { PromptCallOptions, PromptInput, PromptSamplingMode, PromptSession } from './prompt-api-types';
import { asException, exception, quotaExceeded } from './prompt-errors';
import { type Checked, checkInput, constraintOf, inTurns, lateSystem, withSentence } from './prompt-messages';

/** Tokens that an answer may have where nobody says; the engine's own default where these do not fit. */
const ANSWER = 1024;
const SHORT_ANSWER = 256;

/** What the model's own sampling options turned out to be; shared by all sessions. */
export interface OwnSampling {
  topK: number;
  temperature: number;
}

/** What a session is made of. */
export interface SessionParts {
  engine: Engine;
  /** the conversation's options, the answers' among them */
  options: GenerateOptions;
  mode: PromptSamplingMode | null;
  own: OwnSampling;
  window: number;
  /** known to create() alone: nobody else makes sessions */
  making: symbol;
}

/** Ends when the signal fires, or by itself. */
interface Work<T> {
  run(signal: AbortSignal): Promise<T>;
}

const OVERFLOW = ['contextoverflow', 'quotaoverflow'] as const;

export class Session extends EventTarget implements PromptSession {
  oncontextoverflow: PromptSession['oncontextoverflow'] = null;
  onquotaoverflow: PromptSession['onquotaoverflow'] = null;
  readonly #parts: SessionParts;
  readonly #talk: Conversation;
  /** never left out */
  #initial: MessageInput[];
  /** questions with their answers, and what was appended */
  #turns: MessageInput[][];
  #usage: number;
  /** the end of what was asked last; it does not fail */
  #last: Promise<unknown> = Promise.resolve();
  /** fires when the session is destroyed */
  readonly #ending = new AbortController();

  constructor(
    parts: SessionParts,
    talk?: Conversation,
    initial: MessageInput[] = [],
    turns: MessageInput[][] = [],
    usage = 0,
  ) {
    super();
    this.#parts = parts;
    this.#talk = talk ?? parts.engine.conversation(parts.options);
    this.#initial = initial;
    this.#turns = turns;
    this.#usage = usage;
    for (const type of OVERFLOW) this.addEventListener(type, (event) => this[`on${type}`]?.call(this, event));
  }

  /** Takes what was said before. @param signal destroys the session @throws as append() */
  async begin(initialPrompts: PromptInput, signal: AbortSignal | undefined): Promise<this> {
    const end = () => this.end(signal!.reason);
    if (signal?.aborted) end();
    signal?.addEventListener('abort', end, { once: true });
    try {
      const { messages } = checkInput(initialPrompts, true, false);
      await this.#queue(undefined, {
        run: async (signal) => {
          this.#initial = messages;
          this.#usage = await this.#count([]);
          const { window } = this.#parts;
          if (this.#usage >= window) {
            const message = `initialPrompts have ${this.#usage} tokens, and a session has ${window}. Shorten them.`;
            throw quotaExceeded(message, this.#usage, window);
          }
          await this.#readAhead(signal);
        },
      });
      return this;
    } catch (error) {
      this.destroy();
      throw error;
    }
  }

  async prompt(input: PromptInput, options: PromptCallOptions = {}): Promise<string> {
    return this.#ask(input, options, () => {});
  }

  promptStreaming(input: PromptInput, options: PromptCallOptions = {}): ReadableStream<string> {
    const leaving = new AbortController();
    const { signal } = options;
    const leave = () => leaving.abort(signal!.reason);
    if (signal?.aborted) leave();
    signal?.addEventListener('abort', leave, { once: true });
    return new ReadableStream<string>({
      start: (controller) => {
        const push = (text: string) => {
          if (!leaving.signal.aborted) controller.enqueue(text);
        };
        // not returned: the stream has begun before the answer has ended
        this.#ask(input, { ...options, signal: leaving.signal }, push)
          .then(
            () => controller.close(),
            (error) => controller.error(error),
          )
          .finally(() => signal?.removeEventListener('abort', leave));
      },
      cancel: () => leaving.abort(),
    });
  }

  async append(input: PromptInput, options: { signal?: AbortSignal } = {}): Promise<undefined> {
    const early = checkInput(input, this.#mayBeFirst(), false);
    await this.#queue(options.signal, {
      run: async (signal) => {
        const { system, rest } = this.#split(early);
        await this.#makeRoom([...system, ...rest], false, 0);
        const before = [this.#initial, this.#turns] as const;
        this.#initial = [...this.#initial, ...system];
        this.#turns = [...this.#turns, rest];
        try {
          await this.#readAhead(signal);
          this.#usage = await this.#count([]);
          signal.throwIfAborted();
        } catch (error) {
          [this.#initial, this.#turns] = before;
          throw error;
        }
      },
    });
  }

  async measureContextUsage(input: PromptInput, options: PromptCallOptions = {}): Promise<number> {
    this.#checkThere(options.signal);
    const { messages, prefix } = checkInput(input, this.#mayBeFirst());
    const asked = withSentence(messages, constraintOf(options)?.sentence ?? '');
    try {
      const [before, after] = await Promise.all([this.#count([]), this.#count(asked, prefix)]);
      options.signal?.throwIfAborted();
      return Math.max(0, after - before);
    } catch (error) {
      throw asException(error);
    }
  }

  async clone({ signal }: { signal?: AbortSignal } = {}): Promise<PromptSession> {
    this.#checkThere(signal);
    const make = this.constructor as new (...given: ConstructorParameters<typeof Session>) => Session;
    return new make(this.#parts, this.#talk.clone(), [...this.#initial], [...this.#turns], this.#usage);
  }

  destroy(): undefined {
    this.end(exception('AbortError', 'The session was destroyed.'));
  }

  /** @param reason what calls under way are rejected with */
  protected end(reason: unknown): void {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort(reason);
    // nothing is to be freed where the engine is gone
    void this.#talk.dispose().catch(() => {});
  }

  get contextUsage(): number {
    return this.#usage;
  }

  get contextWindow(): number {
    return this.#parts.window;
  }

  get samplingMode(): PromptSamplingMode | null {
    return this.#parts.mode;
  }

  get topK(): number {
    return this.#parts.options.topK ?? this.#parts.own.topK;
  }

  get temperature(): number {
    return this.#parts.options.temperature ?? this.#parts.own.temperature;
  }

  get inputUsage(): number {
    return this.#usage;
  }

  get inputQuota(): number {
    return this.#parts.window;
  }

  measureInputUsage(input: PromptInput, options?: PromptCallOptions): Promise<number> {
    return this.measureContextUsage(input, options);
  }

  /** Whether nothing was said: what comes first may be the system's. */
  #mayBeFirst(): boolean {
    return this.#initial.length === 0 && this.#turns.length === 0;
  }

  #checkThere(signal: AbortSignal | undefined): void {
    if (this.#ending.signal.aborted) throw exception('InvalidStateError', 'The session was destroyed.');
    signal?.throwIfAborted();
  }

  /** Does work when all that was asked before is done; rejects as soon as one of the signals fires. */
  #queue<T>(signal: AbortSignal | undefined, work: Work<T>): Promise<T> {
    this.#checkThere(signal);
    const stopping = new AbortController();
    const signals = [this.#ending.signal, ...(signal ? [signal] : [])];
    const stops = signals.map((one) => () => stopping.abort(one.reason));
    for (const [i, one] of signals.entries()) one.addEventListener('abort', stops[i], { once: true });
    const stopped = new Promise<never>((_, reject) => {
      stopping.signal.addEventListener('abort', () => reject(stopping.signal.reason));
    });
    const done = this.#last.then(async () => {
      stopping.signal.throwIfAborted();
      try {
        return await work.run(stopping.signal);
      } catch (error) {
        stopping.signal.throwIfAborted();
        throw asException(error);
      }
    });
    this.#last = done.catch(() => {});
    return Promise.race([done, stopped]).finally(() => {
      for (const [i, one] of signals.entries()) one.removeEventListener('abort', stops[i]);
    });
  }

  /** The system's message apart: it stays where others go. */
  #split({ messages }: Checked): { system: MessageInput[]; rest: MessageInput[] } {
    const [first, ...others] = messages;
    // of several that were asked at once
    if (first?.role === 'system' && !this.#mayBeFirst()) throw lateSystem();
    return first?.role === 'system' ? { system: [first], rest: others } : { system: [], rest: messages };
  }

  async #ask(input: PromptInput, options: PromptCallOptions, push: (text: string) => void): Promise<string> {
    const constraint = constraintOf(options);
    const checked = checkInput(input, this.#mayBeFirst());
    return this.#queue(options.signal, {
      run: async (signal) => {
        const { prefix } = checked;
        const { system, rest } = this.#split(checked);
        const asked = withSentence(rest, constraint?.sentence ?? '');
        const room = await this.#makeRoom(
          [...system, ...asked],
          prefix,
          Math.min(SHORT_ANSWER, this.contextWindow >> 2),
        );
        const answer = this.#talk.chat(this.#all([...system, ...asked]), {
          ...constraint?.options,
          ...(prefix && { continueFinalMessage: true }),
          maxNewTokens: await this.#answerTokens(room),
          signal,
        });
        for await (const { type, text } of answer.parts) if (type === 'text') push(text);
        const result = await answer.result;
        signal.throwIfAborted();
        if (constraint && result.finish !== 'stop') {
          const message = `The answer was cut before it was as responseConstraint says: ${result.text.slice(0, 100)}`;
          throw exception('SyntaxError', message);
        }
        this.#initial = [...this.#initial, ...system];
        this.#turns = [...this.#turns, kept(asked, prefix, result)];
        this.#learn(result);
        this.#usage = await this.#count([]);
        return result.text;
      },
    });
  }

  /** An answer tells what the model does where nothing is said. */
  #learn({ options }: GenerateResult): void {
    const { mode, own } = this.#parts;
    if (options && mode === 'balanced') Object.assign(own, { topK: options.topK, temperature: options.temperature });
  }

  #all(more: readonly MessageInput[], turns = this.#turns): MessageInput[] {
    return inTurns([...this.#initial, ...turns.flat(), ...more]);
  }

  /** Tokens of the conversation with these messages; 0 where nothing is said. */
  async #count(more: readonly MessageInput[], prefix = false, turns = this.#turns): Promise<number> {
    const messages = this.#all(more, turns);
    if (messages.length === 0) return 0;
    // templates there are that refuse a conversation without a question
    if (!messages.some(({ role }) => role === 'user')) messages.push({ role: 'user', content: '' });
    const how = prefix ? { continueFinalMessage: true } : { addGenerationPrompt: more.length > 0 };
    return this.#talk.countTokens(messages, how);
  }

  /**
   * Leaves out the oldest turns until there is room.
   * @param wanted tokens that an answer should have, if anything can be left out for them
   * @returns tokens that an answer may have
   */
  async #makeRoom(more: readonly MessageInput[], prefix: boolean, wanted: number): Promise<number> {
    const { window } = this.#parts;
    let turns = this.#turns;
    let room = window - (await this.#count(more, prefix, turns));
    while (room < Math.max(wanted, 1) && turns.length > 0) {
      turns = turns.slice(1);
      room = window - (await this.#count(more, prefix, turns));
    }
    if (room < 1) {
      const alone = window - room - (await this.#count([], false, []));
      const quota = window - this.#usage;
      throw quotaExceeded(`The prompt has ${alone} tokens, and there is room for ${quota}. Shorten it.`, alone, quota);
    }
    if (turns.length < this.#turns.length) {
      this.#turns = turns;
      for (const type of OVERFLOW) this.dispatchEvent(new Event(type));
    }
    return room;
  }

  /** As many as there is room for in the context, and within the memory budget. */
  async #answerTokens(room: number): Promise<number> {
    const { options, window } = this.#parts;
    if (options.maxNewTokens) return Math.min(options.maxNewTokens, room);
    // what tools say takes room, too
    const most = Math.min(ANSWER, options.tools?.length ? Math.ceil(room / 2) : room);
    if (most <= SHORT_ANSWER) return most;
    const { fits } = await this.#talk.plan({ promptTokens: window - room, maxNewTokens: most });
    return fits ? most : SHORT_ANSWER;
  }

  /** Has a question read that will be followed by others. */
  async #readAhead(signal: AbortSignal): Promise<void> {
    const messages = this.#all([]);
    if (messages.at(-1)?.role !== 'user') return;
    await this.#talk.chat(messages, { maxNewTokens: 1, signal }).result;
    signal.throwIfAborted();
  }
}

/** A turn that was answered; what was thought is not kept. */
function kept(
  asked: readonly MessageInput[],
  prefix: boolean,
  { text, messages = [] }: GenerateResult,
): MessageInput[] {
  const begun = prefix ? asked.at(-1)!.content : '';
  const before = prefix ? asked.slice(0, -1) : asked;
  return [...before, ...messages, { role: 'assistant', content: begun + text }];
}
