/**
 * What an application holds: a model that runs in a worker of its own. It is long for the docstrings of what it exports,
 * which are the API reference.
 */
import { transfer } from 'comlink';
import { NibbleError, throwIfAborted } from '../errors';
import {
  CONVERSATION_OPTIONS,
  HUB_OPTIONS,
  INSPECT_OPTIONS,
  LOAD_OPTIONS,
  PLAN_QUERY,
  PROMPT_OPTIONS,
  STORED_OPTIONS,
} from '../options/load';
import { allowed, checkOptions, over, refuse, type Specs } from '../options/spec';
import type {
  EngineOptions,
  GenerateRequest,
  LoadAttempt,
  LoadRequest,
  LoraDescription,
  MemoryInfo,
  MessageInput,
  ModelCost,
  ModelInfo,
  PlanInfo,
  PlanQuery,
  Progress,
  PromptOptions,
  SavedCache,
  StoredModel,
  StoredRef,
  VerifyResult,
} from '../protocol';
import type { Answer, GenerateOptions } from './answer';
import { idsOf, messagesOf, plain, textOf } from './arguments';
import {
  type Chats,
  type ChatTemplateOptions,
  Conversation,
  type ConversationOptions,
  type ConversationQuery,
  type MessageQuery,
} from './conversation';
import { disposable } from './disposable';
import { HeldModel } from './held-model';
import { leftAttempt, noteLeaving, noteLeft, unlessLeft } from './leaving';
import { describeModel, type ModelInput } from './model-source';
import { type Asked, answerFrom } from './request';
import { cancellable, type RunningWorker, startWorker } from './start-worker';
import type { WorkerOptions } from './worker-options';
import { workersFrom } from './workers-from';

/** Where on the Hugging Face Hub a model is. For other models these throw invalid-option. */
export interface HubOptions {
  /** Branch, tag or commit. Default: 'main'. */
  revision?: string;
  /** Access token for a repository that is not public; sent to the Hub only, and never stored. Default: none. */
  token?: string;
  /** Address of the Hub, or of what stands for it. Default: https://huggingface.co. */
  hub?: string;
}

/**
 * A LoRA adapter as PEFT saves it, named as a model is; `scale` multiplies its own scaling (default: 1, as it was
 * trained).
 */
export type LoraInput = ModelInput | ({ adapter: ModelInput; scale?: number } & HubOptions);

/** Options of load(). */
export interface LoadOptions extends EngineOptions, WorkerOptions, HubOptions {
  /** Adapters that are active from the start; see Engine.setLora(). Default: none. */
  lora?: LoraInput | readonly LoraInput[];
  /** Told how far loading has come: often while bytes come, and again whenever the model is loaded anew by itself. */
  onProgress?: (progress: Progress) => void;
  /** Stops the load, which then throws `aborted`; what was downloaded stays stored. */
  signal?: AbortSignal;
}

const LORA_INPUT = {
  ...HUB_OPTIONS,
  adapter: { type: 'any', says: 'The adapter, named as a model is.' },
  scale: { type: 'number', least: -1e6, most: 1e6, says: 'Multiplies its own scaling.' },
} as const satisfies Specs;

const TOKENIZE_OPTIONS = {
  special: { type: 'flag', says: 'Whether special tokens that stand in the text are parsed.' },
} as const satisfies Specs;

/** Firefox asks the person whether to keep what is stored: the load goes on meanwhile, and info() tells when it is known. */
const PERSIST_MS = 250;

/** Request ids are unique in the page, so that a cancelled load and a later answer never share one. */
let lastId = 0;

/** What a worker is given, and the next one if that is lost. */
type Wanted = Pick<LoadRequest, 'source' | 'options' | 'lora'>;

/**
 * Starts a worker and loads a model into it. When the graphics device or the worker is lost, in the download or ever
 * after, the model is loaded again by itself, once a minute at most: `onProgress` tells of it, with a note, and answers
 * under way go on where they stopped. A worker that does not hear a stop within two seconds is ended, as often as that
 * happens, and the next request loads the model again, with a note, too.
 * @param model - see ModelInput for the ways to name one
 * @throws NibbleError: invalid-option for an argument that it does not take, aborted by `signal`, and any other code of
 * ErrorCode
 */
export async function load(model: ModelInput, options: LoadOptions = {}): Promise<Engine> {
  const {
    onProgress = () => {},
    signal,
    revision,
    token,
    hub,
    workerUrl,
    createWorker,
    persist,
    lora = [],
    ...engineOptions
  } = checkOptions<LoadOptions>(LOAD_OPTIONS, options);
  throwIfAborted(signal);
  // at once, while this is still the person's click; workers cannot ask
  const promised = persist ? globalThis.navigator?.storage?.persist?.().catch(() => false) : undefined;
  const wanted: Wanted = {
    source: await describeModel(model, { revision, token, hub }),
    options: { ...engineOptions, persist: false },
    lora: await describeLora(lora),
  };
  const answered = promised?.then((kept) => {
    wanted.options.persist = kept;
  });
  await Promise.race([answered, answered && new Promise((resolve) => setTimeout(resolve, PERSIST_MS))]);
  let attempt: string | null = null;
  const held = new HeldModel(workersFrom({ workerUrl, createWorker }), async (worker, lost, signal) => {
    // what was lost under the eyes of this page is no riddle at the next load
    const left = lost ? attempt : leftAttempt();
    attempt = String(Math.random());
    const report = lost ? noting(lost, onProgress) : onProgress;
    const { backend } = await fill(worker, { ...wanted, attempt, left }, report, signal);
    // another backend would not go on where this one stopped
    if (backend === 'webgpu') wanted.options.backend = backend;
  });
  await held.ready(signal);
  return Engine.of(held, wanted);
}

/** Tells at once why the model is loaded again, and with every report until it is. */
function noting(note: string, onProgress: (progress: Progress) => void): (progress: Progress) => void {
  const nothing = { loadedBytes: 0, totalBytes: 0, networkBytes: 0, bytesPerSecond: null, secondsLeft: null };
  onProgress({ phase: 'header', ...nothing, note });
  return (progress) => onProgress(progress.phase === 'ready' ? progress : { ...progress, note: progress.note ?? note });
}

async function fill(
  worker: RunningWorker,
  request: Wanted & { attempt: string; left: string | null },
  onProgress: (progress: Progress) => void,
  signal: AbortSignal,
): Promise<ModelInfo> {
  const id = ++lastId;
  const { port1, port2 } = new MessageChannel();
  // the last report may come after the result: the two take different ports
  const reported = new Promise<void>((resolve) => {
    port1.onmessage = ({ data }: MessageEvent<Progress>) => {
      if (data.phase === 'ready') resolve();
      onProgress(data);
    };
  });
  const arrived = noteLeaving(request.attempt);
  try {
    return await cancellable(worker, id, signal, async () => {
      const info = await worker.api.load({ id, ...request, touch: hasTouch() }, transfer(port2, [port2]));
      await reported;
      return info;
    });
  } catch (error) {
    if (worker.deaf) noteLeft(request.attempt);
    throw error;
  } finally {
    arrived();
    port1.close();
  }
}

/** One adapter is as good as a list of one; a list of Files is the files of one. */
function describeLora(lora: LoraInput | readonly LoraInput[]): Promise<LoraDescription[]> {
  const isList = Array.isArray(lora) && !(lora.length > 0 && lora.every((file) => file instanceof Blob));
  return Promise.all(
    (isList ? lora : [lora as LoraInput]).map(async (input) => {
      if (typeof input !== 'object' || input === null || !('adapter' in input))
        return { source: await describeModel(input, {}, undefined, 'lora'), scale: 1 };
      const { adapter, scale = 1, ...hub } = checkOptions<Exclude<typeof input, ModelInput>>(LORA_INPUT, input);
      return { source: await describeModel(adapter!, hub, undefined, 'adapter'), scale };
    }),
  );
}

/** An iPad calls itself a Mac; only its page, not its worker, can tell. */
const hasTouch = () => globalThis.navigator?.maxTouchPoints > 1;

/** A query as the worker takes it. @throws invalid-option */
function planQuery(query: PlanQuery): PlanQuery {
  const checked = checkOptions<Omit<PlanQuery, 'conversation'>>(PLAN_QUERY, query);
  for (const name of ['promptTokens', 'maxNewTokens'] as const) {
    if (checked[name] === undefined) refuse(name, undefined, allowed(PLAN_QUERY[name]));
  }
  // here null says something: no budget
  return { ...checked, ...(query.memoryBudget === null && { memoryBudget: null }) } as PlanQuery;
}

const storedOptions = (options: WorkerOptions & HubOptions) =>
  checkOptions<WorkerOptions & HubOptions>(STORED_OPTIONS, options);

async function askWorker<T>(from: WorkerOptions, question: (api: RunningWorker['api']) => Promise<T>): Promise<T> {
  const worker = await startWorker(workersFrom(checkOptions<WorkerOptions & HubOptions>(STORED_OPTIONS, from)));
  try {
    return await worker.call(question(worker.api));
  } finally {
    worker.end();
  }
}

/** A model that was looked at: what it would take, and what else it could take, asked as often as one likes. */
export interface Inspection {
  /** What a short chat with it would take. */
  cost: ModelCost;
  /** Another length, cache or budget; makes no request. @throws invalid-option, context-overflow */
  plan(query: PlanQuery): Promise<PlanInfo>;
  /** Ends the worker that answers; what is asked later fails as `disposed`. */
  dispose(): void;
  /** dispose(), for `using`. */
  [Symbol.dispose](): void;
  /** dispose(), for `await using`. */
  [Symbol.asyncDispose](): void;
  /**
   * Ends the worker that answers.
   * @deprecated the name that dispose() had
   */
  close(): void;
}

class OpenInspection implements Inspection {
  declare [Symbol.dispose]: () => void;
  declare [Symbol.asyncDispose]: () => void;
  #disposed = false;

  constructor(
    readonly cost: ModelCost,
    private readonly ask: (query: PlanQuery) => Promise<PlanInfo>,
    private readonly end: () => void,
  ) {}

  async plan(query: PlanQuery): Promise<PlanInfo> {
    if (!this.#disposed) return this.ask(planQuery(query));
    throw new NibbleError('disposed', 'This inspection was ended by dispose(). Open it again to go on.');
  }

  dispose(): void {
    this.#disposed = true;
    this.end();
  }

  close(): void {
    this.dispose();
  }
}

disposable(OpenInspection.prototype);

/** Options of inspectModel() and openInspection(). */
export interface InspectOptions extends EngineOptions, WorkerOptions, HubOptions {
  /**
   * false: of a folder nothing but config.json and manifest.json is asked for, so that its size may stay unknown.
   * Default: true.
   */
  sizes?: boolean;
}

/**
 * What load() with the same options would take: bytes to download and memory. Fetches headers only (of a folder its
 * config.json and the sizes of its files), and keeps nothing. Call dispose() when there is nothing more to ask.
 * @throws what load() throws before it downloads, such as network, unsupported-architecture, unsupported-quantization
 */
export async function openInspection(model: ModelInput, options: InspectOptions = {}): Promise<Inspection> {
  const checked = checkOptions<InspectOptions>(INSPECT_OPTIONS, options);
  const { revision, token, hub, workerUrl, createWorker, sizes, ...engineOptions } = checked;
  const source = await describeModel(model, { revision, token, hub });
  const { api, call, end } = await startWorker(workersFrom({ workerUrl, createWorker }));
  try {
    const cost = unlessLeft(await call(api.inspect({ source, options: engineOptions, sizes, touch: hasTouch() })));
    return new OpenInspection(cost, (query) => call(api.plan(query)), end);
  } catch (error) {
    end();
    throw error;
  }
}

/**
 * What load() with the same options would take, as openInspection() tells; for one question.
 * @throws what openInspection() throws
 */
export async function inspectModel(model: ModelInput, options: InspectOptions = {}): Promise<ModelCost> {
  const inspection = await openInspection(model, options);
  inspection.dispose();
  return inspection.cost;
}

/** A model as load() takes it, or one of storedModels(). */
export type StoredInput = ModelInput | Pick<StoredModel, 'key'>;

async function refOf(model: StoredInput, { revision, token, hub }: HubOptions): Promise<StoredRef> {
  if (typeof model === 'object' && model !== null && 'key' in model) return { kind: 'stored', key: model.key };
  return describeModel(model, { revision, token, hub });
}

/**
 * The size in bytes of a model that this browser keeps whole, so that loading it needs no network; else null.
 * `lastAttempt`: the tab died when it was loaded last, so ask before it is loaded again.
 * @throws invalid-option, storage-unavailable, worker-failed
 */
export async function isStored(
  model: StoredInput,
  options: WorkerOptions & HubOptions = {},
): Promise<{ bytes: number; lastAttempt: LoadAttempt | null } | null> {
  const ref = await refOf(model, storedOptions(options));
  const stored = await askWorker(options, (api) => api.stored(ref));
  return stored?.complete ? unlessLeft({ bytes: stored.storedBytes, lastAttempt: stored.lastAttempt }) : null;
}

/**
 * Every model that this browser keeps, whole or in part, the one used last first.
 * @throws storage-unavailable, worker-failed
 */
export async function storedModels(options: WorkerOptions = {}): Promise<StoredModel[]> {
  return (await askWorker(options, (api) => api.storedModels())).map(unlessLeft);
}

/**
 * Compares what this browser keeps of a model with its digests. Altered pieces are deleted; the next load fetches them.
 * @returns null when nothing of it is kept
 * @throws storage-unavailable while the model is loaded here or in another tab
 */
export async function verifyStored(
  model: StoredInput,
  options: WorkerOptions & HubOptions = {},
): Promise<VerifyResult | null> {
  const ref = await refOf(model, storedOptions(options));
  return askWorker(options, (api) => api.verify(ref));
}

/**
 * Deletes what this browser keeps of a model.
 * @throws storage-unavailable while the model is loaded here or in another tab
 */
export async function deleteStored(model: StoredInput, options: WorkerOptions & HubOptions = {}): Promise<void> {
  const ref = await refOf(model, storedOptions(options));
  return askWorker(options, (api) => api.forget(ref));
}

/**
 * The conversations' caches that this browser keeps, with their sizes, the newest first; see Conversation.save().
 * @throws storage-unavailable, worker-failed
 */
export function savedCaches(options: WorkerOptions = {}): Promise<SavedCache[]> {
  return askWorker(options, (api) => api.savedCaches());
}

/**
 * Deletes a conversation's saved cache; nothing happens where there is none of that name.
 * @throws invalid-option for a name that is no text, storage-unavailable
 */
export function deleteSavedCache(name: string, options: WorkerOptions = {}): Promise<void> {
  return askWorker(options, (api) => api.deleteSavedCache(textOf('name', name)));
}

/** What was said when it was asked, also where it is changed meanwhile; what is wrong with it is the answer's failure. */
function said(input: () => GenerateRequest['input']): Asked['input'] {
  try {
    const copy = input();
    return () => copy;
  } catch (error) {
    return () => Promise.reject(error);
  }
}

/** A loaded model, in a worker of its own. load() makes one. */
export class Engine {
  /** dispose(), for `using` */
  declare [Symbol.dispose]: () => void;
  /** dispose(), for `await using` */
  declare [Symbol.asyncDispose]: () => void;
  readonly #model: HeldModel;
  readonly #wanted: Wanted;

  /** @internal applications use load() */
  static of(model: HeldModel, wanted: Wanted): Engine {
    return new Engine(model, wanted);
  }

  private constructor(model: HeldModel, wanted: Wanted) {
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
      said(() =>
        typeof prompt === 'string' ? { prompt } : { ids: idsOf('prompt', prompt, 'a text or a list of token ids') },
      ),
      options,
    );
  }

  /**
   * A conversation with a cache of its own, so that several can take turns. Under the memory budget, or where the
   * device is full, the cache of the one used longest ago goes first; it is computed again when that one is asked.
   * Without a budget too, eight caches are kept at most.
   * @throws invalid-option for options that it does not take
   */
  conversation(options: ConversationOptions = {}): Conversation {
    const conversation = ++lastId;
    const checked = checkOptions<ConversationOptions>(CONVERSATION_OPTIONS, options);
    const { system: _, messages: __, saved, maxContext, ...always } = checked;
    const chats: Chats = {
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
        const id = ++lastId;
        const save = (worker: RunningWorker) =>
          cancellable(worker, id, signal, () => worker.api.saveCache(conversation, name, id));
        return this.#model.run(save, { signal });
      },
      restore: (name) => this.#model.run(({ api }) => api.restoreCache(conversation, name, maxContext)),
    };
    return new Conversation(chats, { ...checked, messages: messagesOf(checked.messages ?? []) });
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
    const id = ++lastId;
    const change = (worker: RunningWorker) =>
      cancellable(worker, id, signal, () => worker.api.setLora({ id, lora: adapters }));
    const info = await this.#model.run(change, { signal });
    this.#wanted.lora = adapters;
    return this.#withAnswer(info);
  }

  /**
   * What a request would take, before it is made; `fits` and `offers` are about the memory budget and the device's limits.
   * The query may suppose another cache, context, budget, chunk or weights than the model was loaded with. For a
   * conversation's next question see Conversation.plan().
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

  /**
   * The text of token ids, special tokens by their names.
   * @throws invalid-option for ids that the model does not have, and without a tokenizer; disposed
   */
  async detokenize(ids: readonly number[]): Promise<string> {
    const checked = idsOf('ids', ids);
    return this.#model.query(({ api }) => api.detokenize(checked));
  }

  /**
   * Ends the worker, and with it everything on the GPU. Answers under way, and what is asked later, fail as `disposed`.
   */
  dispose(): void {
    this.#model.dispose();
  }

  async #prompt(
    messages: readonly MessageInput[],
    given: ChatTemplateOptions,
  ): Promise<{ text: string; ids: number[] }> {
    const { tokenize: _, ...options } = plain('options', checkOptions<ChatTemplateOptions>(PROMPT_OPTIONS, given));
    const copy = messagesOf(messages);
    return this.#model.query(({ api }) => api.prompt(copy, options));
  }

  /** The query, checked, with the number of tokens in the place of the messages. */
  async #counted(query: ConversationQuery): Promise<PlanQuery> {
    if (!('messages' in Object(query))) return planQuery(query as PlanQuery);
    const { messages, templateOptions, parseSpecial, addGenerationPrompt, ...rest } = query as MessageQuery;
    const promptTokens = await this.countTokens(messages, { templateOptions, parseSpecial, addGenerationPrompt });
    return planQuery({ ...rest, promptTokens });
  }

  #request(
    input: Asked['input'],
    options: GenerateOptions,
    of: Pick<GenerateRequest, 'conversation' | 'saved' | 'maxContext'> = {},
  ): Answer {
    return answerFrom(this.#model, { id: ++lastId, input, ...of }, options);
  }
}

disposable(Engine.prototype);
