/** All that loading a model reads, brought to this device and kept there: the next load needs no network. */
import { loadWeights } from '../checkpoint/load-weights';
import { NibbleError } from '../errors';
import { tensorTable } from '../model/decoder';
import type { LoadRequest, Progress } from '../protocol';
import { samplePlaces } from '../store/version-samples';
import type { Host } from './host';
import { openFiles } from './open-files';
import { readHeaders, tryLoading } from './open-model';
import { undo } from './undo';

/** Weights are read piece by piece, as a load does, and go nowhere. */
const NOWHERE = { write: async () => {}, writeVector: () => {}, finish: async () => {} };

/**
 * Downloads, verifies and keeps a model; no more than a few pieces of it are ever in memory, and no device computes.
 * @throws storage-unavailable where nothing is kept; what load() throws before a model is placed
 */
export async function downloadModel(
  host: Host,
  request: LoadRequest,
  report: (progress: Progress) => void,
  signal: AbortSignal,
): Promise<void> {
  // what is kept does not depend on what will compute
  const options = { ...request.options, backend: 'cpu' } as const;
  await tryLoading(host, { ...request, options }, report, signal, async (loading) => {
    const { source, kept } = await openFiles(loading);
    if (!kept.store) throw new NibbleError('storage-unavailable', kept.reason);
    const { layout, graph, checkpoint } = await readHeaders(loading, source, true);
    const { meter } = loading;
    source.places = samplePlaces(layout);
    source.streaming = layout.files.map(({ path }) => path);
    meter.total(checkpoint.totalBytes);
    meter.phase('download');
    await loadWeights(checkpoint, tensorTable(graph.spec), NOWHERE, {
      signal: loading.signal,
      formats: graph.formats,
      onPlaced: meter.placed,
    });
    await source.markComplete();
    meter.phase('ready');
    await undo(loading.undoes);
  });
}
