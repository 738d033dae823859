/** The types of Chrome's Prompt API, as far as Nibble answers it: names and meanings are the explainer's. */

/** Whether a session can be made. 'downloadable': create() begins the load; 'downloading': it is under way. */
export type PromptAvailability = 'unavailable' | 'downloadable' | 'downloading' | 'available';

/** How freely tokens are drawn. 'balanced' (default) are the model's own settings, 'most-predictable' draws nothing. */
export type PromptSamplingMode =
  | 'most-predictable'
  | 'predictable'
  | 'slightly-predictable'
  | 'balanced'
  | 'slightly-creative'
  | 'creative'
  | 'most-creative';

/** A part of a message. */
export interface PromptContent {
  /** 'text'; images and audio are refused as NotSupportedError. */
  type: string;
  /** The text. */
  value: unknown;
}

/** A message. */
export interface PromptMessage {
  /** Who speaks; 'system' only in the first message of a session. */
  role: 'system' | 'user' | 'assistant';
  /** What was said. */
  content: string | readonly PromptContent[];
  /** Of the last message, the assistant's: the answer goes on behind it. Default: false. */
  prefix?: boolean;
}

/** What is asked: a text of the user's, or messages. */
export type PromptInput = string | readonly PromptMessage[];

/** A tool that the model may call, and that the session runs. */
export interface PromptTool {
  /** What the model calls it by. */
  name: string;
  /** What it does, for the model. */
  description: string;
  /** JSON Schema of its arguments, an object. */
  inputSchema: object;
  /** Makes a call. @param args - the arguments, as the model wrote them: they are not checked against `inputSchema` */
  execute(args: Record<string, unknown>): Promise<string>;
}

/** What a session is expected to read or say: 'text' in any language. */
export interface PromptExpected {
  /** The kind of content. */
  type: string;
  /** Languages; any are taken. */
  languages?: string[];
}

/** What matters to availability(). */
export interface PromptCoreOptions {
  /** What will be read. Default: text. */
  expectedInputs?: PromptExpected[];
  /** What will be said. Default: text. */
  expectedOutputs?: PromptExpected[];
  /** Tools that the model may call. Default: none. */
  tools?: PromptTool[];
  /** How freely tokens are drawn; not beside `topK` and `temperature`. Default: 'balanced'. */
  samplingMode?: PromptSamplingMode;
  /** Draws from the likeliest tokens only, 1 to 128. Default: the model's own. */
  topK?: number;
  /** 0 takes the likeliest token, 2 is the most. Default: the model's own. */
  temperature?: number;
}

/** Where the progress of a load is told. */
export interface PromptMonitor extends EventTarget {
  /** Told a ProgressEvent whose `loaded` goes from 0 to 1. */
  ondownloadprogress: ((event: ProgressEvent) => unknown) | null;
}

/** How a session begins. */
export interface PromptCreateOptions extends PromptCoreOptions {
  /** Stops what create() does, and destroys the session afterwards. */
  signal?: AbortSignal;
  /** Is given where progress is told, before the load begins. */
  monitor?: (monitor: PromptMonitor) => void;
  /** What was said before; never left out for want of room. Default: nothing. */
  initialPrompts?: readonly PromptMessage[];
}

/** How one answer is made. */
export interface PromptCallOptions {
  /** A JSON Schema, or a RegExp without flags but u, g, y and d, to which the answer is held. Default: none. */
  responseConstraint?: object;
  /** The model is not told of the constraint. Default: false: it is, in a sentence behind the question. */
  omitResponseConstraintInput?: boolean;
  /** Stops the answer; the question and it are then not kept. */
  signal?: AbortSignal;
}

/** What topK and temperature may be. */
export interface PromptParams {
  /** What is in effect where nothing is said; 0: all tokens. */
  readonly defaultTopK: number;
  /** What larger numbers become. */
  readonly maxTopK: number;
  /** What is in effect where nothing is said; 0: the likeliest token. */
  readonly defaultTemperature: number;
  /** What larger numbers become. */
  readonly maxTemperature: number;
}

/**
 * A session: a conversation, whose questions are answered one after the other. Calls reject as Chrome's do: with an
 * AbortError or the signal's reason, InvalidStateError once it is destroyed, NotSupportedError for what is not read or
 * held to, QuotaExceededError for what has no room, SyntaxError for an answer that its limit has cut before it was what
 * its constraint says, TypeError for arguments that are none, NetworkError for a load that failed so, and UnknownError.
 * `cause` is the engine's error, where there is one.
 */
export interface PromptSession extends EventTarget {
  /** Asks, and keeps question and answer. */
  prompt(input: PromptInput, options?: PromptCallOptions): Promise<string>;
  /** The same as pieces of text; cancelling the stream stops the answer. */
  promptStreaming(input: PromptInput, options?: PromptCallOptions): ReadableStream<string>;
  /** Keeps messages without an answer, and reads them ahead. */
  append(input: PromptInput, options?: { signal?: AbortSignal }): Promise<undefined>;
  /** How many tokens this would add. */
  measureContextUsage(input: PromptInput, options?: PromptCallOptions): Promise<number>;
  /** Tokens of the conversation so far. */
  readonly contextUsage: number;
  /** Tokens that it may have. */
  readonly contextWindow: number;
  /** Told when the oldest questions and answers were left out, to make room. */
  oncontextoverflow: ((event: Event) => unknown) | null;
  /** How tokens are drawn; null where `topK` or `temperature` says. */
  readonly samplingMode: PromptSamplingMode | null;
  /** As given; else the model's own, once an answer or params() has told it, and 0 before. */
  readonly topK: number;
  /** As given; else the model's own, once an answer or params() has told it, and 0 before. */
  readonly temperature: number;
  /** Another session that goes on from here. */
  clone(options?: { signal?: AbortSignal }): Promise<PromptSession>;
  /** Ends what is under way, and frees the cache. The engine stays. */
  destroy(): undefined;
  /** The name that measureContextUsage() had. */
  measureInputUsage(input: PromptInput, options?: PromptCallOptions): Promise<number>;
  /** The name that contextUsage had. */
  readonly inputUsage: number;
  /** The name that contextWindow had. */
  readonly inputQuota: number;
  /** The name that oncontextoverflow had. */
  onquotaoverflow: ((event: Event) => unknown) | null;
}

/** The class LanguageModel; sessions are its instances, which create() alone makes. */
export interface PromptLanguageModel {
  /** What sessions inherit. */
  readonly prototype: PromptSession;
  /** @throws TypeError: create() makes sessions */
  new (): PromptSession;
  /** Makes a session; loads the model first, where a function gives it. */
  create(options?: PromptCreateOptions): Promise<PromptSession>;
  /** Whether create() with these options would succeed. */
  availability(options?: PromptCoreOptions): Promise<PromptAvailability>;
  /** What topK and temperature may be; asks the model for one token, the first time. */
  params(): Promise<PromptParams>;
}
