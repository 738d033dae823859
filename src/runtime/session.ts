/**
 * The runtime behind WorkerApi, without Worker and comlink: the worker exposes it, the CLI calls it. One model; requests
 * wait for each other; an error ends its own request and no other.
 */
import { NibbleError, throwIfAborted } from '../errors';
import { checkIds } from '../execute/check-prompt';
import { parameterCount } from '../model/decoder';
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
import { type Host, type Model, openModel } from './open-model';
import { memoryInfo, type Planned, planFor, planInfo } from './planning';

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
const answering = () => import('./answer');
/** for conversations that are to last */
const savedCaches = () => import('./saved-caches');
/** for who asks what is kept: not needed to load a model */
const storedModels = () => import('../store/stored-models');

export function createSession(host: Host): Session {
  let loaded: Model | null = null;
  let inspected: Planned | null = null;
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

  function unload(): void {
    loaded?.executor.dispose();
    loaded?.gpu?.device.destroy();
    loaded?.release();
    loaded = null;
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

  async function setLora(wanted: readonly LoraDescription[], signal: AbortSignal) {
    const part = await import('./lora');
    await onDevice((model) => part.setLora(host, model, wanted, signal));
  }

  async function storeOf(ref: StoredRef) {
    const { store } = ref.kind === 'files' ? { store: null } : await host.openStore();
    return { store, key: ref.kind === 'stored' ? ref.key : modelKey(await host.openSource(ref, () => {})) };
  }

  return {
    model,
    hello: holdWhileAlive,
    load: (request, progress) =>
      enqueue(request.id, progress, async (signal) => {
        throwIfAborted(signal);
        unload();
        loaded = await openModel(host, request, (message) => progress.postMessage(message), signal);
        try {
          if (request.lora?.length) await setLora(request.lora, signal);
        } catch (error) {
          unload();
          throw error;
        }
        return info(loaded);
      }),
    inspect: async (request) => {
      const { inspectModel } = await import('./inspect');
      const { cost, planned } = await inspectModel(host, request);
      inspected = planned;
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
        const { answer } = await answering();
        return onDevice((model) => answer(model, request, (message) => tokens.postMessage(message), signal));
      }),
    cancel: async (id) => running.get(id)?.abort(),
    close: (conversation) => enqueue(0, null, async () => loaded?.conversations.close(conversation)),
    saveCache: (conversation, name, id = 0) =>
      enqueue(id, null, async (signal) => {
        const { saveCache } = await savedCaches();
        return onDevice((model) => saveCache(model, conversation, name, signal));
      }),
    restoreCache: (conversation, name, maxContext) =>
      enqueue(0, null, async () => {
        const { restoreCache } = await savedCaches();
        return onDevice((model) => restoreCache(model, conversation, name, maxContext));
      }),
    savedCaches: async () => {
      const { store } = await host.openStore();
      return store ? (await savedCaches()).listSaved(store) : [];
    },
    deleteSavedCache: async (name) => {
      const { store } = await host.openStore();
      if (store) await (await savedCaches()).deleteSaved(store, { name });
    },
    plan: async (query) => planInfo(loaded || !inspected ? model() : inspected, query),
    prompt: async (messages, options) => {
      const { promptSteps, inTurns } = await answering();
      const { text, ids } = (await inTurns(promptSteps(model(), messages, options)))!;
      return { text, ids };
    },
    info: async () => info(model()),
    memory: async () => memoryInfo(model()),
    tokenize: async (text, special) => {
      const { tokenizerOf, inTurns } = await answering();
      return (await inTurns(tokenizerOf(model()).steps(text, { special, bos: false })))!;
    },
    detokenize: async (ids) => {
      const { tokenizerOf } = await answering();
      const tokenizer = tokenizerOf(model());
      // a model may have fewer rows than its tokenizer has tokens, and more
      const vocab = Math.max(tokenizer.vocabSize, model().plan.spec.vocab);
      return tokenizer.decode(checkIds(ids, vocab), { skipSpecial: false });
    },
    stored: async (ref) => {
      const { store, key } = await storeOf(ref);
      return store && (await storedModels()).describeStored(store, key);
    },
    storedModels: async () => {
      const { store } = await host.openStore();
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
      unload();
    },
  };
}

function info(model: Model): ModelInfo {
  const { checkpoint, plan, gpu, executor, options, tokenizer, template } = model;
  const { backendReason, storageReason, deviceEstimate } = model;
  const weightTypes: ModelInfo['weightTypes'] = {};
  for (const { format, bytes } of planFor(model, 1, 1).matrices) {
    weightTypes[format.type] ??= { count: 0, bytes: 0 };
    weightTypes[format.type].count++;
    weightTypes[format.type].bytes += bytes.codes + bytes.scales + bytes.offsets;
  }
  return {
    name: checkpoint.name,
    revision: checkpoint.revision,
    family: plan.spec.family,
    parameters: parameterCount(plan.spec),
    contextLength: plan.spec.contextLength,
    backend: executor.backend,
    backendReason,
    adapter: gpu?.adapter ?? null,
    deviceEstimate,
    options,
    storageReason,
    weightTypes,
    variants: executor.stats().variants,
    lora: model.lora,
    hasTokenizer: tokenizer !== null,
    hasChatTemplate: template !== null,
    notes: [...checkpoint.notes, ...model.notes],
  };
}
