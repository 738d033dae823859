/**
 * The engine as a provider of the AI SDK (`ai` 7, specification v4): `generateText({ model: nibble(), prompt })`. Calls
 * of tools are left to the SDK, which runs them and asks again.
 */
import type { Answer, AnswerPart, Engine, GenerateResult } from '../index';
import { messagesOf, optionsOf, sdkError } from './ai-sdk-prompt';
import type {
  NibbleEmbeddingModel,
  NibbleLanguageModel,
  NibbleProvider,
  NibbleRerankingModel,
  SdkCallOptions,
  SdkContent,
  SdkEmbedOptions,
  SdkFinishReason,
  SdkJson,
  SdkMetadata,
  SdkModel,
  SdkRerankOptions,
  SdkStreamPart,
  SdkToolCall,
  SdkUsage,
  SdkWarning,
} from './ai-sdk-types';
import { orAborted } from './or-aborted';

export type * from './ai-sdk-types';

/** What createNibble() needs. */
export interface NibbleSettings {
  /**
   * An engine, a promise of one, or a function that gives one for the id that a model was asked by, the first time
   * that it is needed: `(id) => load(id)`. With an engine, ids are left out, or its model's name.
   */
  engine: Engine | PromiseLike<Engine> | ((modelId: string) => Engine | PromiseLike<Engine>);
}

/** An engine, and its model's name. */
interface Named {
  engine: Engine;
  name: string;
}

const DEFAULT_ID = 'default';

/** The SDK would fetch what a prompt names, to no end: files are refused. */
const ANY_URL = { '*/*': [/^/] };

const FINISH = {
  stop: 'stop',
  length: 'length',
  'tool-calls': 'tool-calls',
  aborted: 'interrupted',
} as const satisfies Record<GenerateResult['finish'], SdkFinishReason['unified']>;

const finishOf = ({ finish }: GenerateResult): SdkFinishReason => ({ unified: FINISH[finish], raw: finish });

function usageOf({ stats, reasoning }: GenerateResult): SdkUsage {
  const { promptTokens: total, reusedTokens: cacheRead, newTokens } = stats;
  const apart = reasoning === '' ? { text: newTokens, reasoning: 0 } : { text: undefined, reasoning: undefined };
  return {
    inputTokens: { total, noCache: total - cacheRead, cacheRead, cacheWrite: undefined },
    outputTokens: { total: newTokens, ...apart },
  };
}

const metadataOf = ({ note, stats, logprobs }: GenerateResult): SdkMetadata => ({
  nibble: { note, stats: { ...stats }, ...(logprobs && { logprobs: logprobs as unknown as SdkJson }) },
});

type Call = GenerateResult['toolCalls'][number];

/** What cannot be read is given as it was written: the SDK says so to the model, or repairs it. */
const callOf = ({ id, name, arguments: given, text }: Call): SdkToolCall => ({
  type: 'tool-call',
  toolCallId: id,
  toolName: name,
  input: given ? JSON.stringify(given) : text,
});

function contentOf({ reasoning, text, toolCalls }: GenerateResult): SdkContent[] {
  const texts = [
    { type: 'reasoning', text: reasoning },
    { type: 'text', text },
  ] as const;
  return [...texts.filter(({ text }) => text !== ''), ...toolCalls.map(callOf)];
}

/** The pieces of an answer, each of its blocks opened and closed. */
function blocks() {
  let open: { type: 'text' | 'reasoning'; id: string } | null = null;
  let count = 0;
  const close = (): SdkStreamPart[] => {
    const ended = open;
    open = null;
    return ended ? [{ type: `${ended.type}-end`, id: ended.id }] : [];
  };
  const told = new Set<string>();
  const take = ({ type, text, call }: AnswerPart): SdkStreamPart[] => {
    if (type === 'tool-call' && call) {
      const parts = close();
      if (!told.has(call.id)) parts.push({ type: 'tool-input-start', id: call.id, toolName: call.name });
      told.add(call.id);
      if (text) parts.push({ type: 'tool-input-delta', id: call.id, delta: text });
      if (call.whole) parts.push({ type: 'tool-input-end', id: call.id }, callOf(call.whole));
      return parts;
    }
    const kind = type === 'reasoning' ? type : 'text';
    const parts = open?.type === kind ? [] : close();
    if (!open) {
      open = { type: kind, id: String(count++) };
      parts.push({ type: `${kind}-start`, id: open.id });
    }
    return [...parts, { type: `${kind}-delta`, id: open.id, delta: text }];
  };
  return { take, close };
}

/** An answer as the SDK's stream. A failure is its last part but one; an abort ends it, as fetch() would. */
function streamOf(answer: Answer, modelId: string, warnings: SdkWarning[], signal?: AbortSignal) {
  async function* parts(): AsyncGenerator<SdkStreamPart> {
    yield { type: 'stream-start', warnings };
    yield { type: 'response-metadata', timestamp: new Date(), modelId };
    const { take, close } = blocks();
    try {
      for await (const part of answer.parts) yield* take(part);
      const result = await answer.result;
      signal?.throwIfAborted();
      yield* close();
      const [usage, finishReason] = [usageOf(result), finishOf(result)];
      yield { type: 'finish', usage, finishReason, providerMetadata: metadataOf(result) };
    } catch (error) {
      signal?.throwIfAborted();
      yield* close();
      yield { type: 'error', error };
      const none = { total: undefined, noCache: undefined, cacheRead: undefined, cacheWrite: undefined };
      const usage = { inputTokens: none, outputTokens: { total: undefined, text: undefined, reasoning: undefined } };
      yield { type: 'finish', usage, finishReason: { unified: 'error', raw: undefined } };
    }
  }
  const iterator = parts();
  return new ReadableStream<SdkStreamPart>({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: () => answer.stop(),
  });
}

/**
 * A provider for the AI SDK (`ai` 7): `generateText({ model: nibble(), prompt })`. Its language model answers with
 * engine.chat(), its embedding model with embed(), its reranking model with rerank(); their errors are the engine's,
 * and the SDK's own for a model or a kind of message that there is not. Of `providerOptions.nibble` all options of
 * chat(), embed() and rerank() are read.
 * @returns a ProviderV4, callable: `nibble()` and `nibble(id)` are language models
 */
export function createNibble({ engine: given }: NibbleSettings): NibbleProvider {
  /** by id; what failed is asked for again */
  const engines = new Map<string, Promise<Named>>();
  const named = async (id: string): Promise<Named> => {
    const engine = await (typeof given === 'function' ? given(id) : given);
    const { name } = await engine.info();
    return { engine, name };
  };
  async function engineOf(id: string, modelType: string, signal: AbortSignal | undefined): Promise<Named> {
    signal?.throwIfAborted();
    const key = typeof given === 'function' ? id : DEFAULT_ID;
    let ready = engines.get(key);
    if (!ready) {
      ready = named(key);
      engines.set(key, ready);
      ready.catch(() => engines.delete(key));
    }
    const { engine, name } = await orAborted(ready, signal);
    if (typeof given !== 'function' && id !== DEFAULT_ID && id !== name) {
      const message = `There is no model ${id}: the engine has ${name}. Ask for that one, or leave the id out.`;
      throw sdkError('AI_NoSuchModelError', message, { modelId: id, modelType });
    }
    return { engine, name };
  }

  const model = (modelId: string): SdkModel => ({ specificationVersion: 'v4', provider: 'nibble', modelId });

  function languageModel(modelId = DEFAULT_ID): NibbleLanguageModel {
    const ask = async (options: SdkCallOptions) => {
      const warnings: SdkWarning[] = [];
      const messages = messagesOf(options.prompt);
      const wanted = optionsOf(options, warnings);
      const { engine, name } = await engineOf(modelId, 'languageModel', options.abortSignal);
      return { answer: engine.chat(messages, wanted), warnings, name };
    };
    return {
      ...model(modelId),
      supportedUrls: ANY_URL,
      async doGenerate(options) {
        const timestamp = new Date();
        const { answer, warnings, name } = await ask(options);
        const result = await orAborted(answer.result, options.abortSignal);
        return {
          content: contentOf(result),
          finishReason: finishOf(result),
          usage: usageOf(result),
          providerMetadata: metadataOf(result),
          response: { timestamp, modelId: name },
          warnings,
        };
      },
      async doStream(options) {
        const { answer, warnings, name } = await ask(options);
        return { stream: streamOf(answer, name, warnings, options.abortSignal) };
      },
    };
  }

  function embeddingModel(modelId = DEFAULT_ID): NibbleEmbeddingModel {
    return {
      ...model(modelId),
      maxEmbeddingsPerCall: Number.POSITIVE_INFINITY,
      supportsParallelCalls: false,
      async doEmbed({ values, dimensions, abortSignal, providerOptions }: SdkEmbedOptions) {
        const { engine } = await engineOf(modelId, 'embeddingModel', abortSignal);
        const options = { dimensions, ...providerOptions?.nibble, signal: abortSignal };
        const made = await orAborted(engine.embed(values, options), abortSignal);
        const embeddings = made.embeddings.map((vector) => [...vector]);
        return { embeddings, usage: { tokens: made.tokens }, warnings: [] };
      },
    };
  }

  function rerankingModel(modelId = DEFAULT_ID): NibbleRerankingModel {
    return {
      ...model(modelId),
      async doRerank({ documents, query, topN, abortSignal, providerOptions }: SdkRerankOptions) {
        const { engine } = await engineOf(modelId, 'rerankingModel', abortSignal);
        const texts =
          documents.type === 'text' ? documents.values : documents.values.map((value) => JSON.stringify(value));
        const options = { ...providerOptions?.nibble, signal: abortSignal };
        const { scores } = await orAborted(engine.rerank(query, texts, options), abortSignal);
        const ranking = scores
          .map((relevanceScore, index) => ({ index, relevanceScore }))
          .sort((a, b) => b.relevanceScore - a.relevanceScore)
          .slice(0, topN);
        const details = 'Objects are judged by their JSON.';
        const warnings: SdkWarning[] =
          documents.type === 'text' ? [] : [{ type: 'compatibility', feature: 'objects as documents', details }];
        return { ranking, warnings };
      },
    };
  }

  const imageModel = (modelId: string): never => {
    const message = `There is no image model ${modelId}: Nibble has language, embedding and reranking models.`;
    throw sdkError('AI_NoSuchModelError', message, { modelId, modelType: 'imageModel' });
  };
  const models = { specificationVersion: 'v4', languageModel, embeddingModel, rerankingModel, imageModel } as const;
  return Object.assign((modelId?: string) => languageModel(modelId), models);
}
