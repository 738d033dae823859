/** One try of a load: what its stages share. */
import type { Gpu } from '../gpu/device';
import type { LoadRequest, Progress } from '../protocol';
import { createProgress, type ProgressMeter } from '../store/progress';
import type { StoredSource } from '../store/stored-source';
import { chooseBackend } from './choose-backend';
import { fetchExecutor } from './create-executor';
import type { CompleteEngineOptions } from './engine-options';
import type { Host } from './host';
import type { UndoList } from './undo';

/** What the tries before this one have found. */
export interface Before {
  /** what is said with all progress: why this is not the first try; '' where it is */
  about: string;
  /** why the GPU is not used, where it was tried in vain; '' where it was not */
  unfit: string;
}

export interface Loading {
  host: Host;
  request: LoadRequest;
  options: CompleteEngineOptions;
  meter: ProgressMeter;
  /** a sentence that goes with all progress that has none of its own; '' where there is nothing to say */
  about: string;
  /** fires when the load is stopped, or when the device fails */
  signal: AbortSignal;
  /** chosen beside the headers, and then the code of the executor that will be needed is fetched */
  backend: Promise<{ gpu: Gpu | null; reason: string }>;
  /** the files, from when they are open: they may explain why the load failed */
  source?: StoredSource;
  /** undone when the model is let go, or fails to load */
  undoes: UndoList;
  /** undone when the load is over, whichever way it ended */
  passing: UndoList;
}

/**
 * Begins a try: from here on `undoes` and `passing` have to be undone.
 * @param stop the caller's, who may stop it
 */
export function beginLoading(
  host: Host,
  request: LoadRequest,
  options: CompleteEngineOptions,
  report: (progress: Progress) => void,
  stop: AbortSignal | undefined,
  { about, unfit }: Before,
): Loading {
  const meter = createProgress((progress) =>
    report(loading.about && !progress.note ? { ...progress, note: loading.about } : progress),
  );
  // AbortSignal.any() is younger than the browsers that this runs in
  const halt = new AbortController();
  const stopped = () => halt.abort();
  if (stop?.aborted) stopped();
  stop?.addEventListener('abort', stopped);
  const backend = unfit
    ? Promise.resolve({ gpu: null, reason: `The CPU answers, because the GPU does not: ${unfit}` })
    : chooseBackend(options.backend, host.gpu, options);
  backend.then(({ gpu }) => fetchExecutor(gpu)).catch(() => {});
  backend.then(({ gpu }) => gpu?.health.failed.then(stopped)).catch(() => {});
  const freeDevice = async () => (await backend.catch(() => null))?.gpu?.device.destroy();
  const { signal } = halt;
  const loading: Loading = { host, request, options, meter, about, signal, backend, undoes: [freeDevice], passing: [] };
  meter.phase('header');
  return loading;
}
