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
import type { Company } from './company';
import type { Host } from './host';
import type { Model, Plannable } from './model';
import { openModel } from './open-model';
import { memoryInfo, planInfo } from './planning';
import { RequestQueue } from './request-queue';

/** The sending end of a MessagePort, or anything that can stand for it. */
export interface Port<T> {
  postMessage(message: T): void;
  close?(): void;
}

export interface Session extends WorkerApi {
  load(request: LoadRequest, progress: Port<Progress>): Promise<ModelInfo>;
  download(request: LoadRequest, progress: Port<Progress>): Promise<void>;
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
  const queue = new RequestQueue();
  /** of the requests that are answered together now, and how many there are */
  let company: Promise<Company> | null = null;
  let members = 0;
  const running = new Map<number, AbortController>();

  /**
   * Runs a request when those before it are done; `cancel(id)` reaches it from the moment it is asked for.
   * @param run see RequestQueue.run()
   */
  function enqueue<T>(
    id: number,
    port: Port<never> | null,
    task: (signal: AbortSignal) => Promise<T>,
    run: (task: () => Promise<T>) => Promise<T> = (task) => queue.run(task),
  ): Promise<T> {
    const controller = new AbortController();
    running.set(id, controller);
    return run(() => task(controller.signal)).finally(() => {
      running.delete(id);
      port?.close?.();
    });
  }

  /** Answers a request among those that are answered now. */
  async function answerTogether(
    request: GenerateRequest,
    most: number,
    send: (message: TokenMessage) => void,
    signal: AbortSignal,
  ) {
    members++;
    try {
      const [{ respond }, { Company }] = await Promise.all([answering(), import('./company')]);
      return await onDevice(async (model) => {
        company ??= Company.open(model, most);
        const among = (await company).join();
        try {
          return await respond(model, request, send, signal, among);
        } finally {
          among.leave();
        }
      });
    } finally {
      if (--members === 0) {
        const done = company;
        company = null;
        await done?.then((one) => one.close()).catch(() => {});
      }
    }
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
    download: (request, progress) =>
      enqueue(request.id, progress, async (signal) => {
        const { downloadModel } = await import('./download');
        await downloadModel(host, request, (message) => progress.postMessage(message), signal);
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
    generate: (request, tokens) => {
      const send = (message: TokenMessage) => tokens.postMessage(message);
      const alone = async (signal: AbortSignal) => {
        const { respond } = await answering();
        return onDevice((model) => respond(model, request, send, signal));
      };
      const { together } = request;
      if (!together) return enqueue(request.id, tokens, alone);
      const among = async (signal: AbortSignal) =>
        (await queue.run(() => answerTogether(request, together, send, signal), together)) ??
        queue.run(() => alone(signal));
      return enqueue(request.id, tokens, among, (task) => task());
    },
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
      await queue.run(unload);
    },
  };
}
