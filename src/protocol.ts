/**
 * Every message between page and worker. Calls go through comlink (WorkerApi); progress and tokens arrive over
 * MessagePorts, because a comlink callback costs ten times a port message. Errors cross as {code, message, details}
 * (errors.ts); an AbortSignal, which cannot be cloned, crosses as `cancel(request)`. It is long because the wire is one
 * file, and half of it docstrings: most of these types are the library's face, too.
 */
import type { TransferHandler } from 'comlink';
import { asNibbleError, type ErrorCode, type ErrorDetails, NibbleError } from './errors';
import type { SourceDescription } from './sources/source';

/** What computes: the graphics device (WebGPU), or the processor, in WebAssembly or in plain JavaScript. */
export type Backend = 'webgpu' | 'cpu';

/** Who answers: the model on this device, or a server (load() with `remote`, or connect()). */
export type AnswerSource = 'device' | 'server';

/**
 * How a model is loaded and held. Every option shows up in info() as its effective value, or is refused; `null` counts
 * as absent.
 */
export interface EngineOptions {
  /**
   * 'auto' (default) takes WebGPU where there is a hardware adapter that computes what it should, else the CPU.
   * 'webgpu' takes a software adapter too, and throws webgpu-unavailable where there is none.
   */
  backend?: 'auto' | Backend;
  /**
   * How weights are held. 'keep' (default): 8 bits or fewer as they are stored, 16 and 32 bits become NF4. The others
   * convert every matrix to that type.
   */
  weights?: 'keep' | 'nf4' | 'q8' | 'f16' | 'f32';
  /**
   * Parts of tensor names, such as 'lm_head' or 'layers.0.mlp': these tensors stay as they are stored, whatever
   * `weights` says. Default: none.
   */
  keep?: readonly string[];
  /**
   * How keys and values are held: 'f16' (default), 'f32', or 'int8' in a little over half of f16's bytes at a small
   * loss (bench/kv.md).
   */
  kv?: 'f16' | 'f32' | 'int8';
  /**
   * How the inputs of products are held. 'auto' (default): as they are computed, or where that is faster in 16 bits: on
   * the CPU for one token with quantised weights, on a GPU with f16 for prompts. 'f32': as they are computed. 'int8':
   * on a GPU with integer dot products, in 8 bits for a prompt's products with quantised weights, where that is faster,
   * a second rounding (bench/int8.md); the CPU and other GPUs take 'auto', and `activationsReason` says why.
   */
  activations?: 'auto' | 'f32' | 'int8';
  /**
   * Positions of the KV cache: 'auto' (default) as many as the conversation needs, 'full' the whole context, or a
   * number.
   */
  kvCapacity?: 'auto' | 'full' | number;
  /**
   * Positions (tokens of prompt and answer) that a conversation may take. Default, and most: the model's context
   * length.
   */
  maxContext?: number;
  /**
   * Bytes that weights, caches and buffers together never exceed, loading included. Where not even a shortened answer
   * fits, out-of-memory says what would. Default: none.
   */
  memoryBudget?: number;
  /**
   * Of models with sliding-window layers: how many copies of those layers' caches are kept, from the ends of a
   * conversation's newest prompts, so that a long answer can be given again, or a question edited, without computing
   * all before it again. 0 (default) to 64. They are the first to go where memory is short.
   */
  snapshots?: number;
  /**
   * Tokens of a prompt that are computed at once: 'auto' (default) takes 128, and 256 on a GPU where the memory budget
   * has room for the model's whole context with it. In info(): how many.
   */
  chunk?: 'auto' | number;
  /**
   * Threads that compute where the CPU answers: 'auto' (default) takes all of up to four processors, and half of more,
   * 8 at most. They need shared memory: in a page only where it is cross-origin isolated (docs/hosting.md). In
   * info(): how many there are; 1 on the GPU.
   */
  threads?: 'auto' | number;
  /** Text of a chat template (Jinja) to use in the place of the model's own. null in info(): the model's own. */
  chatTemplate?: string;
  /**
   * Which kernels run on a real GPU. 'auto' (default): those that are the fastest for this model on this device, found
   * while weights arrive (3 s at most), remembered, and checked against the CPU at each load; what computes wrong
   * values is never used (info().tuning). 'off': what suits the kind of device, unchecked. Names of whole sets are for
   * tests ('small', 'gpu', 'software').
   */
  tune?: 'auto' | 'off' | string;
  /**
   * WebGPU's limits: 'adapter' (default) asks for what the adapter has, 'default' for no more than every device has.
   */
  limits?: 'adapter' | 'default';
  /** Optional WebGPU features: 'all' (default) that the adapter has and a kernel uses, or 'none'. */
  features?: 'all' | 'none';
  /**
   * Whether the model is kept for the next visit. 'indexeddb' (default): yes, and quota-exceeded where there is no room
   * for it. 'if-room': as far as there is room. 'none': never; it is downloaded each time.
   */
  storage?: 'indexeddb' | 'if-room' | 'none';
  /**
   * Ask the browser not to evict what is kept (default: false). Set it where the person asked for the model, as some
   * browsers show a prompt. In info(): what the browser said, and false until it has.
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

/**
 * A load that began to allocate memory and never came to an end, good or bad: most likely the browser ended the tab.
 */
export interface LoadAttempt {
  /** Random, one for each attempt. */
  id: string;
  /** Bytes that were to be allocated. */
  bytes: number;
  /** When it began, in ms since 1970. */
  at: number;
  /** What happened and what may help: one sentence for the person. */
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

/** An active LoRA adapter. */
export interface LoraInfo {
  /** Its Hub id, its address, or the name of its folder. */
  name: string;
  /** What multiplies its own scaling; 1 as it was trained. */
  scale: number;
  /** Whether it is a DoRA adapter: it also sets the length of each row. */
  dora: boolean;
  /** How many modules of the model it changes. */
  modules: number;
  /** Ranks of its matrices, each value once. */
  ranks: readonly number[];
  /** Effective scalings (alpha / rank, or alpha / √rank of rsLoRA, times `scale`), each value once. */
  scalings: readonly number[];
  /** Bytes of its weight file. */
  bytes: number;
}

/**
 * How far a load has come. Phases come in the order of their list, and never back, unless the load begins anew: `note`
 * says why.
 */
export interface Progress {
  /**
   * 'header': reading what the files say. 'download': fetching weights and placing them. 'upload': placing weights that
   * are here already. 'compile': making the kernels. 'ready': done.
   */
  phase: 'header' | 'download' | 'upload' | 'compile' | 'ready';
  /** Bytes of weights that have come so far, from the network or from storage. */
  loadedBytes: number;
  /** Bytes of weights in all; 0 until that is known. */
  totalBytes: number;
  /** Of loadedBytes, those that came over the network in this load; the rest were kept in this browser. */
  networkBytes: number;
  /** How many of them came in a second of late; null until there is enough to tell. */
  bytesPerSecond: number | null;
  /** Estimated seconds until the weights are in place; null until there is enough to tell. */
  secondsLeft: number | null;
  /** One sentence for the person when something is out of the ordinary, e.g. another tab is downloading. */
  note?: string;
}

/** A message in its plain form, as the conversation of `<nibble-chat>` tells it. */
export interface ChatMessage {
  /** Who speaks. */
  role: 'system' | 'user' | 'assistant';
  /** What was said. */
  content: string;
  /** What the assistant thought before it answered, for templates that show it again. */
  reasoning_content?: string;
}

/** A part of a message's content, as OpenAI's clients write it; only text is taken. */
export interface TextPart {
  /** The kind of part. */
  type: 'text';
  /** The text. */
  text: string;
}

/** A call that the assistant made, as OpenAI's clients keep it. The chat template decides what becomes of it. */
export interface ToolCall {
  /** What the tool's answer names as `tool_call_id`. */
  id?: string;
  /** The kind of call; 'function' where it is said. */
  type?: 'function';
  /** The function's name and its arguments: an object, or its JSON as a text. */
  function: { name: string; arguments: string | Record<string, unknown> };
}

/**
 * A message as it may be given: roles and content as OpenAI's clients have them, where the model's template takes them.
 * What else a message holds reaches the template as it is.
 */
export interface MessageInput {
  /** Who speaks. 'developer' and 'tool' throw invalid-option where the model's template does not take them. */
  role: ChatMessage['role'] | 'developer' | 'tool';
  /**
   * What was said; a list of text parts goes to templates that take lists, to others joined by line ends. null only
   * beside `tool_calls`.
   */
  content?: string | readonly TextPart[] | null;
  /** What the assistant thought before it answered, for templates that show it again. */
  reasoning_content?: string | null;
  /** Name of the speaker or tool, for templates that show it. */
  name?: string;
  /** Calls that the assistant made, for templates that show them. */
  tool_calls?: readonly ToolCall[] | null;
  /** Of role 'tool': the call that this answers. */
  tool_call_id?: string;
}

/** What a chat template gets beside the messages. */
export interface TemplateOptions {
  /** Variables of the template, e.g. `enable_thinking: false`: values that JSON can hold. Default: none. */
  templateOptions?: Record<string, unknown>;
  /**
   * true: names of control tokens in messages act as control tokens, as in a plain prompt. false (default): what was
   * typed is text.
   */
  parseSpecial?: boolean;
  /**
   * true: the last message is not answered but continued, in its own turn; the answer's text is what comes behind it.
   * Default: false.
   */
  continueFinalMessage?: boolean;
}

/** A tool that a model may call, as JSON can say it. */
export interface ToolDefinition {
  /** What the model calls it by: letters, digits, _, - and ., 64 at most, unlike that of any other tool. */
  name: string;
  /** What it does, for the model. */
  description?: string;
  /** JSON Schema of its arguments, an object. Default: it takes none. */
  parameters?: Record<string, unknown>;
}

/** A tool as OpenAI's clients write it, and as chat templates are given it. */
export interface FunctionTool {
  /** The kind of tool. */
  type: 'function';
  /** The tool itself. */
  function: ToolDefinition;
}

/** Which tools a prompt tells the model of. */
export interface ToolOptions {
  /** Tools that the model may call. Default: none. */
  tools?: readonly (ToolDefinition | FunctionTool)[];
  /**
   * How calls are written where the model's chat template knows no tools, or has no form of calls that is known here.
   * 'auto' (default) describes them in the system message, and calls are JSON (the generic form); that is said in
   * `note`. 'native' throws invalid-option.
   */
  toolForm?: 'auto' | 'native';
}

/** How a prompt is made of messages. */
export interface PromptOptions extends TemplateOptions, ToolOptions {
  /** Whether the prompt ends with the opening of the assistant's turn. Default: true. */
  addGenerationPrompt?: boolean;
}

/**
 * How one answer is made. Where an option is absent, the model's own generation_config.json counts, and then the
 * default given here; `result.options` tells what was in effect.
 */
export interface SamplingOptions extends TemplateOptions {
  /**
   * Most tokens that the answer may have; then it ends with `finish: 'length'`. Default: 256, or less where the context
   * has less room.
   */
  maxNewTokens?: number;
  /** Least tokens that the answer has: the model cannot end it before. Default: 0. */
  minTokens?: number;
  /**
   * 0 takes the likeliest token each time; 1 draws by the model's probabilities; up to 100. Default: 0, or 1 where an
   * option is given that says from what is drawn, such as `topK`, `topP` or `minP`.
   */
  temperature?: number;
  /**
   * The temperature is lower by up to this where the model is sure, and higher where it is not (0 to 100): between the
   * two it follows the entropy of all tokens. Default: 0, a fixed temperature.
   */
  dynatempRange?: number;
  /** With `dynatempRange`: the entropy's share of the largest there can be, to this power (0 to 100). Default: 1. */
  dynatempExponent?: number;
  /** Draws from the tokens whose logits are within so many standard deviations of the largest. Default: 0, all. */
  topNSigma?: number;
  /** Draws from those of the 100 likeliest tokens that have this share of their entropy (0 to 1). Default: 0, all. */
  topH?: number;
  /** Draws from the K likeliest tokens only. Default: 0, which is all; 50 where the model samples and does not say. */
  topK?: number;
  /** Draws from the likeliest tokens that together have this probability (0 to 1). Default: 1, which is all. */
  topP?: number;
  /** Draws from the tokens that have this share of the likeliest one's probability (0 to 1). Default: 0, all. */
  minP?: number;
  /**
   * Draws from the tokens whose surprise is the nearest to what is to be expected, and which together have this
   * probability (0 to 1). Default: 1, which is all.
   */
  typicalP?: number;
  /**
   * XTC: how likely a draw leaves out the tokens that are likeliest, all of at least `xtcThreshold` but the least of
   * them (0 to 1). Default: 0, never.
   */
  xtcProbability?: number;
  /** XTC: the probability from which on a token counts as likely (0 to 1); above 0.5 none does. Default: 0.1. */
  xtcThreshold?: number;
  /** Draws from the tokens of at least this probability (0 to 1; 1 is all, too). Default: 0, which is all. */
  epsilonCutoff?: number;
  /** As `epsilonCutoff`, with a bound that is lower where the model is not sure. Default: 0, which is all. */
  etaCutoff?: number;
  /**
   * Logits of tokens that prompt or answer have are divided by this, and multiplied where they are below 0 (0.01 to
   * 100). Default: 1, which does nothing.
   */
  repetitionPenalty?: number;
  /** How many of the last tokens of prompt and answer `repetitionPenalty` looks at (0 to 4096). Default: 0, all. */
  repeatLastN?: number;
  /** What tokens that the answer has lose of their logits (-2 to 2). Default: 0. */
  presencePenalty?: number;
  /** What tokens lose of their logits for each time that the answer has them (-2 to 2). Default: 0. */
  frequencyPenalty?: number;
  /**
   * DRY: a token that would make a repetition of L tokens longer loses `dryMultiplier * dryBase ** (L -
   * dryAllowedLength)` of its logit, where L is at least `dryAllowedLength` (0 to 100). Default: 0, which does nothing.
   */
  dryMultiplier?: number;
  /** DRY: by what the penalty grows with each token (1 to 100). Default: 1.75. */
  dryBase?: number;
  /** DRY: the shortest repetition that is penalised, in tokens (1 to 4096). Default: 2. */
  dryAllowedLength?: number;
  /** DRY: tokens of prompt and answer on which it looks back. Default: 0, all. */
  dryLastN?: number;
  /**
   * DRY: texts over which no repetition reaches: a token that has one of them in it. Default: line end, colon,
   * quotation mark and asterisk.
   */
  dryBreakers?: readonly string[];
  /** No sequence of so many tokens comes twice in prompt and answer. Default: 0, any may. */
  noRepeatNgram?: number;
  /** What is added to the logits of tokens, by their ids (-10000 to 10000; -100 is as good as a ban). Default: none. */
  logitBias?: Readonly<Record<number, number>>;
  /** Ids of tokens that never come. Default: none. */
  suppressTokens?: readonly number[];
  /** Ids of tokens that do not come first in the answer. Default: none. */
  beginSuppressTokens?: readonly number[];
  /** Sequences of token ids that do not come in the answer; the tokens that end it are no words. Default: none. */
  badWords?: readonly (readonly number[])[];
  /** Ids of tokens with which the answer begins. Default: none. */
  forcedTokens?: readonly number[];
  /** Ids of tokens of which one is the last, where the answer comes to `maxNewTokens`. Default: none. */
  forcedEos?: readonly number[];
  /**
   * Tells the log-probability of each token with it, and of as many alternatives, the likeliest ones (0 to 20; true is
   * 0): of the model's own distribution, before all that these options do to it. Default: false.
   */
  logprobs?: boolean | number;
  /** Whole number below 2^32: the same seed, prompt and options draw the same tokens. Default: random. */
  seed?: number;
  /** Texts before which the answer ends (`finish: 'stop'`); they are not part of it. Default: none. */
  stop?: string | string[];
  /** Go on where the model would end its answer. Default: false. */
  ignoreEos?: boolean;
  /**
   * What is done where the conversation needs more positions than the context, `kvCapacity` or the memory budget
   * allows. 'error' (default) refuses it as context-overflow, with the numbers. 'shift' leaves out tokens between the
   * system prompt and the newest ones, before the answer or within it, and says so in `note` and `stats.droppedTokens`.
   */
  overflow?: 'error' | 'shift';
  /**
   * 'prompt' proposes what followed the same tokens earlier in the conversation and tries several of them in one pass,
   * for as long as that is faster; the tokens are the same, but for ties within the rounding of a pass. 'off'
   * (default).
   */
  speculate?: 'off' | 'prompt';
  /**
   * A JSON Schema (2020-12): the answer is JSON that is valid under it, its properties in the schema's order. What
   * cannot be held to throws invalid-option with its place, before the first token. One of `schema`, `pattern`,
   * `choice` and `grammar` at most; a thought before the answer is free. Default: none.
   */
  schema?: Record<string, unknown> | null;
  /** A regular expression in JavaScript's syntax (flag u): the answer as a whole matches it. Default: none. */
  pattern?: string | null;
  /** The answer is one of these texts. Default: none. */
  choice?: readonly string[] | null;
  /** A grammar in GBNF, as llama.cpp reads it: the answer is what its rule `root` says. Default: none. */
  grammar?: string | null;
  /**
   * Text that a constraint leaves no choice about (keys, punctuation) is taken as the tokenizer itself writes it, in
   * one pass. Default: true; false draws each of its tokens.
   */
  forced?: boolean;
  /**
   * Most tokens that a model which thinks may think before it answers; then its thought is closed for it. Default: as
   * many as the answer may have.
   */
  maxThinkingTokens?: number | null;
}

export interface GenerateRequest {
  id: number;
  /** positions that this conversation may take, where that is less than the model was loaded for */
  maxContext?: number;
  /**
   * how many of those requests that say the same number are answered together, each in a cache that it is given;
   * absent: this one alone
   */
  together?: number;
  /** whose cache is used; 0, when absent, is that of whoever keeps no conversations */
  conversation?: number;
  input: { messages: MessageInput[] } | { prompt: string } | { ids: number[] };
  options: SamplingOptions;
  /**
   * tools that may be called; `choice`: whether one must be, or which; none: the model is not told of them; answer: it
   * has to answer, where the form lets that be asked
   */
  tools?: Omit<ToolOptions, 'tools'> & {
    tools: readonly FunctionTool[];
    choice?: 'auto' | 'none' | 'required' | 'answer' | { name: string };
  };
  /** a saved cache to begin with, where the conversation holds nothing; what cannot be used is noted and computed */
  saved?: string;
  /** ids that this answer had when it was cut off: they are told again, then it goes on (give it the same seed) */
  made?: number[];
  /** tell over the token port how far the prompt has been read */
  prefill?: boolean;
}

/** How far a prompt has been read; tokens that the cache held already do not count. */
export interface Prefill {
  /** Tokens read so far. */
  done: number;
  /** Tokens to read. */
  total: number;
}

/** A token that might have come, with the natural logarithm of its probability. */
export interface TokenAlternative {
  /** Its id; -1 where a server answered, which tells none. */
  id: number;
  /** Its text; U+FFFD for what is a part of a character. '' without a tokenizer. */
  text: string;
  /** The bytes that it stands for, of which several tokens may make a character; null without a tokenizer. */
  bytes: number[] | null;
  /** Natural logarithm of its probability, as the model gave it, before all options. */
  logprob: number;
}

/** A token of the answer, and what might have come in its place. */
export interface TokenLogprob extends TokenAlternative {
  /** The likeliest tokens there, the likeliest first, as many as were asked for; what came may be one of them. */
  top: TokenAlternative[];
}

/** What the token port carries. `text` may be empty while a character, a mark or a stop string is incomplete. */
export interface TokenMessage {
  text: string;
  ids: number[];
  /** of these ids, where they were asked for and were not told before (GenerateRequest.made) */
  logprobs?: TokenLogprob[];
  /** what the text is: thought before the answer, marks around that or around calls, a call; absent: the answer's */
  type?: 'reasoning' | 'mark' | 'tool-call';
  /** what the model wrote, where that is not the text */
  raw?: string;
  call?: ToolCallPart;
  prefill?: Prefill;
}

/** A call of a tool that the model made. */
export interface ParsedCall {
  /** What the tool's result names as `tool_call_id`. */
  id: string;
  /** The tool's name, as the model wrote it. */
  name: string;
  /** Its arguments; null where they cannot be read: see `error`. They are not checked against the tool's parameters. */
  arguments: Record<string, unknown> | null;
  /** The call as the model wrote it. */
  text: string;
  /** Why it cannot be made: arguments that are no JSON object or are cut off, or a tool that does not exist. */
  error?: string;
}

/** Which call a piece of an answer is of. */
export interface ToolCallPart {
  /** Its number in the answer, from 0. */
  index: number;
  /** What the tool's result names as `tool_call_id`. */
  id: string;
  /** The tool's name. */
  name: string;
  /** The call as a whole, with its last piece. */
  whole?: ParsedCall;
}

/** A piece of an answer, as it comes. */
export interface AnswerPart {
  /** 'reasoning': thought before the answer. 'text': the answer itself. 'tool-call': a call of a tool. */
  type: 'reasoning' | 'text' | 'tool-call';
  /** The piece; never empty, but for the first and the last of a call. Of a call: the arguments' JSON, as it grows. */
  text: string;
  /** Of the tokens that have come since the piece before, where `logprobs` was asked for. */
  logprobs?: TokenLogprob[];
  /** Of a call: which one, and in its last piece the whole. */
  call?: ToolCallPart;
}

/**
 * Why an answer ended. 'stop': the model ended it, or a stop text came. 'tool-calls': the model ended it, and waits for
 * what the tools say. 'length': it has `maxNewTokens`. 'aborted': it was stopped by stop(), its signal, or by who left
 * the loop.
 */
export type FinishReason = 'stop' | 'tool-calls' | 'length' | 'aborted';

/** An answer as a whole. */
export interface GenerateResult {
  /** Token ids of all that the model wrote; [] where a server answered. */
  ids: number[];
  /** The answer, without what was thought before it. */
  text: string;
  /**
   * What the model thought before it answered. '' where it did not, for a plain prompt, and where its template has no
   * marks for it.
   */
  reasoning: string;
  /** Calls of tools that the model made, in order; [] where there are none. */
  toolCalls: ParsedCall[];
  /** All that the model wrote: reasoning, marks, calls, and the answer. */
  raw: string;
  /** Of each token, in the order of `ids`; absent where `logprobs` was not asked for. Those of `made` are not known. */
  logprobs?: TokenLogprob[];
  /** Why it ended. */
  finish: FinishReason;
  /** Who answered. */
  source?: AnswerSource;
  /** Counts and speeds. */
  stats: GenerateStats;
  /** What the model takes now, in bytes. */
  memory: MemoryInfo;
  /**
   * What had to change to make room for the answer, and what of the model's defaults was not followed, for the person;
   * null: nothing.
   */
  note: string | null;
  /**
   * Where chat() made calls of tools: the messages that came before this answer, the assistant's calls and what the
   * tools said. Absent: it made none.
   */
  messages?: MessageInput[];
  /** The options that were in effect, the model's own defaults and the random seed included. */
  options?: Required<SamplingOptions>;
}

/** Counts and speeds of one answer. */
export interface GenerateStats {
  /** Tokens of the prompt, the cached ones included. */
  promptTokens: number;
  /** Of the prompt, tokens that were in the cache and not computed again. */
  reusedTokens: number;
  /** Tokens of prompt and answer that are no longer seen at the end (`overflow: 'shift'`). */
  droppedTokens: number;
  /** Tokens of the answer, the one that ended it included. */
  newTokens: number;
  /** Time to the first token, in ms; 0 where there is none. */
  ttftMs: number;
  /** Prompt tokens computed in a second, the reused ones not counted. */
  prefillTps: number;
  /** Tokens of the answer in a second, after the first one; 0 where there is no second one. */
  decodeTps: number;
  /** How often the device or the worker was lost under this answer, which then went on; absent: never. */
  recoveries?: number;
}

/** Bytes that the model takes, as allocated. */
export interface MemoryInfo {
  /** Bytes of weights, adapters included. */
  weights: number;
  /** Bytes of all conversations' keys and values, snapshots included. */
  kv: number;
  /** Bytes for activations, logits and the like. */
  scratch: number;
  /** Bytes through which weights go to the device; 0 when the load is done. */
  staging: number;
  /** Bytes of the vocabulary's index, beside `total`; 0 before the first constrained answer. */
  index: number;
  /** weights + kv + scratch + staging. */
  total: number;
  /** The most that `total` ever was. */
  peak: number;
  /** Bytes of keys and values that the model's full context would have taken. */
  kvFullContext: number;
  /** How many conversations have a cache. */
  conversations: number;
  /**
   * Positions that a layer's cache has room for, by kind of layer, of the conversation used last; null: it has no such
   * layers.
   */
  kvSlots: { global: number | null; sliding: number | null };
}

/** A loaded model, and what is in effect. */
export interface ModelInfo {
  /** Its Hub id, its address, or the name of its folder or file. */
  name: string;
  /** The commit of a Hub repository, or the revision that a manifest names; null where there is none. */
  revision: string | null;
  /** Architecture, as config.json's model_type names it, e.g. 'llama'. */
  family: string;
  /** Number of weights. */
  parameters: number;
  /** Most positions that the model was made for; 0 where a server answers that does not tell. */
  contextLength: number;
  /** Who answers the next question. */
  source: AnswerSource;
  /** Why: one sentence for the person. */
  sourceReason: string;
  /** What computes. */
  backend: Backend | 'server';
  /** Why this backend answers: one sentence for the person. */
  backendReason: string;
  /** The graphics adapter as WebGPU describes it; `isFallback`: it is software. null on the CPU. */
  adapter: { vendor: string; architecture: string; device: string; description: string; isFallback: boolean } | null;
  /**
   * Whether the worker that computes is cross-origin isolated, and so may share memory with others: its page came with
   * the headers for that. In Node always true, where no header is needed.
   */
  coi: boolean;
  /** What this device probably allows. */
  deviceEstimate: DeviceEstimate;
  /** The options in effect; `memoryBudget` is null for none, `chatTemplate` null for the model's own. */
  options: Required<Omit<EngineOptions, 'maxContext' | 'memoryBudget' | 'chatTemplate' | 'threads' | 'chunk'>> & {
    maxContext: number;
    threads: number;
    chunk: number;
    memoryBudget: number | null;
    chatTemplate: string | null;
  };
  /** Why `activations` is not int8, where that was asked for and is not: one sentence. */
  activationsReason?: string;
  /** Why the model is not kept for the next visit, when it is not: one sentence. */
  storageReason?: string;
  /**
   * Matrices by the type that they are held in: how many, and their bytes, e.g. `{ q4: { count: 210, bytes: 66846720 }
   * }`.
   */
  weightTypes: Record<string, { count: number; bytes: number }>;
  /**
   * Names of the kernel variants that run. On the CPU `cpu` is 'webassembly-simd, 4 threads', with the reason where
   * there are fewer than there should be; unless `activations` is 'f32', one token's products with quantised weights
   * have inputs of 16 bits there (logits move by less than 1e-3 of their scale). Or it is 'javascript: ' and why it is
   * not WebAssembly, as where the page's policy forbids that.
   */
  variants: Readonly<Record<string, string>>;
  /**
   * How the GPU's kernels were chosen, with `tune: 'auto'`: 'timed' at this load, 'timed in part', where the weights
   * came before all were, or 'stored' by an earlier one. Each that is used was checked against the CPU at this load;
   * `rejected` names those that are not used on this device, and why. `ms` is what it took, beside the download. null:
   * on the CPU or a software adapter, and with any other `tune`.
   */
  tuning: {
    how: 'stored' | 'timed' | 'timed in part';
    ms: number;
    rejected: Readonly<Record<string, string>>;
  } | null;
  /** The active LoRA adapters, in order. */
  lora: readonly LoraInfo[];
  /** false: only token ids can be asked, and text is refused as invalid-option. */
  hasTokenizer: boolean;
  /** false: chat() is refused as invalid-option unless `chatTemplate` is given. */
  hasChatTemplate: boolean;
  /**
   * What of the model is otherwise than its files say, and what of its generation_config.json is not followed, and why:
   * sentences for the person.
   */
  notes: readonly string[];
}

/** What a request would take, in bytes. */
export interface PlanInfo {
  /** Bytes of weights, adapters included. */
  weights: number;
  /** Bytes of keys and values, snapshots included. */
  kv: number;
  /** Each layer's cache: 'global' layers see all positions, 'sliding' ones a window. `slots` are positions. */
  kvByLayer: { kind: 'global' | 'sliding'; slots: number; bytes: number }[];
  /** Bytes of keys and values that the model's full context would take, in the same type. */
  kvFullContext: number;
  /** Bytes for activations, logits and the like. */
  scratch: number;
  /** Bytes through which weights go to the device while they load. */
  staging: number;
  /**
   * Bytes of the vocabulary's index, which constrained answers need: where the query is `constrained`, or once there is
   * one; else 0. It is the worker's memory, beside `total`, and no budget counts it.
   */
  index: number;
  /** weights + kv + scratch. */
  total: number;
  /** The most that exists at once, loading included: what a budget is compared with. */
  peak: number;
  /**
   * The same if it were asked now, with what conversations hold and while caches grow; null before a model is loaded.
   */
  peakNow: number | null;
  /** Whether it is within the memory budget and the device's limits. */
  fits: boolean;
  /** What would fit when `fits` is false, best first, in words. */
  suggestions: string[];
  /** The same as `suggestions`, for programs. */
  offers: PlanOffer[];
}

/** Something to ask for otherwise, in the names of PlanQuery. */
export interface PlanChange {
  /** Tokens of a shorter prompt. */
  promptTokens?: number;
  /** Tokens of a shorter answer. */
  maxNewTokens?: number;
  /** A smaller type of keys and values. */
  kv?: NonNullable<EngineOptions['kv']>;
  /** A cache as large as the conversation needs. */
  kvCapacity?: 'auto';
  /** No snapshots. */
  snapshots?: 0;
  /** Tokens of a prompt that are computed at once. */
  chunk?: number;
  /** 4-bit weights. */
  weights?: 'nf4';
}

/** A change with which a plan fits. */
export interface PlanOffer {
  /** What is changed; 'together': several things at once. Only 'smaller-model' has no change. */
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
  /** What to ask for otherwise. */
  change: PlanChange;
  /** Bytes in all with it. */
  total: number;
  /** One sentence with the numbers, for the person. */
  text: string;
}

/**
 * What a device probably allows. No interface of the browser tells, so it is a careful guess; nothing is refused for
 * it.
 */
export interface DeviceEstimate {
  /** Bytes that one page, or one program, may probably take. */
  bytes: number;
  /** Where the number comes from: one sentence. */
  reason: string;
}

/** What a model would take, known from its headers. */
export interface ModelCost {
  /** Its Hub id, its address, or the name of its folder or file. */
  name: string;
  /** Architecture, as config.json's model_type names it, e.g. 'llama'. */
  family: string;
  /** Number of weights. */
  parameters: number;
  /** Most positions that the model was made for. */
  contextLength: number;
  /** Bytes of its weight files; null where their sizes were not asked for. */
  bytes: number | null;
  /** Bytes of it that this browser keeps already. */
  storedBytes: number;
  /** Nothing is left to download: all of it is kept here, or it is files on this device. */
  here: boolean;
  /** Tokens of the short chat that `plan` is about: question and answer together. */
  tokens: number;
  /**
   * What a chat of `tokens` takes, weights included. Of a folder of safetensors an estimate, as only its config.json
   * has been read.
   */
  plan: PlanInfo;
  /** What this device probably allows. */
  deviceEstimate: DeviceEstimate;
  /** The last load, if the tab died under it; else null. */
  lastAttempt: LoadAttempt | null;
  /** See ModelInfo. */
  notes: readonly string[];
}

/** A request, and what to suppose in the place of what the model was loaded with. */
export interface PlanQuery
  extends Pick<EngineOptions, 'kv' | 'kvCapacity' | 'maxContext' | 'snapshots' | 'weights' | 'chunk'> {
  /** Whose cache counts as its own; Conversation.plan() fills it in. */
  conversation?: number;
  /** Tokens of the prompt, what was said before included; at least 0. */
  promptTokens: number;
  /** Most tokens of the answer; at least 1. */
  maxNewTokens: number;
  /** Bytes; null: none. Default: as loaded. */
  memoryBudget?: number | null;
  /**
   * Whether the answer has a schema, a pattern, a choice, a grammar or calls that are asked for: the index of the
   * vocabulary is made then, and counted. Default: false.
   */
  constrained?: boolean;
}

/**
 * How one vector is made of the hidden states of a text's tokens, in sentence-transformers' words: that of the first
 * ('cls') or the last token, their mean, their sum by the root of their number, their mean weighted by position, or the
 * largest of each dimension. Special tokens count.
 */
export type Pooling = 'lasttoken' | 'mean' | 'cls' | 'max' | 'mean_sqrt_len_tokens' | 'weightedmean';

/** How texts become vectors. What is absent is as the model's own sentence-transformers files say. */
export interface EmbedOptions {
  /**
   * How one vector is made of many. Without such files: 'lasttoken', and 'mean' where the checkpoint has no head, as
   * sentence-transformers has it.
   */
  pooling?: Pooling;
  /** Whether vectors have the length 1. Without such files: false. */
  normalize?: boolean;
  /**
   * Values that are kept of each vector, the first of them, for models that were trained for that (Matryoshka); vectors
   * of length 1 have it again afterwards. Default: all.
   */
  dimensions?: number;
  /**
   * Name of the prompt that is put before each text, e.g. 'query'; '' puts none. Default: the model's default prompt,
   * where it has one.
   */
  prompt?: string;
}

export interface EmbedRequest {
  id: number;
  texts: readonly string[];
  options: EmbedOptions;
}

/** Vectors of texts. */
export interface Embeddings {
  /** A vector of each text, in their order. */
  embeddings: Float32Array[];
  /** The ids of each text as the model read it: prompt and special tokens included. */
  ids: number[][];
  /** Values of a vector. */
  dimensions: number;
  /** Tokens of all texts together. */
  tokens: number;
}

/** How documents are judged. */
export interface RerankOptions {
  /**
   * What the document is judged for. Default: 'Given a web search query, retrieve relevant passages that answer the
   * query'.
   */
  instruction?: string;
}

export interface RerankRequest {
  id: number;
  pairs: readonly { query: string; document: string }[];
  options: RerankOptions;
}

/** How well documents answer a query. */
export interface Ranking {
  /** Of each document, in their order, the probability (0 to 1) that it does. */
  scores: number[];
  /** Tokens of all prompts together. */
  tokens: number;
  /** Of these, tokens that were not computed again, as the prompt before began with them. */
  reusedTokens: number;
}

export interface ScoreRequest {
  id: number;
  texts: readonly (string | readonly number[])[];
}

/** How likely the model finds a text. */
export interface TextScore {
  /** The text's ids, with the beginning-of-text token where the tokenizer puts one. */
  ids: number[];
  /**
   * Natural logarithms of the probability of each id after those before it, without temperature or any other sampling
   * rule: logProbs[i] is that of ids[i + 1], as nothing says how likely the first is.
   */
  logProbs: Float64Array;
  /** Sum of logProbs: the logarithm of the probability of all that follows the first id. */
  sum: number;
}

/** The worker's face. One model a worker. */
export interface WorkerApi {
  /**
   * Proves that the worker started, and takes the Web Lock `life` for as long as it lives.
   * @returns whether it could: there are none on insecure pages and in opaque origins
   */
  hello(life: string): Promise<boolean>;
  load(request: LoadRequest, progress: MessagePort): Promise<ModelInfo>;
  /**
   * Brings all that load() would read to where it is kept, and loads nothing. @throws storage-unavailable where that is
   * nowhere, and what load() throws of files
   */
  download(request: LoadRequest, progress: MessagePort): Promise<void>;
  /** What a model would take; fetches headers only, and needs no load. */
  inspect(request: InspectRequest): Promise<ModelCost>;
  generate(request: GenerateRequest, tokens: MessagePort): Promise<GenerateResult>;
  setLora(request: LoraRequest): Promise<ModelInfo>;
  /** @throws invalid-option, context-overflow, out-of-memory, unsupported-architecture, corrupt-checkpoint, aborted */
  embed(request: EmbedRequest): Promise<Embeddings>;
  /** @throws invalid-option for a model that is no reranker; context-overflow, out-of-memory, aborted */
  rerank(request: RerankRequest): Promise<Ranking>;
  /** @throws invalid-option, context-overflow, out-of-memory, aborted */
  score(request: ScoreRequest): Promise<TextScore[]>;
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
  /**
   * Copies a conversation's cache to another one, when the answers under way are done; where there is no room for it,
   * the other one has none, and computes what it is asked.
   */
  cloneCache(from: number, to: number): Promise<void>;
  /** Frees the cache of a conversation, when the answers under way are done. */
  close(conversation: number): Promise<void>;
  /** Stops load, download, generate, setLora, embed, rerank, score or saveCache number `id`; others are ignored. */
  cancel(id: number): Promise<void>;
  /**
   * Of the model that is loaded, or else of the one that was inspected last. @throws invalid-option, context-overflow
   */
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

/** A model that this browser keeps, whole or in part. */
export interface StoredModel {
  /** What deleteStored() and verifyStored() take, too. */
  key: string;
  /** Its Hub id, its address, or the name of its folder or file. */
  name: string;
  /** The commit of a Hub repository, or the revision that a manifest names; null where there is none. */
  revision: string | null;
  /** Everything that a load needs is here: it will make no request. */
  complete: boolean;
  /** Bytes that are kept, in whole chunks. */
  storedBytes: number;
  /** When it was used last, in ms since 1970. */
  lastUsed: number;
  /** The last load, if the tab died under it; else null. */
  lastAttempt: LoadAttempt | null;
}

/** A conversation's cache that this browser keeps: see Conversation.save(). */
export interface SavedCache {
  /** The name that it was saved under. */
  name: string;
  /** Key of the model that it was computed with; it is deleted with that model. */
  model: string;
  /** That model's revision: see StoredModel. */
  revision: string | null;
  /** Tokens that it holds. */
  tokens: number;
  /** Its size in bytes. */
  bytes: number;
  /** When it was saved, in ms since 1970. */
  savedAt: number;
}

/** A model by where it comes from, or by the key that it is kept under. */
export type StoredRef = SourceDescription | { kind: 'stored'; key: string };

/** What verifyStored() found. */
export interface VerifyResult {
  /** Bytes that were read and compared. */
  checkedBytes: number;
  /** Chunks that are not what was stored; they were deleted. */
  alteredChunks: number;
  /** Chunks that somebody else deleted. */
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
