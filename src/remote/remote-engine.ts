/** The engine whose model a server has: the same questions, asked over its OpenAI-shaped API. */
import {
  type Answer,
  AnswerQueue,
  type BatchInput,
  type BatchOptions,
  type GenerateOptions,
  type Push,
} from '../engine/answer';
import { idsOf, messagesOf, plain, textOf, textsOf } from '../engine/arguments';
import { beginAnswer, beginBatch, toolLoop } from '../engine/ask';
import { promptOf, said } from '../engine/asked-input';
import { type Chats, type ChatTemplateOptions, Conversation, type ConversationOptions } from '../engine/conversation';
import { disposable } from '../engine/disposable';
import type { Engine, EngineTokenizer } from '../engine/engine';
import { NO_MEMORY } from '../engine/no-memory';
import type { Asked } from '../engine/request';
import { type Stoppable, stoppedBy } from '../engine/stoppable';
import type { AskOnce } from '../engine/tool-loop';
import { NibbleError } from '../errors';
import { ENGINE_OPTIONS } from '../options/engine';
import { CONVERSATION_OPTIONS, PROMPT_OPTIONS } from '../options/load';
import { EMBED_OPTIONS } from '../options/reading';
import { checkOptions, defaultsOf, isObject, over, type Specs } from '../options/spec';
import type {
  Embeddings,
  EmbedOptions,
  GenerateResult,
  MemoryInfo,
  MessageInput,
  ModelInfo,
  PlanInfo,
  PromptOptions,
  Ranking,
  TextScore,
} from '../protocol';
import { Collected } from './collected';
import type { Connection } from './connection';
import { tokenizerOf } from './engine-tokenizer';
import { asksForKind, checkAsked, prepare, refusedFields } from './request';
import { Server } from './server';
import { messageOf, unsupported, webPage } from './server-errors';
import { SOME_SERVER } from './server-kinds';
import { events } from './stream';

/** The number that a text gives first, of several places where servers tell one; 0 where none does. */
const numberOf = (...given: unknown[]): number =>
  (given.find((value) => typeof value === 'number' && value > 0) as number | undefined) ?? 0;

/** So long is no answer: a server that says more has lost count. */
const MOST_CHARACTERS = 16 << 20;

export class RemoteEngine implements Engine {
  /** dispose(), for `using` */
  declare [Symbol.dispose]: () => void;
  /** dispose(), for `await using` */
  declare [Symbol.asyncDispose]: () => void;
  readonly #connection: Connection;
  readonly #server: Server;
  readonly #gone = new AbortController();
  /** fields of requests that the server does not take */
  readonly #refused = new Set<string>();

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#server = new Server(connection, this.#gone.signal);
  }

  chat(messages: readonly MessageInput[], options: GenerateOptions = {}): Answer {
    const input = said(() => ({ messages: messagesOf(messages) }));
    return this.#begin(input, options);
  }

  generate(prompt: string | readonly number[], options: GenerateOptions = {}): Answer {
    const input = said(() => promptOf(prompt));
    return this.#begin(input, options);
  }

  batch(inputs: readonly BatchInput[], options: BatchOptions = {}): Answer[] {
    const begun: Answer[] = [];
    return beginBatch(inputs, options, (asked, each, together) => {
      const before = begun[begun.length - together];
      const input = async () => {
        await before?.result.catch(() => {});
        return asked();
      };
      const answer = this.#begin(input, each);
      begun.push(answer);
      return answer;
    });
  }

  conversation(options: ConversationOptions = {}): Conversation {
    const checked = checkOptions<ConversationOptions>(CONVERSATION_OPTIONS, options);
    for (const name of ['saved', 'maxContext'] as const) {
      if (checked[name] !== undefined) throw unsupported(name, "A server's caches and context are its own matter.");
    }
    const messages = messagesOf(checked.messages ?? []);
    const { system: _, messages: __, ...always } = checked;
    return new Conversation(this.#chats(always), { ...checked, messages });
  }

  #chats(always: GenerateOptions): Chats {
    return {
      chat: (messages, options) => {
        const all = options === undefined || typeof options === 'object' ? over(always, options) : options;
        return this.#begin(async () => ({ messages: messagesOf(await messages()) }), all);
      },
      plan: () => this.plan(),
      prompt: async (messages, options) => ({ text: '', ids: await this.#promptIds(messages, options) }),
      close: async () => {},
      save: () => this.#savedCache(),
      restore: () => this.#savedCache(),
      clone: () => this.#chats(always),
      number: 0,
    };
  }

  async setLora(): Promise<ModelInfo> {
    throw unsupported('setLora()', 'A server loads its adapters itself, and has them under model names of their own.');
  }

  async plan(): Promise<PlanInfo> {
    throw unsupported('plan()', "Nothing of the server's memory is known here.");
  }

  async #savedCache(): Promise<never> {
    throw unsupported('saved cache', 'Keep the messages: a server that has its prefix cache on reads them again fast.');
  }

  async rerank(): Promise<Ranking> {
    throw unsupported('rerank()');
  }

  async score(): Promise<TextScore[]> {
    throw unsupported('score()');
  }

  async countTokens(messages: readonly MessageInput[], options: PromptOptions = {}): Promise<number> {
    return (await this.#promptIds(messages, options)).length;
  }

  applyChatTemplate(messages: readonly MessageInput[], options?: PromptOptions & { tokenize?: false }): Promise<string>;
  applyChatTemplate(messages: readonly MessageInput[], options: ChatTemplateOptions): Promise<string | number[]>;
  async applyChatTemplate(
    messages: readonly MessageInput[],
    options: ChatTemplateOptions = {},
  ): Promise<string | number[]> {
    if (options?.tokenize) return this.#promptIds(messages, options);
    const checked = await this.#promptOptions(options);
    return this.#reach((signal) => this.#server.promptText(messagesOf(messages), checked, signal));
  }

  async #promptIds(messages: readonly MessageInput[], options: ChatTemplateOptions): Promise<number[]> {
    const checked = await this.#promptOptions(options);
    return this.#reach((signal) => this.#server.promptIds(messagesOf(messages), checked, signal));
  }

  async #promptOptions(given: ChatTemplateOptions): Promise<PromptOptions> {
    const { tokenize: _, tools, ...rest } = checkOptions<ChatTemplateOptions>(PROMPT_OPTIONS, given);
    const options: PromptOptions = plain('options', rest);
    if (tools) options.tools = (await toolLoop()).checkTools(tools).tools;
    return options;
  }

  async info(): Promise<ModelInfo> {
    const notes: string[] = [];
    const listing = this.#reach(() => this.#server.listed()).catch((error: NibbleError) => {
      if (error.code !== 'network') throw error;
      // who answers is known all the same
      notes.push(error.message);
      return {} as Record<string, unknown>;
    });
    const { meta, ...listed } = await listing;
    const { n_ctx: given, n_ctx_train: trained, n_params: parameters } = isObject(meta) ? meta : {};
    const contextLength = numberOf(listed.max_model_len, listed.context_length, given, trained);
    const { address, model } = this.#connection;
    const reason = `A server answers (${address}).`;
    return {
      name: model,
      revision: null,
      family: '',
      parameters: numberOf(parameters),
      contextLength,
      source: 'server',
      sourceReason: reason,
      backend: 'server',
      backendReason: reason,
      adapter: null,
      coi: globalThis.crossOriginIsolated ?? true,
      deviceEstimate: { bytes: 0, reason: 'Nothing is held on this device.' },
      options: {
        ...defaultsOf(ENGINE_OPTIONS),
        keep: [],
        storage: 'none',
        maxContext: contextLength,
        memoryBudget: null,
        threads: 0,
        chunk: 0,
        chatTemplate: null,
      },
      weightTypes: {},
      variants: {},
      tuning: null,
      lora: [],
      hasTokenizer: false,
      hasChatTemplate: true,
      notes,
    };
  }

  async memory(): Promise<MemoryInfo> {
    return NO_MEMORY;
  }

  async tokenize(text: string, options: { special?: boolean } = {}): Promise<number[]> {
    const checked = textOf('text', text);
    return this.#reach((signal) => this.#server.tokenize(checked, options?.special ?? false, signal));
  }

  get tokenizer(): EngineTokenizer {
    return tokenizerOf(this);
  }

  async detokenize(ids: readonly number[]): Promise<string> {
    const checked = idsOf('ids', ids);
    return this.#reach((signal) => this.#server.detokenize(checked, signal));
  }

  async embed(texts: string | readonly string[], given: EmbedOptions & Stoppable = {}): Promise<Embeddings> {
    const specs = { ...EMBED_OPTIONS, signal: { type: 'signal', says: '' } } as Specs<EmbedOptions & Stoppable>;
    const { dimensions, signal, ...others } = checkOptions<EmbedOptions & Stoppable>(specs, given);
    const [other] = Object.keys(others);
    if (other) throw unsupported(other, "A server's vectors are as its model makes them.");
    const input = textsOf('texts', texts);
    const body = { model: this.#connection.model, input, encoding_format: 'float', ...(dimensions && { dimensions }) };
    const ask = (signal: AbortSignal) =>
      this.#connection.json('/embeddings', { body, signal, optional: 'embed()' }) as Promise<unknown>;
    return embeddingsOf(await this.#reach(ask, signal), input.length, this.#connection.address);
  }

  dispose(): void {
    this.#gone.abort();
  }

  /** Whether it was ended, where that matters more than what came of it. */
  #throwIfGone(): void {
    if (!this.#gone.signal.aborted) return;
    throw new NibbleError('disposed', 'This engine was ended by dispose(). Connect again to go on.');
  }

  /** Runs a request that the caller, and dispose(), can stop. */
  async #reach<T>(
    work: (signal: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
    stopping = new AbortController(),
  ): Promise<T> {
    this.#throwIfGone();
    try {
      return await stoppedBy(this.#gone.signal, stopping, () =>
        stoppedBy(signal, stopping, () => work(stopping.signal)),
      );
    } catch (error) {
      this.#throwIfGone();
      throw error;
    }
  }

  #begin(input: Asked['input'], options: GenerateOptions): Answer {
    const ask: AskOnce = (asked, options) => {
      const stopping = new AbortController();
      const start = (push: Push) => {
        const work = () => this.#answer(asked, options, push, stopping.signal);
        return this.#reach(work, options?.signal, stopping);
      };
      return new AnswerQueue(start, stopping, () => 0, 'server');
    };
    return beginAnswer(ask, input, options, 'server');
  }

  async #answer(
    { input, tools }: Parameters<AskOnce>[0],
    wanted: GenerateOptions,
    push: Push,
    signal: AbortSignal,
  ): Promise<GenerateResult> {
    const options = checkAsked(wanted);
    const names = new Set(tools?.tools.map((tool) => tool.function.name));
    const collected = new Collected(push, names, options.logprobs !== undefined && options.logprobs !== false);
    const what = await input();
    let notes: string[] = [];
    try {
      const kind = asksForKind(options) ? await this.#server.kind() : SOME_SERVER;
      for (;;) {
        const asked = prepare(this.#connection.model, what, tools, options, kind, this.#refused);
        notes = asked.notes;
        try {
          const optional = 'messages' in what ? undefined : 'generate()';
          const response = await this.#connection.ask(asked.path, { body: asked.body, signal, optional });
          await this.#collect(response, collected, signal);
          return collected.result(notes);
        } catch (error) {
          const said = error instanceof NibbleError && error.code === 'invalid-option' ? error.details.said : null;
          const refused = typeof said === 'string' ? refusedFields(asked, said) : [];
          if (refused.length === 0) throw error;
          for (const field of refused) this.#refused.add(field);
        }
      }
    } catch (error) {
      if (signal.aborted && !this.#gone.signal.aborted) return collected.result(notes, 'aborted');
      throw error;
    }
  }

  /** @throws network where the answer breaks: what came is the error's cause */
  async #collect(response: Response, collected: Collected, signal: AbortSignal): Promise<void> {
    const type = response.headers.get('content-type');
    if (/^application\/json/i.test(type ?? '')) {
      collected.take(faultless(await this.#connection.parsed(response, signal)));
      if (collected.finish !== null) return;
    } else if (!/^text\/event-stream/i.test(type ?? '')) {
      throw webPage(this.#connection.address, response, type);
    }
    let reason = 'it ended without saying why';
    try {
      const stream = events(this.#connection.pieces(response, signal));
      for (;;) {
        const { value, done } = await stream.next();
        if (!done) {
          collected.take(faultless(value));
          if (collected.characters > MOST_CHARACTERS) throw new Error('it has no end');
        }
        // one that says why it ended is whole, with [DONE] or without
        else if (value || collected.finish !== null) return;
        else break;
      }
    } catch (error) {
      if (signal.aborted) throw error;
      // the rest was counts
      if (collected.finish !== null) return;
      reason = error instanceof Error ? error.message : String(error);
    }
    const { address } = this.#connection;
    const { characters } = collected;
    const text = `The server broke off after ${characters} characters of its answer (${address}): ${reason}. Ask again: what came is this error's cause.`;
    const details = { url: address, status: response.status, reason: 'broken', characters };
    throw new NibbleError('network', text, details, { cause: collected.result([], 'aborted') });
  }
}

disposable(RemoteEngine.prototype);

/** A chunk that is no error. @throws Error with what the server says */
function faultless(chunk: unknown): unknown {
  if (!isObject(chunk) || !chunk.error) return chunk;
  throw new Error(`it says: ${messageOf(chunk)}`);
}

/** @throws network for what is no list of so many vectors */
function embeddingsOf(answer: unknown, texts: number, address: string): Embeddings {
  const { data, usage } = isObject(answer) ? answer : ({} as Record<string, unknown>);
  const rows = Array.isArray(data) ? data.filter(isObject) : [];
  // servers may answer in any order
  rows.sort((a, b) => Number(a.index ?? 0) - Number(b.index ?? 0));
  const vectors = rows.map(({ embedding }) => Float32Array.from(Array.isArray(embedding) ? embedding : []));
  const dimensions = vectors[0]?.length ?? 0;
  const embeddings = vectors.filter(({ length }) => length === dimensions);
  if (embeddings.length !== texts || dimensions === 0) {
    const text = `The server gave ${embeddings.length} vectors for ${texts} texts (${address}). Is its model one for embeddings?`;
    throw new NibbleError('network', text, { url: address, texts, vectors: embeddings.length });
  }
  const tokens = isObject(usage) ? numberOf(usage.prompt_tokens, usage.total_tokens) : 0;
  return { embeddings, ids: embeddings.map(() => []), dimensions, tokens };
}
