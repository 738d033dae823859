/**
 * Every message between page and worker. Calls go through comlink (WorkerApi); progress and tokens arrive over
 * MessagePorts, because a comlink callback costs ten times a port message. Errors cross as {code, message, details}
 * (errors.ts); an AbortSignal, which cannot be cloned, crosses as `cancel(request)`.
 */
import type { TransferHandler } from 'comlink';
import { asNibbleError, type ErrorCode, type ErrorDetails, NibbleError } from './errors';
import type { SourceDescription } from './sources/source';

export type Backend = 'webgpu' | 'cpu';

/** Options of load(): every one of them shows up in info() as its effective value, or is refused. */
export interface EngineOptions {
  backend?: 'auto' | Backend;
  /** 'keep' (default): 8 bits or fewer as stored, 16 and 32 bits become NF4 */
  weights?: 'keep' | 'nf4' | 'q8' | 'f16' | 'f32';
  /** parts of tensor names, such as 'lm_head' or 'layers.0.mlp': these stay as they are stored, whatever `weights` says */
  keep?: readonly string[];
  /**
   * how keys and values are kept: 'f16' (default), 'f32', or 'int8' in a little over half of f16's bytes at a small loss
   * (bench/kv.md)
   */
  kv?: 'f16' | 'f32' | 'int8';
  kvCapacity?: 'auto' | 'full' | number;
  maxContext?: number;
  memoryBudget?: number;
  /**
   * of models with sliding layers: copies of what those hold, from the ends of a conversation's newest prompts, so that
   * a long answer can be given again, or a question edited, without computing all before it again; 0 (default) none,
   * 64 at most. They are the first to go where memory is short
   */
  snapshots?: number;
  /** prefill chunk in tokens */
  chunk?: number;
  /** text of a chat template (Jinja) to use in the place of the model's own; null in info(): the model's own */
  chatTemplate?: string;
  tune?: 'auto' | 'off' | string;
  /** force WebGPU's default limits / no optional features */
  limits?: 'adapter' | 'default';
  features?: 'all' | 'none';
  /**
   * 'indexeddb' (default) keeps the model for the next visit, and fails where there is no room for it; 'if-room' then
   * goes on without keeping the rest; 'none' downloads each time
   */
  storage?: 'indexeddb' | 'if-room' | 'none';
  /**
   * ask the browser not to evict what is kept; set it where the person asked for the model. In info(): what it said, and
   * false until it has
   */
  persist?: boolean;
}

export interface LoadRequest {
  id: number;
  source: SourceDescription;
  options: EngineOptions;
  lora?: readonly LoraDescription[];
  /** name of this attempt, for the mark that a load leaves where the tab dies under it; without one it leaves none */
  attempt?: string;
  /** an attempt that is known to have ended otherwise: by a person who left, or before the eyes of the page */
  left?: string | null;
  /** the page's screen takes more than one finger, which a worker cannot see */
  touch?: boolean;
}

/** A load that began to allocate and did not come to an end, good or bad: the tab died under it. */
export interface LoadAttempt {
  id: string;
  /** that were to be allocated */
  bytes: number;
  /** ms since 1970 */
  at: number;
  /** what happened and what may help, one sentence for the person */
  message: string;
}

export interface InspectRequest extends Pick<LoadRequest, 'source' | 'options' | 'touch'> {
  /** false: of a folder nothing but config.json and manifest.json is asked for */
  sizes?: boolean;
}

/** A LoRA adapter in PEFT's format. */
export interface LoraDescription {
  source: SourceDescription;
  /** multiplies the adapter's own scaling; 1 as it was trained */
  scale: number;
}

export interface LoraRequest {
  id: number;
  /** in the place of those that are active; they act in this order */
  lora: readonly LoraDescription[];
}

/** An active adapter. */
export interface LoraInfo {
  name: string;
  scale: number;
  dora: boolean;
  /** how many modules it changes, and with which ranks and effective scalings (each value once) */
  modules: number;
  ranks: readonly number[];
  scalings: readonly number[];
  /** of its weight file */
  bytes: number;
}

export interface Progress {
  /** in this order, and never back, unless the load begins anew: `note` says why */
  phase: 'header' | 'download' | 'upload' | 'compile' | 'ready';
  /** bytes of weights in place so far, and in all */
  loadedBytes: number;
  totalBytes: number;
  /** of loadedBytes, those that came over the network now (the rest were stored) */
  networkBytes: number;
  bytesPerSecond: number | null;
  secondsLeft: number | null;
  /** one sentence for the person when something is out of the ordinary, e.g. another tab is downloading */
  note?: string;
}

export interface ChatMessage {
  role: 'system' | 'user' | 'assistant';
  content: string;
  /** what the assistant thought before it answered, for templates that show it again */
  reasoning_content?: string;
}

export interface TextPart {
  type: 'text';
  text: string;
}

/** A call that the assistant made, as OpenAI's clients keep it. */
export interface ToolCall {
  id?: string;
  type?: 'function';
  function: { name: string; arguments: string | Record<string, unknown> };
}

/**
 * A message as it may be given: roles and content as OpenAI's clients have them, where the model's template takes them. A
 * template that wants text gets the parts joined by line ends. What else a message holds reaches the template as it is.
 */
export interface MessageInput {
  role: ChatMessage['role'] | 'developer' | 'tool';
  /** null only beside tool_calls */
  content?: string | readonly TextPart[] | null;
  reasoning_content?: string | null;
  name?: string;
  tool_calls?: readonly ToolCall[] | null;
  tool_call_id?: string;
}

/** What a chat template gets beside the messages. */
export interface TemplateOptions {
  /** variables of the template, e.g. { enable_thinking: false }: JSON */
  templateOptions?: Record<string, unknown>;
  /** names of control tokens in messages command, as in a plain prompt; false (default): what was typed is text */
  parseSpecial?: boolean;
}

export interface PromptOptions extends TemplateOptions {
  /** end with the opening of the assistant's turn (default) */
  addGenerationPrompt?: boolean;
}

export interface SamplingOptions extends TemplateOptions {
  maxNewTokens?: number;
  temperature?: number;
  topK?: number;
  topP?: number;
  seed?: number;
  stop?: string | string[];
  ignoreEos?: boolean;
  /**
   * where the conversation needs more positions than the context, `kvCapacity` or the memory budget allows: 'error'
   * (default) refuses it with the numbers; 'shift' leaves out tokens between the system prompt and the newest ones, before
   * the answer or within it, and says so in `note` and `stats.droppedTokens`
   */
  overflow?: 'error' | 'shift';
}

export interface GenerateRequest {
  id: number;
  /** positions that this conversation may take, where that is less than the model was loaded for */
  maxContext?: number;
  /** whose cache is used; 0, when absent, is that of whoever keeps no conversations */
  conversation?: number;
  input: { messages: MessageInput[] } | { prompt: string } | { ids: number[] };
  options: SamplingOptions;
  /** a saved cache to begin with, where the conversation holds nothing; what cannot be used is noted and computed */
  saved?: string;
  /** ids that this answer had when it was cut off: they are told again, then it goes on (give it the same seed) */
  made?: number[];
  /** tell over the token port how far the prompt has been read */
  prefill?: boolean;
}

/** Tokens of the prompt that are read, of those that had to be. */
export interface Prefill {
  done: number;
  total: number;
}

/** What the token port carries. `text` may be empty while a character, a mark or a stop string is incomplete. */
export interface TokenMessage {
  text: string;
  ids: number[];
  /** what the text is: thought before the answer, or the marks around that; absent: the answer's */
  type?: 'reasoning' | 'mark';
  prefill?: Prefill;
}

/** A piece of an answer. */
export interface AnswerPart {
  type: 'reasoning' | 'text';
  text: string;
}

export type FinishReason = 'stop' | 'length' | 'aborted';

export interface GenerateResult {
  ids: number[];
  /** the answer, without what was thought before it */
  text: string;
  /** what the model thought before it answered; '' where it did not, for a plain prompt, and without marks in its template */
  reasoning: string;
  /** all that the model wrote: reasoning, its marks, and the answer */
  raw: string;
  finish: FinishReason;
  stats: GenerateStats;
  memory: MemoryInfo;
  /** what had to change to make room for the answer, and what of the model's defaults was not followed; null: nothing */
  note: string | null;
  /** what was in effect, the model's own defaults and the random seed included */
  options?: Required<SamplingOptions>;
}

export interface GenerateStats {
  promptTokens: number;
  /** of the prompt, taken from the cache */
  reusedTokens: number;
  /** of prompt and answer, no longer seen at the end (overflow 'shift') */
  droppedTokens: number;
  newTokens: number;
  ttftMs: number;
  prefillTps: number;
  decodeTps: number;
  /** how often the device or the worker was lost under this answer, which then went on; absent: never */
  recoveries?: number;
}

export interface MemoryInfo {
  weights: number;
  kv: number;
  scratch: number;
  staging: number;
  total: number;
  peak: number;
  /** KV bytes that the model's full context would have taken */
  kvFullContext: number;
  /** conversations that have a cache */
  conversations: number;
  /** slots by layer kind, of the conversation used last */
  kvSlots: { global: number | null; sliding: number | null };
}

export interface ModelInfo {
  name: string;
  revision: string | null;
  family: string;
  parameters: number;
  contextLength: number;
  backend: Backend;
  /** why the CPU answers, when it does: one sentence for the person */
  backendReason: string;
  adapter: { vendor: string; architecture: string; device: string; description: string; isFallback: boolean } | null;
  /** what this device probably allows */
  deviceEstimate: DeviceEstimate;
  /** effective options */
  options: Required<Omit<EngineOptions, 'maxContext' | 'memoryBudget' | 'chatTemplate'>> & {
    maxContext: number;
    memoryBudget: number | null;
    chatTemplate: string | null;
  };
  /** why the model is not kept for the next visit, when it is not: one sentence */
  storageReason?: string;
  /** matrix types by count and bytes, e.g. { q4: { count: 210, bytes: … } } */
  weightTypes: Record<string, { count: number; bytes: number }>;
  variants: Readonly<Record<string, string>>;
  /** the active LoRA adapters, in order */
  lora: readonly LoraInfo[];
  hasTokenizer: boolean;
  hasChatTemplate: boolean;
  /**
   * what of the model is otherwise than its files say, and what of its generation_config.json is not followed, and why:
   * sentences for the person
   */
  notes: readonly string[];
}

/** What a request would take. */
export interface PlanInfo {
  weights: number;
  kv: number;
  kvByLayer: { kind: 'global' | 'sliding'; slots: number; bytes: number }[];
  /** KV bytes that the model's full context would take, in the same type */
  kvFullContext: number;
  scratch: number;
  staging: number;
  /** weights + kv + scratch */
  total: number;
  /** the most that exists at once, loading included: what a budget is compared with */
  peak: number;
  /** the same if it were asked now, with what conversations hold and while caches grow; null before a model is loaded */
  peakNow: number | null;
  fits: boolean;
  /** what would fit, best first, in words, when `fits` is false; `offers` has the same for programs */
  suggestions: string[];
  offers: PlanOffer[];
}

/** Something to ask for otherwise, in the names of PlanQuery. */
export interface PlanChange {
  promptTokens?: number;
  maxNewTokens?: number;
  kv?: NonNullable<EngineOptions['kv']>;
  kvCapacity?: 'auto';
  snapshots?: 0;
  chunk?: number;
  weights?: 'nf4';
}

/** A change with which a plan fits; only 'smaller-model' has none. */
export interface PlanOffer {
  kind:
    | 'kv-capacity'
    | 'snapshots'
    | 'new-tokens'
    | 'kv'
    | 'chunk'
    | 'weights'
    | 'prompt'
    | 'together'
    | 'smaller-model';
  change: PlanChange;
  /** bytes in all with it */
  total: number;
  /** one sentence with the numbers */
  text: string;
}

/** What a device probably allows; nothing is refused for it. */
export interface DeviceEstimate {
  bytes: number;
  /** where the number comes from: one sentence */
  reason: string;
}

/** What a model would take, known from its headers. */
export interface ModelCost {
  name: string;
  family: string;
  parameters: number;
  contextLength: number;
  /** of its weight files; null where their sizes were not asked for */
  bytes: number | null;
  /** of the model, kept in this browser already */
  storedBytes: number;
  /** nothing is left to download: all of it is kept here, or it is files on this device */
  here: boolean;
  /** of a short chat: question and answer together */
  tokens: number;
  /**
   * what a chat of `tokens` takes, weights included; of a folder of safetensors an estimate, as only its config.json has
   * been read
   */
  plan: PlanInfo;
  /** what this device probably allows */
  deviceEstimate: DeviceEstimate;
  /** the last load, if the tab died under it */
  lastAttempt: LoadAttempt | null;
  /** see ModelInfo */
  notes: readonly string[];
}

/** A request, and what to suppose in the place of what the model was loaded with. */
export interface PlanQuery
  extends Pick<EngineOptions, 'kv' | 'kvCapacity' | 'maxContext' | 'snapshots' | 'weights' | 'chunk'> {
  /** see GenerateRequest; Conversation.plan() fills it in */
  conversation?: number;
  promptTokens: number;
  maxNewTokens: number;
  /** bytes; null: none */
  memoryBudget?: number | null;
}

/** The worker's face. One model a worker. */
export interface WorkerApi {
  /**
   * Proves that the worker started, and takes the Web Lock `life` for as long as it lives.
   * @returns whether it could: there are none on insecure pages and in opaque origins
   */
  hello(life: string): Promise<boolean>;
  load(request: LoadRequest, progress: MessagePort): Promise<ModelInfo>;
  /** What a model would take; fetches headers only, and needs no load. */
  inspect(request: InspectRequest): Promise<ModelCost>;
  generate(request: GenerateRequest, tokens: MessagePort): Promise<GenerateResult>;
  setLora(request: LoraRequest): Promise<ModelInfo>;
  /**
   * Saves a conversation's cache under a name.
   * @param id what cancel() takes
   * @throws invalid-option, quota-exceeded, storage-unavailable, aborted
   */
  saveCache(conversation: number, name: string, id?: number): Promise<SavedCache>;
  /**
   * Puts a saved cache in the place of a conversation's.
   * @param maxContext see GenerateRequest
   * @returns tokens that it holds; null when nothing was saved under that name
   * @throws integrity-mismatch, invalid-option, context-overflow, out-of-memory, storage-unavailable
   */
  restoreCache(conversation: number, name: string, maxContext?: number): Promise<number | null>;
  /** What is saved here, the newest first; needs no load. */
  savedCaches(): Promise<SavedCache[]>;
  deleteSavedCache(name: string): Promise<void>;
  /** Frees the cache of a conversation, when the answers under way are done. */
  close(conversation: number): Promise<void>;
  /** Stops load, generate, setLora or saveCache number `id`; unknown ids are ignored. */
  cancel(id: number): Promise<void>;
  /** Of the model that is loaded, or else of the one that was inspected last. @throws invalid-option, context-overflow */
  plan(query: PlanQuery): Promise<PlanInfo>;
  /** What the model is given for these messages. @throws invalid-option */
  prompt(messages: MessageInput[], options: PromptOptions): Promise<{ text: string; ids: number[] }>;
  info(): Promise<ModelInfo>;
  memory(): Promise<MemoryInfo>;
  tokenize(text: string, special: boolean): Promise<number[]>;
  detokenize(ids: number[]): Promise<string>;
  /** What is kept of a model, null when nothing is; needs no load. */
  stored(model: StoredRef): Promise<StoredModel | null>;
  /** All models that are kept here, the one used last first. */
  storedModels(): Promise<StoredModel[]>;
  /** Compares what is kept of a model with its digests; null when nothing is. @throws storage-unavailable: in use */
  verify(model: StoredRef): Promise<VerifyResult | null>;
  /** Deletes what is kept of a model. @throws storage-unavailable when it is in use */
  forget(model: StoredRef): Promise<void>;
  dispose(): Promise<void>;
}

export interface StoredModel {
  /** what deleteStored() and verifyStored() take, too */
  key: string;
  name: string;
  /** the commit, where the source knows it */
  revision: string | null;
  /** everything that a load needs is here: it will make no request */
  complete: boolean;
  /** in whole chunks */
  storedBytes: number;
  /** ms since 1970 */
  lastUsed: number;
  /** the last load, if the tab died under it */
  lastAttempt: LoadAttempt | null;
}

/** A conversation's cache that is kept in this browser. */
export interface SavedCache {
  name: string;
  /** key of the model that it was computed with; with that model it is deleted */
  model: string;
  revision: string | null;
  tokens: number;
  bytes: number;
  /** ms since 1970 */
  savedAt: number;
}

/** A model by where it comes from, or by the key that it is kept under. */
export type StoredRef = SourceDescription | { kind: 'stored'; key: string };

export interface VerifyResult {
  checkedBytes: number;
  /** not what was stored; deleted */
  alteredChunks: number;
  /** deleted by somebody else */
  missingChunks: number;
}

export interface WireError {
  code: ErrorCode;
  message: string;
  details: ErrorDetails;
}

/**
 * Teaches comlink to pass thrown NibbleErrors whole: by itself it keeps the message only.
 * @param handlers comlink's `transferHandlers`; each side calls this once, before the first message
 * @internal
 */
export function passErrors(handlers: Map<string, TransferHandler<unknown, unknown>>): void {
  const thrown = handlers.get('throw') as TransferHandler<{ value: unknown }, WireError>;
  handlers.set('throw', {
    canHandle: thrown.canHandle,
    serialize: (marked) => [asNibbleError((marked as { value: unknown }).value).toJSON(), []],
    deserialize: (wire) => {
      const { code, message, details } = wire as WireError;
      throw new NibbleError(code, message, details);
    },
  });
}
