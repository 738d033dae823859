/** A model that is kept for later: downloaded and verified by a worker of its own, and not loaded. */
import { transfer } from 'comlink';
import { throwIfAborted } from '../errors';
import { LOAD_OPTIONS } from '../options/load';
import { checkOptions } from '../options/spec';
import type { Progress } from '../protocol';
import type { DeviceOptions } from './load';
import { describeModel, type ModelInput } from './model-source';
import { cancellable, nextId, startWorker } from './start-worker';
import { workersFrom } from './workers-from';

/**
 * Downloads what load() with the same options would, and keeps it; what is here already is not downloaded again.
 * @param options `persist`: the browser is asked not to delete what it keeps
 * @throws storage-unavailable, quota-exceeded where there is no room, aborted by `signal`, and what load() throws of
 * files that it cannot use
 */
export async function keepModel(model: ModelInput, options: Omit<DeviceOptions, 'lora'> = {}): Promise<void> {
  const checked = checkOptions<Omit<DeviceOptions, 'lora'>>(LOAD_OPTIONS, options);
  const { onProgress, signal, revision, token, hub, workerUrl, createWorker, persist, ...engineOptions } = checked;
  throwIfAborted(signal);
  // at once, while this is still the person's click; workers cannot ask
  if (persist) void globalThis.navigator?.storage?.persist?.().catch(() => false);
  const source = await describeModel(model, { revision, token, hub });
  const worker = await startWorker(workersFrom({ workerUrl, createWorker }), { signal });
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = ({ data }: MessageEvent<Progress>) => onProgress?.(data);
  try {
    const id = nextId();
    await cancellable(worker, id, signal, () =>
      worker.api.download({ id, source, options: engineOptions }, transfer(port2, [port2])),
    );
  } finally {
    port1.close();
    worker.end();
  }
}
