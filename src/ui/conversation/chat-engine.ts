/** What a session asks of an engine: tests drive it with a fake one. */
import type { CallOptions, HubOptions, LoraInput, ModelInput } from '../../engine';
import type {
  AnswerPart,
  ChatMessage,
  EngineOptions,
  GenerateResult,
  MemoryInfo,
  ModelInfo,
  Prefill,
  Progress,
  SamplingOptions,
  SavedCache,
} from '../../protocol';
import type { ServerChoice } from '../models/servers';

/** A conversation with a cache of its own. */
export interface Talk {
  chat(
    messages: ChatMessage[],
    options?: SamplingOptions & {
      tools?: CallOptions['tools'];
      signal?: AbortSignal;
      made?: readonly number[];
      onPrefill?: (prefill: Prefill) => void;
    },
  ): { parts: AsyncIterable<AnswerPart>; result: Promise<GenerateResult> };
  /** frees the cache */
  close(): Promise<void>;
  /** writes the cache to the browser's storage, under the name that the conversation was given */
  save(options?: { signal?: AbortSignal }): Promise<SavedCache>;
}

export interface ChatEngine {
  conversation(options?: { saved?: string }): Talk;
  info(): Promise<ModelInfo>;
  memory(): Promise<MemoryInfo>;
  tokenize(text: string): Promise<number[]>;
  dispose(): void | Promise<void>;
  /** puts these adapters in the place of those that are active; a server has none */
  setLora?(lora: readonly LoraInput[]): Promise<ModelInfo>;
  /** told how many answers to others come before the one that is asked for, where others share the model */
  onAhead?: ((answers: number) => void) | null;
}

export type LoadEngine = (
  model: ModelInput,
  options: EngineOptions &
    HubOptions & { server?: ServerChoice; onProgress?: (progress: Progress) => void; signal?: AbortSignal },
) => Promise<ChatEngine>;
