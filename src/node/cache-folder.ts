/** The one folder in which models from the Hub and from addresses are kept. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** NIBBLE_CACHE where it is set, else the place that the system has for what can be fetched again. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env, platform: string = process.platform): string {
  if (env.NIBBLE_CACHE) return resolve(env.NIBBLE_CACHE);
  if (env.XDG_CACHE_HOME) return join(env.XDG_CACHE_HOME, 'nibble');
  if (platform === 'win32') return join(env.LOCALAPPDATA || join(homedir(), 'AppData', 'Local'), 'nibble');
  if (platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'nibble');
  return join(homedir(), '.cache', 'nibble');
}
