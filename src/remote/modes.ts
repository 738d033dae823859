/** load() with a server: which engine its modes make. */
import type { Engine } from '../engine/engine';
import type { DeviceOptions, load } from '../engine/load';
import type { ModelInput } from '../engine/model-source';
import { LOAD_OPTIONS } from '../options/load';
import { WHERE_OPTIONS } from '../options/remote';
import { checkOptions, defaultsOf, isObject, refuse } from '../options/spec';
import { Connection } from './connection';
import { Device } from './device';
import { EitherEngine, type Mode } from './either-engine';
import { RemoteEngine } from './remote-engine';
import type { WhereOptions } from './where';

/**
 * @param loadHere - load() on this device: this module has none of the engine's part that makes workers
 * @param options - with any mode but 'device'
 * @throws invalid-option; what connecting needs is checked at once, what loading meets is the modes' matter
 */
export function loadSomewhere(
  loadHere: typeof load,
  model: ModelInput,
  { remote: given, where: mode, minTokensPerSecond: least, ...here }: DeviceOptions & WhereOptions,
): Engine {
  const chosen = { remote: given, where: mode, minTokensPerSecond: least };
  const { remote, where, minTokensPerSecond } = {
    ...defaultsOf(WHERE_OPTIONS),
    ...checkOptions<WhereOptions>(WHERE_OPTIONS, chosen),
  };
  if (!isObject(remote)) refuse('remote', remote, `{ url, model } of a server, where \`where\` is ${where}`);
  const { url, ...options } = remote!;
  const server = new RemoteEngine(new Connection(url, options));
  checkOptions<DeviceOptions>(LOAD_OPTIONS, here);
  if (where === 'server') return server;
  const device = new Device(() => loadHere(model, here), minTokensPerSecond);
  if (where === 'device-first') device.start();
  return new EitherEngine(server, device, where as Mode);
}
