/**
 * The AI SDK's types of specification v4, as far as Nibble gives and takes them: what createNibble() makes is a
 * ProviderV4 by its shape, without @ai-sdk/provider being installed. Names and meanings are those of
 * @ai-sdk/provider 4.0.
 */

/** What JSON can hold. */
export type SdkJson = null | string | number | boolean | SdkJson[] | { [key: string]: SdkJson | undefined };

/** Something that was asked for and is not done, or done otherwise; the SDK prints it. */
export type SdkWarning =
  | { type: 'unsupported' | 'compatibility'; feature: string; details?: string }
  | { type: 'other'; message: string };

/** What a provider adds to a result, by the provider's name: here 'nibble'. */
export type SdkMetadata = Record<string, { [key: string]: SdkJson | undefined }>;

/** Options by provider: those of 'nibble' are read. */
export type SdkProviderOptions = Record<string, object>;

/** A part of a message: text, reasoning, a call of a tool, what a tool said, or a file. Only text files are read. */
export interface SdkPart {
  /** 'text', 'reasoning', 'tool-call', 'tool-result' or 'file'; others are refused. */
  type: string;
  /** Of text and reasoning. */
  text?: string;
  /** Of a call and its result: which call. */
  toolCallId?: string;
  /** Of a call and its result: which tool. */
  toolName?: string;
  /** Of a call: its arguments. */
  input?: unknown;
  /** Of a result: what the tool said. */
  output?: SdkToolOutput;
  /** Of a file: its content. */
  data?: unknown;
}

/** What a tool said. */
export interface SdkToolOutput {
  /** 'text', 'json', 'error-text', 'error-json', 'execution-denied' or 'content'. */
  type: string;
  /** What was said, by the type. */
  value?: unknown;
  /** Why a call was denied. */
  reason?: string;
}

/** A message of a prompt. */
export interface SdkMessage {
  /** Who speaks. */
  role: 'system' | 'user' | 'assistant' | 'tool';
  /** A text of the system's, parts of the others'. */
  content: string | readonly SdkPart[];
}

/** A tool that the model may call; the SDK runs it. */
export interface SdkTool {
  /** 'function'; tools of other providers are left out, with a warning. */
  type: string;
  /** What the model calls it by. */
  name: string;
  /** What it does, for the model. */
  description?: string;
  /** JSON Schema of its arguments. */
  inputSchema?: unknown;
  /** Not told to the model. */
  inputExamples?: readonly unknown[];
  /** Holds only calls that are asked for: see `toolChoice`. */
  strict?: boolean;
}

/** What is asked of a language model. */
export interface SdkCallOptions {
  /** All messages, the system's first. */
  prompt: readonly SdkMessage[];
  /** Most tokens of the answer: `maxNewTokens`. */
  maxOutputTokens?: number;
  /** See SamplingOptions. */
  temperature?: number;
  /** Texts before which the answer ends: `stop`. */
  stopSequences?: string[];
  /** See SamplingOptions. */
  topP?: number;
  /** See SamplingOptions. */
  topK?: number;
  /** See SamplingOptions. */
  presencePenalty?: number;
  /** See SamplingOptions. */
  frequencyPenalty?: number;
  /** JSON, where that is wanted, and its schema, to which the answer is held. */
  responseFormat?: { type: 'text' } | { type: 'json'; schema?: unknown; name?: string; description?: string };
  /** See SamplingOptions. */
  seed?: number;
  /** Tools that may be called. */
  tools?: readonly SdkTool[];
  /** Whether, and which, tools are called. */
  toolChoice?: { type: 'auto' | 'none' | 'required' } | { type: 'tool'; toolName: string };
  /** There are none; asking for them gives a warning. */
  includeRawChunks?: boolean;
  /** Stops the answer. */
  abortSignal?: AbortSignal;
  /** Not heeded: there is no request. */
  headers?: Record<string, string | undefined>;
  /** Whether, and how much, the model thinks: told to its chat template. */
  reasoning?: string;
  /** `nibble`: options of the answer as chat() takes them, e.g. `{ minP: 0.1 }`. */
  providerOptions?: SdkProviderOptions;
}

/** Why an answer ended, in the SDK's word and in Nibble's. */
export interface SdkFinishReason {
  /** The SDK's word. */
  unified: 'stop' | 'length' | 'tool-calls' | 'error' | 'interrupted';
  /** See FinishReason. */
  raw: string | undefined;
}

/** Counts of tokens. */
export interface SdkUsage {
  /** Of the prompt; `cacheRead`: those that were not computed again. */
  inputTokens: {
    total: number | undefined;
    noCache: number | undefined;
    cacheRead: number | undefined;
    cacheWrite: number | undefined;
  };
  /** Of the answer; apart only where the model did not think. */
  outputTokens: { total: number | undefined; text: number | undefined; reasoning: number | undefined };
}

/** A call of a tool. */
export interface SdkToolCall {
  /** The kind of part. */
  type: 'tool-call';
  /** Which call. */
  toolCallId: string;
  /** Which tool. */
  toolName: string;
  /** Its arguments' JSON; what the model wrote where that is none. */
  input: string;
}

/** What an answer consists of. */
export type SdkContent = { type: 'text' | 'reasoning'; text: string } | SdkToolCall;

/** Which model answered, and when. */
export interface SdkResponse {
  /** When the answer began. */
  timestamp?: Date;
  /** The model's name. */
  modelId?: string;
}

/** An answer as a whole. */
export interface SdkResult {
  /** What was thought, said and called. */
  content: SdkContent[];
  /** Why it ended. */
  finishReason: SdkFinishReason;
  /** Counts of tokens. */
  usage: SdkUsage;
  /** `nibble`: `note`, `stats` and `logprobs` of the answer: see GenerateResult. */
  providerMetadata?: SdkMetadata;
  /** Which model answered. */
  response?: SdkResponse;
  /** What was asked for and is not done. */
  warnings: SdkWarning[];
}

/** A piece of an answer under way. */
export type SdkStreamPart =
  | { type: 'stream-start'; warnings: SdkWarning[] }
  | ({ type: 'response-metadata' } & SdkResponse)
  | { type: 'text-start' | 'text-end' | 'reasoning-start' | 'reasoning-end' | 'tool-input-end'; id: string }
  | { type: 'text-delta' | 'reasoning-delta' | 'tool-input-delta'; id: string; delta: string }
  | { type: 'tool-input-start'; id: string; toolName: string }
  | SdkToolCall
  | { type: 'finish'; usage: SdkUsage; finishReason: SdkFinishReason; providerMetadata?: SdkMetadata }
  | { type: 'error'; error: unknown };

/** What all models of a provider have. */
export interface SdkModel {
  /** The specification that it follows. */
  readonly specificationVersion: 'v4';
  /** 'nibble'. */
  readonly provider: string;
  /** As it was asked for; 'default' where no id was given. */
  readonly modelId: string;
}

/** A LanguageModelV4: what generateText() and streamText() take. */
export interface NibbleLanguageModel extends SdkModel {
  /** All: the SDK fetches none of them, and files are refused. */
  readonly supportedUrls: Record<string, RegExp[]>;
  /** An answer as a whole. */
  doGenerate(options: SdkCallOptions): Promise<SdkResult>;
  /** An answer as it comes. Cancelling the stream stops it. */
  doStream(options: SdkCallOptions): Promise<{ stream: ReadableStream<SdkStreamPart> }>;
}

/** What is asked of an embedding model. */
export interface SdkEmbedOptions {
  /** The texts. */
  values: string[];
  /** See EmbedOptions. */
  dimensions?: number;
  /** Stops it. */
  abortSignal?: AbortSignal;
  /** `nibble`: see EmbedOptions, e.g. `{ prompt: 'query' }`. */
  providerOptions?: SdkProviderOptions;
}

/** An EmbeddingModelV4: what embed() and embedMany() take. */
export interface NibbleEmbeddingModel extends SdkModel {
  /** Any number. */
  readonly maxEmbeddingsPerCall: number;
  /** One model computes: one after the other. */
  readonly supportsParallelCalls: boolean;
  /** A vector of each text, in their order. */
  doEmbed(options: SdkEmbedOptions): Promise<{
    embeddings: number[][];
    usage: { tokens: number };
    warnings: SdkWarning[];
  }>;
}

/** What is asked of a reranking model. */
export interface SdkRerankOptions {
  /** Texts, or objects, which are judged by their JSON. */
  documents: { type: 'text'; values: string[] } | { type: 'object'; values: readonly object[] };
  /** What is asked. */
  query: string;
  /** How many are told, the best first. Default: all. */
  topN?: number;
  /** Stops it. */
  abortSignal?: AbortSignal;
  /** `nibble`: see RerankOptions, e.g. `{ instruction: '…' }`. */
  providerOptions?: SdkProviderOptions;
}

/** A RerankingModelV4: what rerank() takes. */
export interface NibbleRerankingModel extends SdkModel {
  /** The documents by their numbers, the best first; a score is a probability. */
  doRerank(options: SdkRerankOptions): Promise<{
    ranking: { index: number; relevanceScore: number }[];
    warnings: SdkWarning[];
  }>;
}

/** A ProviderV4, which is called for its language model. */
export interface NibbleProvider {
  /** The specification that it follows. */
  readonly specificationVersion: 'v4';
  /** A language model. @param modelId - as createNibble() says; absent: the engine's model */
  (modelId?: string): NibbleLanguageModel;
  /** A language model. @param modelId - as createNibble() says; absent: the engine's model */
  languageModel(modelId?: string): NibbleLanguageModel;
  /** An embedding model. @param modelId - as createNibble() says; absent: the engine's model */
  embeddingModel(modelId?: string): NibbleEmbeddingModel;
  /** A reranking model. @param modelId - as createNibble() says; absent: the engine's model */
  rerankingModel(modelId?: string): NibbleRerankingModel;
  /** There is none. @throws the SDK's NoSuchModelError */
  imageModel(modelId: string): never;
}
