/**
 * One loaded model for all tabs of the page: load() in which the tab that has a Web Lock has the worker, and the others
 * ask it over a MessagePort each. What tabs of one version, in one folder, ask for in the same way is shared. Where the
 * page has no service worker to carry ports (its first moments, development, some private windows), a tab that finds
 * the model taken has a worker of its own, as all did without this: by a BroadcastChannel every tab would be sent every
 * token of every other, and no port. So has one whose model is files that only it was given, or is not to be kept: the
 * next tab could not load it from here.
 */
import type { DeviceOptions, Engine, ModelInput } from '../engine';
import { ownWorker } from '../engine/own-worker';
import type { Progress } from '../protocol';
import type { ChatEngine, LoadEngine } from '../ui/conversation/chat-engine';
import { pageLife } from './page-life';
import { ServiceWorkerWay } from './port-way';
import { Seat, Seats, type Surroundings } from './seat';

type Options = Parameters<LoadEngine>[1];

/** The build: this file's name has a digest of it in the name, and the worker's name is in that. */
const BUILD = import.meta.url;

const MOVED_NOTE = 'The tab that had the model was closed: the model is being loaded here.';

/** The name of the lock; null: it is not shared. */
export function lockName(model: ModelInput, options: Options, build = BUILD): string | null {
  if (typeof model !== 'string' && !(model instanceof URL)) return null;
  // what these say does not make it another engine, or is nobody else's business
  const { onProgress: _, signal: __, persist: ___, token: ____, ...chosen } = options;
  if (chosen.storage === 'none') return null;
  const given = Object.entries(chosen).filter(([, value]) => value !== undefined && value !== null);
  return `nibble-model:${JSON.stringify([build, String(model), given.sort()])}`;
}

/** What a page has; null where that is too little. */
function inBrowser(): Surroundings | null {
  const { locks, serviceWorker } = globalThis.navigator ?? {};
  if (!locks || !serviceWorker) return null;
  return { locks, way: new ServiceWorkerWay(serviceWorker), life: pageLife(), ways: ownWorker };
}

/** @param load the engine's */
export function sharedLoad(
  load: (model: ModelInput, options: DeviceOptions) => Promise<Engine>,
  around: Surroundings | null = inBrowser(),
): LoadEngine {
  if (!around) return load;
  const seats = new Seats(around);
  return async (model, options) => {
    const name = lockName(model, options);
    if (name === null) return load(model, { ...options, createWorker: around.ways[0] });
    const seat = new Seat(seats, name);
    let moved = false;
    const onProgress = (progress: Progress) => {
      const note = moved ? MOVED_NOTE : progress.note;
      if (progress.phase === 'ready') moved = false;
      options.onProgress?.(moved ? { ...progress, note } : progress);
    };
    const engine: ChatEngine = await load(model, { ...options, onProgress, createWorker: seat.createWorker });
    seat.ahead = (answers) => engine.onAhead?.(answers);
    seat.moved = () => {
      moved = true;
      // the next question need not wait for it
      void engine.memory().catch(() => {});
    };
    return engine;
  };
}
