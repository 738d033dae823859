/** load() as applications have it: here, or where `where` says, which is fetched by who asks for it alone. */
import type { Engine } from '../engine/engine';
import { type DeviceOptions, load as loadHere } from '../engine/load';
import type { ModelInput } from '../engine/model-source';
import type { WhereOptions } from './where';

/** Options of load(). */
export interface LoadOptions extends DeviceOptions, WhereOptions {}

/**
 * Starts a worker and loads a model into it. When the graphics device or the worker is lost, in the download or ever
 * after, the model is loaded again by itself, once a minute at most: `onProgress` tells of it, with a note, and answers
 * under way go on where they stopped. A worker that does not hear a stop within two seconds is ended, as often as that
 * happens, and the next request loads the model again, with a note, too. With `remote` and `where`, a server may answer
 * in its place, or until the model is here: then it returns before that.
 * @param model - see ModelInput for the ways to name one
 * @throws NibbleError: invalid-option for an argument that it does not take, aborted by `signal`, and any other code of
 * ErrorCode
 */
export async function load(model: ModelInput, options: LoadOptions = {}): Promise<Engine> {
  // a text, for one, is no options, and is refused as it stands
  if (Object(options) !== options) return loadHere(model, options);
  const { remote, where, minTokensPerSecond, ...here } = options;
  if ((where ?? 'device') === 'device') return loadHere(model, here);
  return (await import('./modes')).loadSomewhere(loadHere, model, options);
}
