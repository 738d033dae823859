/** Several tabs of a page in one process: they share locks, ports and what is kept; each may be closed or frozen. */
import { type DeviceOptions, type Engine, load, type ModelInput } from '../../engine';
import { sessionWorkers } from '../../engine/test/session-worker';
import type { Session } from '../../runtime/session';
import { createMemoryStore } from '../../store/chunk-store';
import type { Give } from '../port-way';
import { sharedLoad } from '../shared-load';

interface Held {
  name: string;
  owner: Tab;
  release: () => void;
}

interface Waiting {
  name: string;
  owner: Tab;
  grant: () => void;
}

/** Web Locks, as far as tabs use them here: exclusive ones. */
class Locks {
  held: Held[] = [];
  #waiting: Waiting[] = [];
  readonly #gone = new Set<Tab>();

  of(owner: Tab): LockManager {
    const request = (
      name: string,
      { ifAvailable, signal }: LockOptions,
      callback: (lock: Lock | null) => unknown,
    ): Promise<unknown> => {
      if (this.#gone.has(owner)) return new Promise(() => {});
      const isFree = !this.held.some((held) => held.name === name);
      if (!isFree && ifAvailable) return Promise.resolve().then(() => callback(null));
      return new Promise((resolve, reject) => {
        const waiting = { name, owner, grant: () => this.#hold(waiting, callback).then(resolve, reject) };
        signal?.addEventListener('abort', () => {
          if (!this.#waiting.includes(waiting)) return;
          this.#waiting = this.#waiting.filter((other) => other !== waiting);
          reject(signal.reason);
        });
        this.#waiting.push(waiting);
        this.#next();
      });
    };
    return { request } as unknown as LockManager;
  }

  /** The tab has gone. */
  leave(owner: Tab): void {
    this.#gone.add(owner);
    this.#waiting = this.#waiting.filter((waiting) => waiting.owner !== owner);
    for (const held of this.held.filter((each) => each.owner === owner)) held.release();
  }

  async #hold({ name, owner }: Waiting, callback: (lock: Lock | null) => unknown): Promise<unknown> {
    const held: Held = { name, owner, release: () => {} };
    this.held.push(held);
    const gone = new Promise<void>((resolve) => {
      held.release = resolve;
    });
    try {
      return await Promise.race([Promise.resolve().then(() => callback({ name, mode: 'exclusive' })), gone]);
    } finally {
      this.held = this.held.filter((other) => other !== held);
      this.#next();
    }
  }

  #next(): void {
    const next = this.#waiting.find(({ name }) => !this.held.some((held) => held.name === name));
    if (!next) return;
    this.#waiting = this.#waiting.filter((other) => other !== next);
    next.grant();
    this.#next();
  }
}

export interface Tab {
  open(options?: DeviceOptions, model?: ModelInput): Promise<Engine & { onAhead?: (answers: number) => void }>;
  /** Ends it with all that it has, and tells nobody. */
  close(): void;
  freeze(): void;
  resume(): void;
  /** workers that it has made */
  workers: () => number;
}

/** @param change puts something between the engines and each session */
export function browser(model: string, change: (session: Session) => Session = (session) => session) {
  const locks = new Locks();
  const store = createMemoryStore();
  const gives = new Map<Tab, Give>();
  let isOpen = true;

  const tab = (): Tab => {
    const workers: Worker[] = [];
    const make = sessionWorkers(store, change);
    const stops: (() => void)[] = [];
    let frozen: { until: Promise<void>; go: () => void } | null = null;
    const self: Tab = {
      async open(options = {}, which = model) {
        return (await shared(which, { kv: 'f32', backend: 'cpu', ...options })) as Engine;
      },
      close() {
        gives.delete(self);
        for (const worker of workers) worker.terminate();
        locks.leave(self);
      },
      freeze() {
        let go = () => {};
        const until = new Promise<void>((resolve) => {
          go = resolve;
        });
        frozen = { until, go };
        for (const stop of stops) stop();
      },
      resume() {
        frozen?.go();
        frozen = null;
      },
      workers: () => workers.length,
    };
    const shared = sharedLoad(load, {
      locks: locks.of(self),
      way: {
        isOpen: async () => isOpen,
        async find(model, name) {
          for (const give of gives.values()) {
            const port = give(model, name);
            if (port) return port;
          }
          return null;
        },
        answer: (give) => gives.set(self, give),
      },
      life: { onStop: (stop) => stops.push(stop), running: async () => frozen?.until },
      ways: [
        () => {
          workers.push(make());
          return workers.at(-1)!;
        },
      ],
    });
    return self;
  };

  return {
    tab,
    /** names of the locks that are held */
    held: () => locks.held.map(({ name }) => name),
    /** no port goes from tab to tab any more */
    cutOff() {
      isOpen = false;
    },
    /** tabs are asked, and do not answer */
    silence() {
      gives.clear();
    },
  };
}
