/**
 * The runtime behind WorkerApi, without Worker and comlink: the worker exposes it, the CLI calls it. One model;
 * requests wait for each other; an error ends its own request and no other.
 */
import { NibbleError, throwIfAborted } from '../errors';
import { checkIds } from '../execute/check-prompt';
import type {
  GenerateRequest,
  GenerateResult,
  LoadRequest,
  LoraDescription,
  ModelInfo,
  Progress,
  StoredRef,
  TokenMessage,
  WorkerApi,
} from '../protocol';
import { holdWhileAlive, whileUnused } from '../store/locks';
import { modelKey } from '../store/stored-source';
import type { Host } from './host';
import type { Model, Plannable } from './model';
import { openModel } from './open-model';
import { memoryInfo, planInfo } from './planning';

/** The sending end of a MessagePort, or anything that can stand for it. */
export interface Port<T> {
  postMessage(message: T): void;
  close?(): void;
}

export interface Session extends WorkerApi {
  load(request: LoadRequest, progress: Port<Progress>): Promise<ModelInfo>;
  generate(request: GenerateRequest, tokens: Port<TokenMessage>): Promise<GenerateResult>;
  /** the loaded model, for what the protocol does not offer (logits, benchmarks) */
  model(): Model;
}

/** here since openModel(), which waits for it */
const answering = () => import('./answering');
/** for conversations that are to last */
const promptCache = () => import('./prompt-cache');
/** for who asks for no answers, but for vectors and likelihoods */
const reading = () => import('./reading');
/** for who asks what is kept: not needed to load a model */
const storedModels = () => import('../store/stored-models');

export function createSession(host: Host): Session {
  let loaded: Model | null = null;
  let inspected: Plannable | null = null;
  let tail: Promise<unknown> = Promise.resolve();
  const running = new Map<number, AbortController>();

  /** Runs a request when those before it are done; `cancel(id)` reaches it from the moment it is asked for. */
  function enqueue<T>(id: number, port: Port<never> | null, task: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    running.set(id, controller);
    const result = tail
      .then(() => task(controller.signal))
      .finally(() => {
        running.delete(id);
        port?.close?.();
      });
    tail = result.catch(() => {});
    return result;
  }

  function model(): Model {
    if (!loaded) throw new NibbleError('invalid-option', 'No model is loaded. Call load() first.');
    loaded.gpu?.health.check();
    return loaded;
  }

  async function unload(): Promise<void> {
    const model = loaded;
    loaded = null;
    await model?.dispose();
  }

  /** Runs work on the loaded model; that its device was lost is what it fails with then. */
  async function onDevice<T>(work: (model: Model) => Promise<T>): Promise<T> {
    const current = model();
    try {
      return await work(current);
    } catch (error) {
      throw (await current.gpu?.health.explain(error)) ?? error;
    }
  }

  const info = async (of: Model) => (await answering()).modelInfo(of);

  async function setLora(wanted: readonly LoraDescription[], signal: AbortSignal) {
    const part = await import('./lora');
    await onDevice((model) => part.setLora(host, model, wanted, signal));
  }

  const openStore = async () => (await host.openStore()).store;

  async function storeOf(ref: StoredRef) {
    const store = ref.kind === 'files' ? null : await openStore();
    return { store, key: ref.kind === 'stored' ? ref.key : modelKey(await host.openSource(ref, () => {})) };
  }

  return {
    model,
    hello: holdWhileAlive,
    load: (request, progress) =>
      enqueue(request.id, progress, async (signal) => {
        throwIfAborted(signal);
        await unload();
        loaded = await openModel(host, request, (message) => progress.postMessage(message), signal);
        try {
          if (request.lora?.length) await setLora(request.lora, signal);
        } catch (error) {
          await unload();
          throw error;
        }
        return info(loaded);
      }),
    inspect: async (request) => {
      const { inspectModel } = await import('./inspect');
      const { cost, model: headers } = await inspectModel(host, request);
      inspected = headers;
      return cost;
    },
    setLora: (request) =>
      enqueue(request.id, null, async (signal) => {
        throwIfAborted(signal);
        await setLora(request.lora, signal);
        return info(model());
      }),
    generate: (request, tokens) =>
      enqueue(request.id, tokens, async (signal) => {
        const { respond } = await answering();
        return onDevice((model) => respond(model, request, (message) => tokens.postMessage(message), signal));
      }),
    embed: (request) =>
      enqueue(request.id, null, async (signal) => {
        const { embed } = await reading();
        return onDevice((model) => embed(model, request, signal));
      }),
    rerank: (request) =>
      enqueue(request.id, null, async (signal) => {
        const { rerank } = await reading();
        return onDevice((model) => rerank(model, request, signal));
      }),
    score: (request) =>
      enqueue(request.id, null, async (signal) => {
        const { score } = await reading();
        return onDevice((model) => score(model, request, signal));
      }),
    cancel: async (id) => running.get(id)?.abort(),
    close: (conversation) => enqueue(0, null, async () => loaded?.sequences.close(conversation)),
    saveCache: (conversation, name, id = 0) =>
      enqueue(id, null, async (signal) => {
        const { saveCache } = await promptCache();
        return onDevice((model) => saveCache(model, conversation, name, signal));
      }),
    restoreCache: (conversation, name, maxContext) =>
      enqueue(0, null, async () => {
        const { restoreCache } = await promptCache();
        return onDevice((model) => restoreCache(model, conversation, name, maxContext));
      }),
    cloneCache: (from, to) =>
      enqueue(0, null, async () => {
        const { cloneCache } = await import('./clone-cache');
        return onDevice((model) => cloneCache(model, from, to));
      }),
    savedCaches: async () => {
      const store = await openStore();
      return store ? (await promptCache()).listSaved(store) : [];
    },
    deleteSavedCache: async (name) => {
      const store = await openStore();
      if (store) await (await promptCache()).deleteSaved(store, { name });
    },
    plan: async (query) => planInfo(loaded || !inspected ? model() : inspected, query),
    prompt: async (messages, options) => (await answering()).encodeMessages(model(), messages, options),
    info: async () => info(model()),
    memory: async () => memoryInfo(model()),
    tokenize: async (text, special) => (await answering()).encodeText(model(), text, special),
    detokenize: async (ids) => {
      const { tokenizerOf } = await answering();
      const tokenizer = tokenizerOf(model());
      // a model may have fewer rows than its tokenizer has tokens, and more
      const vocab = Math.max(tokenizer.vocabSize, model().graph.spec.vocab);
      return tokenizer.decode(checkIds(ids, vocab), { skipSpecial: false });
    },
    stored: async (ref) => {
      const { store, key } = await storeOf(ref);
      return store && (await storedModels()).describeStored(store, key);
    },
    storedModels: async () => {
      const store = await openStore();
      return store ? (await storedModels()).listModels(store) : [];
    },
    verify: async (ref) => {
      const { store, key } = await storeOf(ref);
      const { verifyModel } = await storedModels();
      return store && whileUnused(key, () => verifyModel(store, key));
    },
    forget: async (ref) => {
      const { store, key } = await storeOf(ref);
      const { deleteModel } = await storedModels();
      if (store) await whileUnused(key, () => deleteModel(store, key));
    },
    dispose: async () => {
      for (const controller of running.values()) controller.abort();
      await tail;
      await unload();
    },
  };
}
