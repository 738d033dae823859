/**
 * The engines of a page's widgets: those that ask for one model in the same way share one, and have a conversation
 * each. The last one that leaves ends it.
 */
import { NibbleError } from '../errors';
import type { Progress } from '../protocol';
import type { ChatEngine, LoadEngine, Talk } from '../ui/conversation/chat-engine';

type Model = Parameters<LoadEngine>[0];
type Options = Parameters<LoadEngine>[1];

/** One widget's part in an engine: a conversation of its own. */
export interface Part<E extends ChatEngine> extends ChatEngine {
  /** the whole of it */
  readonly whole: E;
}

/**
 * @param leave when the part is disposed of
 * @param staysLoaded others go on with the engine, and have no use for this one's cache
 */
export function partIn<E extends ChatEngine>(whole: E, leave = () => {}, staysLoaded = () => true): Part<E> {
  let talk: Talk | null = null;
  return {
    whole,
    conversation: (options) => (talk = whole.conversation(options)),
    info: () => whole.info(),
    memory: () => whole.memory(),
    tokenize: (text) => whole.tokenize(text),
    dispose: async () => {
      if (staysLoaded()) await talk?.close().catch(() => {});
      leave();
    },
  };
}

interface Shared<E> {
  engine: Promise<E>;
  /** one for each widget: what tells it how far the load has come */
  users: Set<(progress: Progress) => void>;
  progress: Progress | null;
  stop: AbortController;
}

/** What of the options makes it another engine. */
function keyOf(model: Model, { onProgress: _, signal: __, persist: ___, ...options }: Options): string {
  return JSON.stringify([model, Object.entries(options).sort()]);
}

export class SharedEngines<E extends ChatEngine> {
  readonly #load: (...asked: Parameters<LoadEngine>) => Promise<E>;
  readonly #shared = new Map<string, Shared<E>>();

  constructor(load: (...asked: Parameters<LoadEngine>) => Promise<E>) {
    this.#load = load;
  }

  /** Whether another widget has loaded this, or is about to. */
  has(model: Model, options: Options): boolean {
    return this.#shared.has(keyOf(model, options));
  }

  /** As the engine's load(); what it gives is one widget's part in an engine, and is disposed of as an engine is. */
  load = async (model: Model, options: Options): Promise<Part<E>> => {
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
    return partIn(engine, leave, () => shared.users.size > 1);
  };

  #begin(key: string, model: Model, options: Options): Shared<E> {
    const stop = new AbortController();
    const shared: Omit<Shared<E>, 'engine'> = { users: new Set(), progress: null, stop };
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

  #forget(key: string, shared: Shared<E>): void {
    if (this.#shared.get(key) === shared) this.#shared.delete(key);
  }

  #leave(key: string, shared: Shared<E>, report: (progress: Progress) => void): void {
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
async function whileWanted<E>(
  engine: Promise<E>,
  leave: () => void,
  isWanted: () => boolean,
  signal?: AbortSignal,
): Promise<E> {
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
