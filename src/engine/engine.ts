/** What an application holds: a model that runs in a worker of its own. */
import { throwIfAborted } from '../errors';
import { CONVERSATION_OPTIONS, LOAD_OPTIONS, PROMPT_OPTIONS } from '../options/load';
import { EMBED_OPTIONS, RERANK_OPTIONS, TOKENIZE_OPTIONS } from '../options/reading';
import { checkOptions, over, refuse, type Specs } from '../options/spec';
import type {
  Embeddings,
  EmbedOptions,
  GenerateRequest,
  LoadRequest,
  MemoryInfo,
  MessageInput,
  ModelInfo,
  PlanInfo,
  PlanQuery,
  PromptOptions,
  Ranking,
  RerankOptions,
  TextScore,
} from '../protocol';
import type { Answer, BatchInput, BatchOptions, GenerateOptions } from './answer';
import { idsOf, messagesOf, plain, planQuery, textOf, textsOf } from './arguments';
import { beginAnswer, beginBatch, toolLoop } from './ask';
import { promptOf, said } from './asked-input';
import {
  type Chats,
  type ChatTemplateOptions,
  Conversation,
  type ConversationOptions,
  type ConversationQuery,
  type MessageQuery,
} from './conversation';
import { disposable } from './disposable';
import type { HeldModel } from './held-model';
import { describeLora, type LoraInput } from './lora-input';
import { type Asked, answerFrom } from './request';
import { cancellable, nextId, type RunningWorker } from './start-worker';
import type { Stoppable } from './stoppable';
import type { AskOnce } from './tool-loop';

/** What a worker is given, and the next one if that is lost. */
export type Wanted = Pick<LoadRequest, 'source' | 'options' | 'lora'>;

/** A model's tokenizer: see Engine.tokenizer. */
export interface EngineTokenizer {
  /** See Engine.tokenize(). */
  encode(text: string, options?: { special?: boolean }): Promise<number[]>;
  /** See Engine.detokenize(). */
  decode(ids: readonly number[]): Promise<string>;
  /** How many tokens encode() would give. */
  count(text: string, options?: { special?: boolean }): Promise<number>;
}

/** A model that answers: in a worker of its own, where load() makes it. Where it answers is not part of the type. */
export interface Engine extends Pick<LocalEngine, keyof LocalEngine> {}

/** A loaded model, in a worker of its own. */
export class LocalEngine {
  /** dispose(), for `using` */
  declare [Symbol.dispose]: () => void;
  /** dispose(), for `await using` */
  declare [Symbol.asyncDispose]: () => void;
  readonly #model: HeldModel;
  readonly #wanted: Wanted;

  /** @internal applications use load() */
  constructor(model: HeldModel, wanted: Wanted) {
    this.#model = model;
    this.#wanted = wanted;
  }

  /**
   * Answers the last message. What the conversation shares with the one before is not computed again.
   * @param messages a list, also of one
   * @returns an answer that fails with invalid-option for arguments that it does not take
   */
  chat(messages: readonly MessageInput[], options: GenerateOptions = {}): Answer {
    return this.#request(
      said(() => ({ messages: messagesOf(messages) })),
      options,
    );
  }

  /**
   * Continues a text, or token ids.
   * @returns an answer that fails with invalid-option for arguments that it does not take
   */
  generate(prompt: string | readonly number[], options: GenerateOptions = {}): Answer {
    return this.#request(
      said(() => promptOf(prompt)),
      options,
    );
  }

  /**
   * Several answers at once, which share the reading of the weights: each says what it would say alone, sooner for all
   * of them. Where memory has no room for as many, they come in their order; what prompts begin with in common is
   * computed once.
   * @param inputs each what chat() or generate() takes: messages, a text to be continued, token ids
   * @returns the answers, `n` of each input, side by side; one that fails, or is stopped, leaves the others as they are
   * @throws invalid-option for what is no list, and for `n` or `parallel` out of range
   */
  batch(inputs: readonly BatchInput[], options: BatchOptions = {}): Answer[] {
    return beginBatch(inputs, options, (asked, each, together) => this.#request(asked, each, { together }));
  }

  /**
   * A conversation with a cache of its own, so that several can take turns. Under the memory budget, or where the
   * device is full, the cache of the one used longest ago goes first; it is computed again when that one is asked.
   * Without a budget too, eight caches are kept at most.
   * @throws invalid-option for options that it does not take
   */
  conversation(options: ConversationOptions = {}): Conversation {
    const checked = checkOptions<ConversationOptions>(CONVERSATION_OPTIONS, options);
    const messages = messagesOf(checked.messages ?? []);
    return new Conversation(this.#chats(checked), { ...checked, messages });
  }

  /** What a conversation with these options needs, under a number of its own. */
  #chats({ system: _, messages: __, saved, maxContext, ...always }: ConversationOptions): Chats {
    const conversation = nextId();
    return {
      chat: (messages, options) =>
        this.#request(
          async () => ({ messages: messagesOf(await messages()) }),
          options === undefined || typeof options === 'object' ? over<GenerateOptions>(always, options) : options,
          {
            conversation,
            saved,
            maxContext,
          },
        ),
      plan: async (given) => {
        const query = await this.#counted(given);
        return this.#model.query(async ({ api }) => {
          const most = (await api.info()).options.maxContext;
          const own = Math.min(most, maxContext ?? most);
          return api.plan({ ...query, maxContext: query.maxContext ?? own, conversation });
        });
      },
      prompt: (messages, options) => this.#prompt(messages, options),
      close: () => this.#model.ifThere(({ api }) => api.close(conversation)),
      save: (name, signal) => {
        const id = nextId();
        const save = (worker: RunningWorker) =>
          cancellable(worker, id, signal, () => worker.api.saveCache(conversation, name, id));
        return this.#model.run(save, { signal });
      },
      restore: (name) => this.#model.run(({ api }) => api.restoreCache(conversation, name, maxContext)),
      clone: () => {
        const to = this.#chats({ ...always, maxContext });
        // what cannot be copied is computed again
        void this.#model.ifThere(({ api }) => api.cloneCache(conversation, to.number)).catch(() => {});
        return to;
      },
      number: conversation,
    };
  }

  /**
   * Puts these LoRA adapters in the place of those that are active, without loading the model again; [] takes all
   * away. Their terms are summed; a DoRA adapter also scales what the base and those before it give, as in PEFT. What
   * was said so far is computed afresh. On failure nothing changes.
   * @returns info(), whose `lora` tells effective ranks and scalings
   * @throws invalid-option for an adapter of another base, corrupt-checkpoint, unsupported-architecture, out-of-memory
   */
  async setLora(lora: LoraInput | readonly LoraInput[], options: { signal?: AbortSignal } = {}): Promise<ModelInfo> {
    const { signal } = checkOptions<{ signal?: AbortSignal }>({ signal: LOAD_OPTIONS.signal }, options);
    throwIfAborted(signal);
    const adapters = await describeLora(lora);
    const id = nextId();
    const change = (worker: RunningWorker) =>
      cancellable(worker, id, signal, () => worker.api.setLora({ id, lora: adapters }));
    const info = await this.#model.run(change, { signal });
    this.#wanted.lora = adapters;
    return this.#withAnswer(info);
  }

  /**
   * What a request would take, before it is made; `fits` and `offers` are about the memory budget and the device's
   * limits. The query may suppose another cache, context, budget, chunk or weights than the model was loaded with. For
   * a conversation's next question see Conversation.plan().
   * @param query says how long the prompt is: `promptTokens`, or the `messages` themselves
   * @throws invalid-option, context-overflow
   */
  async plan(query: PlanQuery | MessageQuery): Promise<PlanInfo> {
    const checked = await this.#counted(query);
    return this.#model.query(({ api }) => api.plan(checked));
  }

  /**
   * How many tokens these messages are, the template's own among them: what chat() would read.
   * @throws invalid-option for messages that chat() would refuse
   */
  async countTokens(messages: readonly MessageInput[], options: PromptOptions = {}): Promise<number> {
    return (await this.#prompt(messages, options)).ids.length;
  }

  /**
   * The prompt that chat() makes of these messages, as text, or with `tokenize` as ids. In the text, names of control
   * tokens that were typed look like those of the template; in the ids they are characters.
   * @throws invalid-option for messages that chat() would refuse
   */
  applyChatTemplate(messages: readonly MessageInput[], options?: PromptOptions & { tokenize?: false }): Promise<string>;
  /**
   * The prompt that chat() makes of these messages, as text, or with `tokenize` as ids. In the text, names of control
   * tokens that were typed look like those of the template; in the ids they are characters.
   * @throws invalid-option for messages that chat() would refuse
   */
  applyChatTemplate(messages: readonly MessageInput[], options: ChatTemplateOptions): Promise<string | number[]>;
  async applyChatTemplate(
    messages: readonly MessageInput[],
    options: ChatTemplateOptions = {},
  ): Promise<string | number[]> {
    const { text, ids } = await this.#prompt(messages, options);
    return options?.tokenize ? ids : text;
  }

  /**
   * The loaded model, its backend, and the options that are in effect.
   * @throws disposed, worker-failed
   */
  async info(): Promise<ModelInfo> {
    return this.#withAnswer(await this.#model.query(({ api }) => api.info()));
  }

  /** What the browser said to `persist` may have come after the load. */
  #withAnswer(info: ModelInfo): ModelInfo {
    const { persist } = this.#wanted.options;
    return { ...info, options: { ...info.options, persist: persist ?? false } };
  }

  /**
   * Bytes that the model takes now, and the most it ever took.
   * @throws disposed, worker-failed
   */
  memory(): Promise<MemoryInfo> {
    return this.#model.query(({ api }) => api.memory());
  }

  /**
   * The token ids of a text, as it stands: nothing is put before it.
   * @param options - `special`: names of special tokens in the text are read as such (default: false)
   * @throws invalid-option without a tokenizer, and for a text that is none; disposed
   */
  async tokenize(text: string, options: { special?: boolean } = {}): Promise<number[]> {
    const { special = false } = checkOptions<{ special?: boolean }>(TOKENIZE_OPTIONS, options);
    const checked = textOf('text', text);
    return this.#model.query(({ api }) => api.tokenize(checked, special));
  }

  /** The model's tokenizer: tokenize(), detokenize(), and how many tokens a text is. */
  get tokenizer(): EngineTokenizer {
    return {
      encode: (text, options) => this.tokenize(text, options),
      decode: (ids) => this.detokenize(ids),
      count: async (text, options) => (await this.tokenize(text, options)).length,
    };
  }

  /**
   * The text of token ids, special tokens by their names.
   * @throws invalid-option for ids that the model does not have, and without a tokenizer; disposed
   */
  async detokenize(ids: readonly number[]): Promise<string> {
    const checked = idsOf('ids', ids);
    return this.#model.query(({ api }) => api.detokenize(checked));
  }

  /**
   * A vector of each text, as sentence-transformers makes them where its files stand beside the model: pooling, prompts
   * and what else follows are read from there. For other models, say how.
   * @param texts one, or a list of at least one
   * @throws invalid-option for a prompt that the model does not have (with the names of those it has), more dimensions
   * than it has, or what is no text; context-overflow for a text that is too long; unsupported-architecture where the
   * model's files ask for what is not known here; out-of-memory, aborted
   */
  embed(texts: string | readonly string[], options: EmbedOptions & Stoppable = {}): Promise<Embeddings> {
    return this.#read(options, EMBED_OPTIONS, (api, id, options) =>
      api.embed({ id, texts: textsOf('texts', texts), options }),
    );
  }

  /**
   * How well each document answers the query, by a Qwen3-Reranker. What their prompts begin with is computed once.
   * @param documents a list of at least one
   * @returns scores in the documents' order
   * @throws invalid-option for a model that is no reranker, or what is no text; context-overflow for a document that is
   * too long; out-of-memory, aborted
   */
  rerank(
    query: string,
    documents: string | readonly string[],
    options: RerankOptions & Stoppable = {},
  ): Promise<Ranking> {
    return this.#read(options, RERANK_OPTIONS, (api, id, options) => {
      const asked = textOf('query', query);
      const pairs = textsOf('documents', documents).map((document) => ({ query: asked, document }));
      return api.rerank({ id, pairs, options });
    });
  }

  /**
   * How likely the model finds each text, token by token. Names of special tokens in it are read as such, as in a plain
   * prompt.
   * @param texts a list of at least one; a text or its ids
   * @throws invalid-option for what is neither, and for ids that the model does not have; context-overflow for a text
   * that is too long; out-of-memory, aborted
   */
  score(texts: readonly (string | readonly number[])[], options: Stoppable = {}): Promise<TextScore[]> {
    return this.#read(options, {}, (api, id) => {
      if (!Array.isArray(texts)) refuse('texts', texts, 'a list of texts, or of lists of token ids');
      const copy = texts.map((text) => (typeof text === 'string' ? text : idsOf('texts', text, 'texts or token ids')));
      return api.score({ id, texts: copy });
    });
  }

  /**
   * Ends the worker, and with it everything on the GPU. Answers under way, and what is asked later, fail as `disposed`.
   */
  dispose(): void {
    this.#model.dispose();
  }

  /** Has the worker read something, and can stop it. */
  async #read<O extends object, T>(
    given: O & Stoppable,
    specs: Specs<O>,
    call: (api: RunningWorker['api'], id: number, options: O) => Promise<T>,
  ): Promise<T> {
    const all = { ...specs, signal: LOAD_OPTIONS.signal } as Specs;
    const checked = checkOptions(all, given as Record<string, unknown>);
    const { signal, ...options } = checked as O & Stoppable;
    throwIfAborted(signal);
    const id = nextId();
    return this.#model.run(
      (worker) => cancellable(worker, id, signal, () => call(worker.api, id, options as unknown as O)),
      {
        signal,
      },
    );
  }

  async #prompt(
    messages: readonly MessageInput[],
    given: ChatTemplateOptions,
  ): Promise<{ text: string; ids: number[] }> {
    const { tokenize: _, tools, ...rest } = checkOptions<ChatTemplateOptions>(PROMPT_OPTIONS, given);
    const options: PromptOptions = plain('options', rest);
    if (tools) options.tools = (await toolLoop()).checkTools(tools).tools;
    const copy = messagesOf(messages);
    return this.#model.query(({ api }) => api.prompt(copy, options));
  }

  /** The query, checked, with the number of tokens in the place of the messages. */
  async #counted(query: ConversationQuery): Promise<PlanQuery> {
    if (!('messages' in Object(query))) return planQuery(query as PlanQuery);
    const { messages, templateOptions, parseSpecial, continueFinalMessage, ...more } = query as MessageQuery;
    const { addGenerationPrompt, tools, toolForm, ...rest } = more;
    const prompt = { templateOptions, parseSpecial, continueFinalMessage, addGenerationPrompt, tools, toolForm };
    const promptTokens = await this.countTokens(messages, prompt);
    return planQuery({ ...rest, promptTokens });
  }

  #request(
    input: Asked['input'],
    options: GenerateOptions,
    of: Pick<GenerateRequest, 'conversation' | 'saved' | 'maxContext' | 'together'> = {},
  ): Answer {
    const ask: AskOnce = (asked, options) => answerFrom(this.#model, { id: nextId(), ...asked, ...of }, options);
    return beginAnswer(ask, input, options);
  }
}

disposable(LocalEngine.prototype);
