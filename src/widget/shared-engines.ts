/**
 * The engines of a page's widgets: those that ask for one model in the same way share one, and have a conversation
 * each. The last one that leaves ends it.
 */
import { NibbleError } from '../errors';
import type { Progress } from '../protocol';
import type { ChatEngine, LoadEngine, Talk } from '../ui/conversation/chat-engine';

type Model = Parameters<LoadEngine>[0];
type Options = Parameters<LoadEngine>[1];

interface Shared {
  engine: Promise<ChatEngine>;
  /** one for each widget: what tells it how far the load has come */
  users: Set<(progress: Progress) => void>;
  progress: Progress | null;
  stop: AbortController;
}

/** What of the options makes it another engine. */
function keyOf(model: Model, { onProgress: _, signal: __, persist: ___, ...options }: Options): string {
  return JSON.stringify([model, Object.entries(options).sort()]);
}

export class SharedEngines {
  readonly #load: LoadEngine;
  readonly #shared = new Map<string, Shared>();

  constructor(load: LoadEngine) {
    this.#load = load;
  }

  /** Whether another widget has loaded this, or is about to. */
  has(model: Model, options: Options): boolean {
    return this.#shared.has(keyOf(model, options));
  }

  /** As the engine's load(); what it gives is one widget's part in an engine, and is disposed of as an engine is. */
  load: LoadEngine = async (model, options) => {
    const key = keyOf(model, options);
    const known = this.#shared.get(key);
    const shared = known ?? this.#begin(key, model, options);
    const { onProgress = () => {}, signal } = options;
    const report = (progress: Progress) => onProgress(progress);
    shared.users.add(report);
    if (shared.progress) report(shared.progress);
    const leave = () => this.#leave(key, shared, report);
    const engine = await whileWanted(shared.engine, leave, () => shared.users.size > 0, signal);
    if (known && !(await engine.info().catch(() => null))) {
      // its device or worker was lost for good: those who have it learn of it when they ask
      this.#forget(key, shared);
      leave();
      return this.load(model, options);
    }
    let talk: Talk | null = null;
    return {
      conversation: (options) => (talk = engine.conversation(options)),
      info: () => engine.info(),
      memory: () => engine.memory(),
      tokenize: (text) => engine.tokenize(text),
      dispose: async () => {
        // the others' engine has no use for this one's cache
        if (shared.users.size > 1) await talk?.close().catch(() => {});
        leave();
      },
    };
  };

  #begin(key: string, model: Model, options: Options): Shared {
    const stop = new AbortController();
    const shared: Omit<Shared, 'engine'> = { users: new Set(), progress: null, stop };
    const onProgress = (progress: Progress) => {
      shared.progress = progress;
      for (const report of shared.users) report(progress);
    };
    // which may report at once
    const engine = this.#load(model, { ...options, signal: stop.signal, onProgress });
    const begun = Object.assign(shared, { engine });
    this.#shared.set(key, begun);
    engine.catch(() => this.#forget(key, begun));
    return begun;
  }

  #forget(key: string, shared: Shared): void {
    if (this.#shared.get(key) === shared) this.#shared.delete(key);
  }

  #leave(key: string, shared: Shared, report: (progress: Progress) => void): void {
    if (!shared.users.delete(report) || shared.users.size > 0) return;
    this.#forget(key, shared);
    shared.stop.abort();
    shared.engine.then(
      (engine) => engine.dispose(),
      () => {},
    );
  }
}

/** The engine, unless the widget stops waiting for it. Where nobody else waits, that is when the load has ended. */
async function whileWanted(
  engine: Promise<ChatEngine>,
  leave: () => void,
  isWanted: () => boolean,
  signal?: AbortSignal,
): Promise<ChatEngine> {
  let stop = () => {};
  const stopped = new Promise<never>((_, reject) => {
    stop = () => {
      leave();
      if (isWanted()) reject(new NibbleError('aborted', 'The request was stopped.'));
    };
    if (signal?.aborted) stop();
    signal?.addEventListener('abort', stop);
  });
  try {
    const loaded = await Promise.race([engine, stopped]);
    if (signal?.aborted) throw new NibbleError('aborted', 'The request was stopped.');
    return loaded;
  } catch (error) {
    leave();
    throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}
