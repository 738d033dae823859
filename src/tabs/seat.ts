/**
 * What an engine of a tab has in the place of a worker: a port to the tab that has the worker, or to this tab itself
 * where that is the one. When that tab goes, the engine learns of it as of a worker that another one replaces, and asks
 * for the next: one of those that are left takes the lock, and the worker with it.
 */
import { MOVED } from '../engine/held-model';
import { leftAttempt } from '../engine/leaving';
import type { WorkerOptions } from '../engine/worker-options';
import { within } from '../platform/within';
import type { LoadRequest } from '../protocol';
import { told } from './messages';
import type { ModelHost } from './model-host';
import type { PageLife } from './page-life';
import type { PortWay } from './port-way';
import { mark, takeIfFree, whenFree } from './tab-locks';

type MakeWorker = NonNullable<WorkerOptions['createWorker']>;

/** What this tab shares with others by. */
export interface Surroundings {
  locks: LockManager;
  way: PortWay;
  life: PageLife;
  /** how a worker is made */
  ways: readonly MakeWorker[];
}

/** A tab that has a model and does not answer for so long is frozen, or of an older version of the page. */
const PATIENCE_MS = 8000;
/** Who has given a port says that it is there; it may have been closed in between. */
const HERE_MS = 1000;
const AGAIN_MS = 50;

const pause = () => new Promise((resolve) => setTimeout(resolve, AGAIN_MS));

/** The models whose workers this tab has, for itself and for others. */
export class Seats {
  readonly around: Surroundings;
  readonly #hosts = new Map<string, ModelHost>();
  /** attempts to load that this page made */
  readonly #attempts = new Set<string>();

  constructor(around: Surroundings) {
    this.around = around;
    around.way.answer((model, tab) => {
      const host = this.#hosts.get(model);
      if (!host) return null;
      const { port1, port2 } = new MessageChannel();
      host.serve(port1, tab);
      return port2;
    });
    around.life.onStop(() => {
      // with nobody else to go on, it is there when this page runs again
      for (const host of this.#hosts.values()) if (host.tabs > 1) host.end(MOVED);
    });
  }

  /** The worker's owner in this tab: where nobody has it, this tab takes it. @returns null: another tab has it */
  async here(model: string): Promise<ModelHost | null> {
    const known = this.#hosts.get(model);
    if (known) return known;
    const { locks, ways } = this.around;
    const { ModelHost } = await import('./model-host');
    const release = await takeIfFree(locks, model);
    if (!release) return null;
    const closed = () => {
      if (this.#hosts.get(model) === host) this.#hosts.delete(model);
    };
    const host = new ModelHost(locks, ways, (request) => this.#left(request), closed, release);
    this.#hosts.set(model, host);
    return host;
  }

  /** What this page did not begin itself may have been left in another tab. */
  #left({ attempt, left }: LoadRequest): string | null {
    if (attempt) this.#attempts.add(attempt);
    return left && this.#attempts.has(left) ? left : leftAttempt();
  }
}

/** One engine's. */
export class Seat {
  /** told how many answers of other tabs come before the one that is asked for */
  ahead: (answers: number) => void = () => {};
  /** told when the tab that had the model has gone */
  moved: () => void = () => {};
  readonly #seats: Seats;
  readonly #model: string;

  /** @param model the lock's name */
  constructor(seats: Seats, model: string) {
    this.#seats = seats;
    this.#model = model;
  }

  /** As the engine asks for a worker: it is in this tab, in another, or, where that does not answer, one of its own. */
  readonly createWorker = async (): Promise<Worker> => {
    const { locks, life, way, ways } = this.#seats.around;
    for (const begun = performance.now(); ; await pause()) {
      await life.running();
      const host = await this.#seats.here(this.#model);
      const tab = await mark(locks, 'nibble-tab');
      let leave = () => {};
      let port: MessagePort | null = null;
      if (host) {
        const channel = new MessageChannel();
        leave = host.serve(channel.port1, tab.name);
        port = channel.port2;
      } else if (await way.isOpen()) port = await way.find(this.#model, tab.name);
      else return ways[0]();
      const worker = port && (await this.#sit(port, tab.release, leave));
      if (worker) return worker;
      leave();
      tab.release();
      port?.close();
      if (performance.now() - begun > PATIENCE_MS) return ways[0]();
    }
  };

  /** @returns null where who gave the port has gone meanwhile */
  #sit(port: MessagePort, release: () => void, leave: () => void): Promise<Worker | null> {
    const { locks } = this.#seats.around;
    const left = new AbortController();
    const lost = (reason: string) => {
      if (left.signal.aborted) return;
      left.abort();
      // as a worker that fails tells it
      port.dispatchEvent(Object.assign(new Event('error'), { message: reason }));
      this.ahead(0);
      if (reason === MOVED) this.moved();
    };
    const terminate = () => {
      left.abort();
      leave();
      release();
      port.close();
    };
    const here = new Promise<Worker | null>((resolve) => {
      port.addEventListener('message', ({ data }) => {
        const message = told(data);
        if (message?.told === 'ahead') this.ahead(message.answers);
        if (message?.told === 'end') {
          lost(message.reason);
          resolve(null);
        }
        if (message?.told !== 'here') return;
        whenFree(locks, message.life, left.signal, () => lost(MOVED));
        resolve(Object.assign(port, { terminate }) as unknown as Worker);
      });
      port.start();
    });
    return within(HERE_MS, here, () => new Error()).catch(() => null);
  }
}
