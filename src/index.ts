/**
 * Nibble: 4-bit language models inside a web page, on WebGPU, with nothing but the browser.
 *
 *   import { load } from 'nibble-llm';
 *   const engine = await load('HuggingFaceTB/SmolLM2-135M-Instruct', { onProgress });
 *   for await (const text of engine.chat([{ role: 'user', content: 'Hello!' }])) out.append(text);
 */

export * from './engine';
export { type ErrorCode, type ErrorDetails, NibbleError } from './errors';
export type {
  AnswerPart,
  AnswerSource,
  Backend,
  ChatMessage,
  DeviceEstimate,
  Embeddings,
  EmbedOptions,
  EngineOptions,
  FinishReason,
  FunctionTool,
  GenerateResult,
  GenerateStats,
  LoadAttempt,
  LoraInfo,
  MemoryInfo,
  MessageInput,
  ModelCost,
  ModelInfo,
  ParsedCall,
  PlanChange,
  PlanInfo,
  PlanOffer,
  PlanQuery,
  Pooling,
  Prefill,
  Progress,
  PromptOptions,
  Ranking,
  RerankOptions,
  SamplingOptions,
  SavedCache,
  StoredModel,
  TemplateOptions,
  TextPart,
  TextScore,
  TokenAlternative,
  TokenLogprob,
  ToolCall,
  ToolCallPart,
  ToolDefinition,
  ToolOptions,
  VerifyResult,
} from './protocol';
export type { ConnectOptions, RemoteOptions } from './remote/connection';
export { type LoadOptions, load } from './remote/load';
export type { WhereOptions } from './remote/where';
