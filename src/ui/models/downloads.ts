/** Models that are downloaded to be kept and are not loaded: they go on for as long as the page is open. */
import { asNibbleError, type NibbleError } from '../../errors';
import type { EngineOptions, Progress } from '../../protocol';
import type { ModelChoice } from './model-choice';
import type { ModelLibrary } from './model-library';

export interface Download {
  readonly choice: ModelChoice;
  /** of the load that it stands for */
  readonly options: EngineOptions;
  progress: Progress | null;
  error: NibbleError | null;
  /** all of it is here */
  done: boolean;
}

/** Dispatches 'change', and 'kept' when a model is here. */
export class Downloads extends EventTarget {
  #all: readonly Download[] = [];
  readonly #stops = new WeakMap<Download, AbortController>();

  /** in the order in which they were begun */
  get all(): readonly Download[] {
    return this.#all;
  }

  /** Begins one; the person has just asked for it. One that is under way for the same model goes on. */
  begin(keep: NonNullable<ModelLibrary['keep']>, choice: ModelChoice, options: EngineOptions): void {
    const same = this.#all.find(
      (other) => other.choice.model === choice.model && other.choice.revision === choice.revision,
    );
    if (same && !same.error && !same.done) return;
    const download: Download = { choice, options, progress: null, error: null, done: false };
    this.#all = [...this.#all.filter((other) => other !== same), download];
    this.#changed();
    void this.#run(keep, download);
  }

  cancel(download: Download): void {
    this.#stops.get(download)?.abort();
    this.#all = this.#all.filter((other) => other !== download);
    this.#changed();
  }

  /** Forgets what is over, well or not. */
  tidy(): void {
    this.#all = this.#all.filter(({ done, error }) => !done && !error);
    this.#changed();
  }

  async #run(keep: NonNullable<ModelLibrary['keep']>, download: Download): Promise<void> {
    const stop = new AbortController();
    this.#stops.set(download, stop);
    const { model, name: _, options: chosen, server: __, ...hub } = download.choice;
    try {
      await keep(model, {
        ...download.options,
        ...chosen,
        ...hub,
        // what cannot be kept whole is of no use offline
        storage: 'indexeddb',
        persist: true,
        signal: stop.signal,
        onProgress: (progress) => {
          download.progress = progress;
          this.#changed();
        },
      });
      download.done = true;
    } catch (thrown) {
      if (!stop.signal.aborted) download.error = asNibbleError(thrown);
    }
    this.#changed();
    if (download.done) this.dispatchEvent(new Event('kept'));
  }

  #changed(): void {
    this.dispatchEvent(new Event('change'));
  }
}
