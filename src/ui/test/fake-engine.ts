/** An engine for tests of the interface: it says what it is told to, one word at a time, when it is told to. */
import { NibbleError } from '../../errors';
import { ENGINE_OPTIONS } from '../../options/engine';
import { defaultsOf } from '../../options/spec';
import type {
  AnswerPart,
  ChatMessage,
  FinishReason,
  GenerateResult,
  MemoryInfo,
  ModelInfo,
  Prefill,
  Progress,
  SamplingOptions,
} from '../../protocol';
import type { ChatEngine, LoadEngine, Talk } from '../conversation/chat-engine';

export const MEMORY: MemoryInfo = {
  weights: 84e6,
  kv: 5e6,
  scratch: 1e6,
  staging: 0,
  index: 0,
  total: 90e6,
  peak: 95e6,
  conversations: 1,
  kvFullContext: 188e6,
  kvSlots: { global: 128, sliding: null },
};

export const INFO: ModelInfo = {
  name: 'fake',
  revision: null,
  family: 'llama',
  parameters: 1e6,
  contextLength: 8192,
  source: 'device',
  sourceReason: 'The model is on this device.',
  backend: 'cpu',
  backendReason: 'This browser has no WebGPU, so the CPU answers.',
  adapter: null,
  coi: false,
  deviceEstimate: { bytes: 2 ** 32, reason: 'An estimate: half of the 8 GiB of memory that the browser reports.' },
  options: {
    ...({ ...defaultsOf(ENGINE_OPTIONS), threads: 1 } as unknown as ModelInfo['options']),
    keep: [],
    chunk: 32,
    maxContext: 8192,
    memoryBudget: null,
    chatTemplate: null,
  },
  weightTypes: {},
  variants: {},
  tuning: null,
  lora: [],
  hasTokenizer: true,
  hasChatTemplate: true,
  notes: [],
};

export class FakeEngine implements ChatEngine {
  asked: ChatMessage[][] = [];
  sampling: (SamplingOptions & { made?: readonly number[] })[] = [];
  disposed = false;
  /** words of the next answer */
  answer = ['Hello', ' there', '.'];
  /** thrown after the first word of the next answer */
  failure: NibbleError | null = null;
  /** awaited before every word */
  pace: () => Promise<void> = () => Promise.resolve();

  /** conversations that were closed */
  closed = 0;
  /** the name of every conversation */
  names: (string | undefined)[] = [];
  /** awaited by every save, whose signals these are */
  saving: () => Promise<void> = () => Promise.resolve();
  saves: (AbortSignal | undefined)[] = [];
  savedTokens = 12;

  conversation({ saved }: { saved?: string } = {}): Talk {
    this.names.push(saved);
    return {
      chat: (messages, options) => this.chat(messages, options),
      save: async ({ signal } = {}) => {
        this.saves.push(signal);
        await this.saving();
        return { name: saved!, model: 'fake', revision: null, tokens: this.savedTokens, bytes: 1e6, savedAt: 0 };
      },
      close: async () => {
        this.closed++;
      },
    };
  }

  /** why the next answer ends, where nobody stops it */
  finish: FinishReason = 'stop';

  /** words that are thought before the next answer */
  thoughts: string[] = [];
  /** tokens of the question; they are read two at a time */
  questionTokens = 4;

  chat(messages: ChatMessage[], options: Parameters<Talk['chat']>[1] = {}): ReturnType<Talk['chat']> {
    const { signal, onPrefill, ...sampling } = options;
    this.asked.push(messages);
    this.sampling.push(sampling);
    let settle: (result: GenerateResult) => void = () => {};
    let fail: (error: unknown) => void = () => {};
    const result = new Promise<GenerateResult>((resolve, reject) => {
      settle = resolve;
      fail = reject;
    });
    const parts = this.#parts(signal, onPrefill, (text, aborted) => {
      if (text === null) return fail(this.failure);
      const tokens = { promptTokens: 9, reusedTokens: 0, droppedTokens: 0, newTokens: 3 };
      const stats = { ...tokens, ttftMs: 120, prefillTps: 75, decodeTps: 4.25 };
      const ids = text.match(/\S+/g)?.map((_, index) => index + 1) ?? [];
      const reasoning = this.thoughts.join('');
      const said = { ids, text, reasoning, toolCalls: [], raw: reasoning + text };
      settle({ ...said, finish: aborted ? 'aborted' : this.finish, stats, memory: MEMORY, note: null });
    });
    return { parts, result };
  }

  async *#parts(
    signal: AbortSignal | undefined,
    onPrefill: (prefill: Prefill) => void = () => {},
    done: (text: string | null, aborted: boolean) => void,
  ): AsyncGenerator<AnswerPart> {
    let text = '';
    const total = this.questionTokens;
    for (let read = 0; read <= total; read += 2) onPrefill({ done: read, total });
    for (const thought of this.thoughts) yield { type: 'reasoning', text: thought };
    for (const word of this.answer) {
      await this.pace();
      if (signal?.aborted) break;
      if (this.failure && text !== '') {
        done(null, false);
        throw this.failure;
      }
      text += word;
      yield { type: 'text', text: word };
    }
    done(text, signal?.aborted ?? false);
  }

  info = () => Promise.resolve(INFO);
  memory = () => Promise.resolve(MEMORY);
  tokenize = (text: string) => Promise.resolve(text.match(/\S+/g)!.map((_, index) => index + 1));
  dispose() {
    this.disposed = true;
  }
}

export const PROGRESS: Progress = {
  phase: 'download',
  loadedBytes: 42e6,
  totalBytes: 84e6,
  networkBytes: 42e6,
  bytesPerSecond: 10e6,
  secondsLeft: 4.2,
};

/** Loads `engine`, after one report of progress; throws `failure` when it is set. */
export function fakeLoad(engine: ChatEngine, failure: () => NibbleError | null = () => null): LoadEngine {
  return async (_, { onProgress, signal }) => {
    onProgress?.(PROGRESS);
    await Promise.resolve();
    if (signal?.aborted) throw new NibbleError('aborted', 'The request was stopped.');
    const error = failure();
    if (error) throw error;
    return engine;
  };
}
