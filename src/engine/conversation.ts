/** One conversation: a cache of its own on the device, and the messages, kept in step with the answers. */
import { NibbleError } from '../errors';
import { GENERATE_OPTIONS } from '../options/load';
import { checkOptions, over } from '../options/spec';
import type {
  GenerateResult,
  MessageInput,
  PlanInfo,
  PlanQuery,
  PromptOptions,
  SamplingOptions,
  SavedCache,
} from '../protocol';
import type { Answer, CallOptions, GenerateOptions } from './answer';
import { messagesOf, textOf } from './arguments';
import { disposable } from './disposable';

/** A request that is not counted yet: as PlanQuery, with messages in the place of `promptTokens`. */
export interface MessageQuery extends Omit<PlanQuery, 'promptTokens'>, PromptOptions {
  /** All messages of the request; they are counted as chat() would read them. */
  messages: readonly MessageInput[];
}

/** A request of one conversation, counted or not. */
export type ConversationQuery = Omit<PlanQuery, 'conversation'> | Omit<MessageQuery, 'conversation'>;

/** Options of applyChatTemplate(). `tokenize`: ids are wanted in the place of text (default: false). */
export type ChatTemplateOptions = PromptOptions & { tokenize?: boolean };

/** What a conversation needs of the engine. */
export interface Chats {
  /** @param messages made when the answer begins, which waits for them */
  chat(messages: () => readonly MessageInput[] | Promise<readonly MessageInput[]>, options?: GenerateOptions): Answer;
  plan(query: ConversationQuery): Promise<PlanInfo>;
  prompt(messages: readonly MessageInput[], options: PromptOptions): Promise<{ text: string; ids: number[] }>;
  /** Frees the cache. */
  close(): Promise<void>;
  save(name: string, signal?: AbortSignal): Promise<SavedCache>;
  restore(name: string): Promise<number | null>;
  /** The same for another conversation, which begins with a copy of this one's cache. */
  clone(): Chats;
  /** that it has in the worker */
  readonly number: number;
}

/**
 * How a conversation begins. Its sampling options, and its tools, are what every answer takes that is not told
 * otherwise.
 */
export interface ConversationOptions extends SamplingOptions, CallOptions {
  /** The system prompt: what the model is told first. Default: none. */
  system?: string;
  /** Positions that it may take, where that is less than the model was loaded for. */
  maxContext?: number;
  /** What was said before, e.g. before the page was loaded again; without the system message. Default: nothing. */
  messages?: readonly MessageInput[];
  /**
   * Name under which save() keeps the cache, unique in the page's origin. What is saved under it already serves the
   * first question; where it cannot be used, the answer's `note` says why, and all is computed again. Default: none.
   */
  saved?: string;
}

/** What an answer is kept as; null: it did not come to a word. @internal */
export function assistantMessage(result: Pick<GenerateResult, 'text' | 'reasoning' | 'toolCalls' | 'finish'>) {
  const { text, reasoning, toolCalls, finish } = result;
  const called = finish === 'tool-calls' ? toolCalls : [];
  if (!text && !reasoning && called.length === 0) return null;
  const calls = called.map(({ id, name, arguments: said }) => ({
    id,
    type: 'function' as const,
    function: { name, arguments: said ?? {} },
  }));
  return {
    role: 'assistant',
    content: text,
    ...(reasoning && { reasoning_content: reasoning }),
    ...(calls.length > 0 && { tool_calls: calls }),
  } satisfies MessageInput;
}

/** A conversation with a cache of its own: see Engine.conversation(). */
export class Conversation {
  /** What was said, the system prompt first; grows with each answer that came to a word. */
  readonly messages: MessageInput[] = [];
  /** dispose(), for `await using` */
  declare [Symbol.asyncDispose]: () => Promise<void>;
  readonly #engine: Chats;
  readonly #options: ConversationOptions;
  readonly #saved: string | undefined;
  readonly #template: PromptOptions;
  /** the answer to the last question, while it is under way; it settles without a failure */
  #under: { ended: Promise<void>; stopped: () => boolean } | null = null;

  /** @internal applications use Engine.conversation() */
  constructor(engine: Chats, { system, messages = [], saved, ...options }: ConversationOptions) {
    const { templateOptions, parseSpecial, tools, toolChoice, toolForm } = options;
    this.#engine = engine;
    this.#options = options;
    this.#template = { templateOptions, parseSpecial, tools: toolChoice === 'none' ? undefined : tools, toolForm };
    this.#saved = saved;
    if (system) this.messages.push({ role: 'system', content: system });
    this.messages.push(...messages);
  }

  /**
   * Asks, and keeps question and answer, what was thought before it as `reasoning_content`, and calls of tools with
   * what they said; an answer that was stopped is kept as far as it came, without calls that nobody answered, and of a
   * failed one, or one that did not come to a word, nothing is kept. Behind an answer that was just stopped it waits
   * until that has ended.
   * @param content - the question, or messages: what the tools said, where the calls of the last answer were left to
   * the caller
   * @throws invalid-option while another answer is under way that nobody stopped
   */
  ask(content: string | readonly MessageInput[], options: GenerateOptions = {}): Answer {
    const before = this.#under;
    if (before && !before.stopped())
      throw new NibbleError('invalid-option', 'An answer is under way: wait for it, or stop it.');
    const questions: MessageInput[] = Array.isArray(content)
      ? messagesOf(content)
      : [{ role: 'user', content: textOf('content', content) }];
    const answer = this.#engine.chat(async () => {
      await before?.ended;
      return [...this.messages, ...questions];
    }, options);
    const end = () => {
      if (this.#under === under) this.#under = null;
    };
    // first to hear of the end, so that whoever awaits it may ask again at once
    const ended = answer.result.then((result) => {
      const before = result.messages ?? [];
      const last = assistantMessage(result);
      if (last || before.length > 0) this.messages.push(...questions, ...before, ...(last ? [last] : []));
      end();
    }, end);
    const under = { ended, stopped: () => answer.stopped };
    this.#under = under;
    return answer;
  }

  /**
   * Answers the last of these messages, for who keeps the messages: edited ones, or the same ones once more. What they
   * share with what this conversation's cache holds is not computed again.
   * @returns an answer that fails with invalid-option for arguments that it does not take
   */
  chat(messages: readonly MessageInput[], options: GenerateOptions = {}): Answer {
    const copy = messagesOf(messages);
    return this.#engine.chat(() => copy, options);
  }

  /**
   * As Engine.plan(), within this conversation's own `maxContext`; `peakNow` counts the cache that it has as one
   * that grows, and not as another's beside it.
   * @param query `promptTokens` are those of the whole conversation with the next question, `messages` all of it
   * @throws invalid-option, context-overflow
   */
  async plan(query: ConversationQuery): Promise<PlanInfo> {
    return this.#engine.plan('messages' in Object(query) ? over(this.#template as ConversationQuery, query) : query);
  }

  /**
   * As Engine.countTokens(), with this conversation's template options.
   * @param messages - what was said so far, when absent
   * @throws invalid-option for messages that chat() would refuse
   */
  async countTokens(messages: readonly MessageInput[] = this.messages, options: PromptOptions = {}): Promise<number> {
    return (await this.#engine.prompt(messages, over<ChatTemplateOptions>(this.#template, options))).ids.length;
  }

  /**
   * As Engine.applyChatTemplate(), with this conversation's template options.
   * @param messages - what was said so far, when absent
   * @returns ids where `options.tokenize` is true, else text
   * @throws invalid-option for messages that chat() would refuse
   */
  applyChatTemplate(
    messages?: readonly MessageInput[],
    options?: PromptOptions & { tokenize?: false },
  ): Promise<string>;
  /**
   * As Engine.applyChatTemplate(), with this conversation's template options.
   * @param messages - what was said so far, when absent
   * @returns ids where `options.tokenize` is true, else text
   * @throws invalid-option for messages that chat() would refuse
   */
  applyChatTemplate(
    messages: readonly MessageInput[] | undefined,
    options: ChatTemplateOptions,
  ): Promise<string | number[]>;
  async applyChatTemplate(
    messages: readonly MessageInput[] = this.messages,
    options: ChatTemplateOptions = {},
  ): Promise<string | number[]> {
    const { text, ids } = await this.#engine.prompt(messages, over<ChatTemplateOptions>(this.#template, options));
    return options?.tokenize ? ids : text;
  }

  /**
   * Writes the cache to IndexedDB under the name that the conversation was given, when the answer under way is done.
   * The messages are the application's to keep. What is asked meanwhile waits for it; with `signal`, it gives way.
   * @throws quota-exceeded, storage-unavailable, aborted; what was saved before is then still there. invalid-option
   * without a name, or before there is anything
   */
  async save(options: { signal?: AbortSignal } = {}): Promise<SavedCache> {
    const { signal } = checkOptions<{ signal?: AbortSignal }>({ signal: GENERATE_OPTIONS.signal }, options);
    return this.#engine.save(this.#name(), signal);
  }

  /**
   * Puts what is saved in the place of this conversation's cache, for who wants to know; the first question does it by
   * itself. What is refused before anything is put back (another model's, or more than the context or the memory budget
   * allows) leaves the conversation with what it had. A failure after that, while room is made or bytes are put back,
   * leaves it empty, and the next question is computed as a whole.
   * @returns tokens that it holds; null when nothing was saved, and then it keeps what it had
   * @throws integrity-mismatch (altered, cut short), invalid-option (no name; of another model, revision, KV type,
   * weights or LoRA), context-overflow, out-of-memory, storage-unavailable
   */
  async restore(): Promise<number | null> {
    return this.#engine.restore(this.#name());
  }

  #name(): string {
    if (this.#saved !== undefined) return this.#saved;
    throw new NibbleError('invalid-option', 'This conversation has no name to be saved under: give it `saved`.');
  }

  /** What was said: `messages`, as other libraries call it. */
  get history(): readonly MessageInput[] {
    return this.messages;
  }

  /**
   * Another conversation that goes on from here: the same options and messages, and a copy of the cache, where there is
   * room for it; else it computes what was said again. It has no name to be saved under. Of an answer that is under way
   * it knows nothing.
   */
  clone(): Conversation {
    return new Conversation(this.#engine.clone(), { ...this.#options, messages: messagesOf(this.messages) });
  }

  /**
   * Frees the cache, when the answer under way is done; nothing is to be done where the worker is gone. Asking again
   * afterwards computes everything anew.
   */
  dispose(): Promise<void> {
    return this.#engine.close();
  }

  /**
   * Frees the cache.
   * @deprecated the name that dispose() had
   */
  close(): Promise<void> {
    return this.dispose();
  }
}

disposable(Conversation.prototype);
