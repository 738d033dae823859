/** One load of a model for all tabs that wait for it: each is told how far it has come, and may stop waiting. */
import { transfer } from 'comlink';
import type { RunningWorker } from '../engine/start-worker';
import { NibbleError } from '../errors';
import type { LoadRequest, ModelInfo, Progress } from '../protocol';

/** The number of the load in the worker, unlike that of any request of a tab (guest.ts). */
const LOAD_ID = 1;

export class Loading {
  readonly #info: Promise<ModelInfo>;
  readonly #tabs = new Set<(progress: Progress) => void>();
  readonly #stop: () => void;
  #last: Progress | null = null;

  /** @param failed called when it has */
  constructor(api: RunningWorker['api'], request: LoadRequest, failed: (error: unknown) => void) {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }: MessageEvent<Progress>) => {
      this.#last = data;
      for (const tell of this.#tabs) tell(data);
      if (data.phase === 'ready') port1.close();
    };
    this.#info = api.load({ ...request, id: LOAD_ID }, transfer(port2, [port2]));
    this.#info.catch(failed);
    this.#stop = () => void api.cancel(LOAD_ID);
  }

  /**
   * Waits for the end of the load.
   * @param note what is told of a load that another tab began
   * @param signal ends the wait, and the load where nobody else waits for it
   * @throws what the load throws; aborted
   */
  join(port: MessagePort, note: string | undefined, signal: AbortSignal): Promise<ModelInfo> {
    const tell = (progress: Progress) => {
      port.postMessage(progress.phase === 'ready' ? progress : { ...progress, note: progress.note ?? note });
      if (progress.phase !== 'ready') return;
      this.#tabs.delete(tell);
      port.close();
    };
    this.#tabs.add(tell);
    if (this.#last) tell(this.#last);
    return new Promise((resolve, reject) => {
      this.#info.then(resolve, reject);
      signal.addEventListener('abort', () => {
        if (!this.#tabs.delete(tell)) return;
        // what was the last one waits until it has ended: its locks are free then
        if (this.#tabs.size === 0) this.#stop();
        else reject(new NibbleError('aborted', 'The request was stopped.'));
      });
    });
  }
}
