/** The engine as Chrome's Prompt API: a class LanguageModel, and a polyfill of it where the browser has none. */
import type { Engine, GenerateOptions, Progress } from '../index';
import { orAborted } from './or-aborted';
import type {
  PromptAvailability,
  PromptCoreOptions,
  PromptCreateOptions,
  PromptLanguageModel,
  PromptMonitor,
  PromptParams,
} from './prompt-api-types';
import { asException } from './prompt-errors';
import { checkExpected, MAX_TEMPERATURE, MAX_TOP_K, samplingOf, toolsOf } from './prompt-messages';
import { type OwnSampling, Session } from './prompt-session';

export type * from './prompt-api-types';

/**
 * An engine, a promise of one, or a function that begins to load it when the first session is made:
 * `(onProgress) => load('org/name', { onProgress })`.
 */
export type PromptEngine =
  | Engine
  | PromiseLike<Engine>
  | ((onProgress: (progress: Progress) => void) => Engine | PromiseLike<Engine>);

/** Options of all answers, for what the Prompt API has no words: `{ maxNewTokens: 400 }`. */
export type PromptAnswerOptions = Omit<
  GenerateOptions,
  'signal' | 'onPrefill' | 'made' | 'tools' | 'schema' | 'pattern' | 'choice' | 'grammar'
>;

/** Whoever wants to know how far the load has come. */
class Monitor extends EventTarget implements PromptMonitor {
  ondownloadprogress: PromptMonitor['ondownloadprogress'] = null;
  #told = -1;

  constructor() {
    super();
    this.addEventListener('downloadprogress', (event) => this.ondownloadprogress?.call(this, event as ProgressEvent));
  }

  /** @param share 0 to 1; it never goes back */
  tell(share: number): void {
    if (share <= this.#told) return;
    this.#told = share;
    const numbers = { lengthComputable: true, loaded: share, total: 1 };
    // Node has none
    const event =
      'ProgressEvent' in globalThis
        ? new ProgressEvent('downloadprogress', numbers)
        : Object.assign(new Event('downloadprogress'), numbers);
    this.dispatchEvent(event);
  }
}

/** An engine that may still have to be loaded. */
class Lazy {
  readonly #given: PromptEngine;
  readonly #monitors = new Set<Monitor>();
  #engine: Promise<Engine> | null = null;
  state: PromptAvailability = 'downloadable';

  constructor(given: PromptEngine) {
    this.#given = given;
    if (typeof given === 'function') return;
    if ('then' in given) void this.#begin().catch(() => {});
    else this.state = 'available';
  }

  get(monitor: Monitor): Promise<Engine> {
    this.#monitors.add(monitor);
    monitor.tell(0);
    this.#engine ??= this.#begin();
    return this.#engine
      .then((engine) => {
        monitor.tell(1);
        return engine;
      })
      .finally(() => this.#monitors.delete(monitor));
  }

  /** A function is asked again after it has failed, a promise is not. */
  #begin(): Promise<Engine> {
    const given = this.#given;
    if (this.state !== 'available') this.state = 'downloading';
    const tell = ({ loadedBytes, totalBytes }: Progress) => {
      // 1 is told when the model is ready
      if (totalBytes > 0 && loadedBytes < totalBytes) this.#tell(loadedBytes / totalBytes);
    };
    const engine = (async () => (typeof given === 'function' ? given(tell) : given))();
    this.#engine = engine;
    engine.then(
      () => {
        this.state = 'available';
      },
      () => {
        this.state = typeof given === 'function' ? 'downloadable' : 'unavailable';
        if (typeof given === 'function') this.#engine = null;
      },
    );
    return engine;
  }

  #tell(share: number): void {
    for (const monitor of this.#monitors) monitor.tell(share);
  }
}

const made = new WeakSet<object>();

/**
 * Chrome's class LanguageModel, answered by this engine: `createLanguageModel(engine).create()`. Sessions are
 * conversations with caches of their own. Options that availability() and create() do not know are left aside.
 * @param options - of all answers, for what the Prompt API has no words
 * @returns a class whose instances create() makes; calls of the two reject as Chrome's do: see PromptSession
 */
export function createLanguageModel(engine: PromptEngine, options: PromptAnswerOptions = {}): PromptLanguageModel {
  const lazy = new Lazy(engine);
  const own: OwnSampling = { topK: 0, temperature: 0 };
  let known = false;
  const making = Symbol('create()');

  /** What the model does by itself, as its first answer tells. */
  async function learn(): Promise<void> {
    if (known) return;
    const talk = (await lazy.get(new Monitor())).conversation({ ...options, maxNewTokens: 1 });
    try {
      const told = (await talk.ask('.').result).options;
      if (told) Object.assign(own, { topK: told.topK, temperature: told.temperature });
      known = true;
    } finally {
      await talk.dispose();
    }
  }

  class LanguageModel extends Session {
    static async create(given: PromptCreateOptions = {}): Promise<LanguageModel> {
      const { signal, monitor, initialPrompts = [] } = given;
      checkExpected(given);
      const tools = toolsOf(given.tools);
      const sampling = samplingOf(given);
      signal?.throwIfAborted();
      const progress = new Monitor();
      monitor?.(progress);
      try {
        const ready = await orAborted(lazy.get(progress), signal);
        const { maxContext, kvCapacity } = (await ready.info()).options;
        const window = typeof kvCapacity === 'number' ? Math.min(maxContext, kvCapacity) : maxContext;
        const all = { ...options, ...sampling.options, ...(tools.length > 0 && { tools }) };
        const session = new LanguageModel({ engine: ready, options: all, mode: sampling.mode, own, window, making });
        return await session.begin(initialPrompts, signal);
      } catch (error) {
        throw asException(error);
      }
    }

    static async availability(given: PromptCoreOptions = {}): Promise<PromptAvailability> {
      try {
        checkExpected(given);
        toolsOf(given.tools);
      } catch (error) {
        if (error instanceof DOMException) return 'unavailable';
        throw error;
      }
      samplingOf(given);
      return lazy.state;
    }

    static async params(): Promise<PromptParams> {
      try {
        await learn();
      } catch (error) {
        throw asException(error);
      }
      const { topK: defaultTopK, temperature: defaultTemperature } = own;
      return { defaultTopK, maxTopK: MAX_TOP_K, defaultTemperature, maxTemperature: MAX_TEMPERATURE };
    }

    constructor(...given: ConstructorParameters<typeof Session>) {
      if (given[0]?.making !== making)
        throw new TypeError('Illegal constructor: LanguageModel.create() makes sessions.');
      super(...given);
    }
  }
  made.add(LanguageModel);
  // not what a minifier calls it
  Object.defineProperty(LanguageModel, 'name', { value: 'LanguageModel' });
  return LanguageModel as unknown as PromptLanguageModel;
}

/**
 * Puts createLanguageModel() into the place of `globalThis.LanguageModel`, where the browser has none of its own.
 * @param options - as of createLanguageModel()
 * @returns which one stands: the browser's own, which is left alone, or Nibble's, also of an earlier call
 */
export function install(
  engine: PromptEngine,
  options: PromptAnswerOptions = {},
): { by: 'browser' | 'nibble'; LanguageModel: PromptLanguageModel } {
  const { LanguageModel: there } = globalThis as { LanguageModel?: PromptLanguageModel };
  if (there) return { by: made.has(there) ? 'nibble' : 'browser', LanguageModel: there };
  const LanguageModel = createLanguageModel(engine, options);
  Object.defineProperty(globalThis, 'LanguageModel', { value: LanguageModel, writable: true, configurable: true });
  return { by: 'nibble', LanguageModel };
}
