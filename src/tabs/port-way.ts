/**
 * How a tab gets a MessagePort to the tab that has a model: it asks all tabs, and the one that has it gives a port. The
 * page's own service worker carries both (src/pwa/carried.ts).
 */
import { within } from '../platform/within';
import type { Carried } from '../pwa/carried';

/** What is asked, and answered with a port. */
interface Asked extends Carried {
  carried: 'model-wanted' | 'model-port';
  /** under which name tabs share it */
  model: string;
  /** the lock that who asks holds for as long as it listens */
  tab: string;
}

/** Gives a port to a model that this tab has; null: it has none of that name. */
export type Give = (model: string, tab: string) => MessagePort | null;

export interface PortWay {
  /** Whether a port could come at all. */
  isOpen(): Promise<boolean>;
  /** @returns null where no tab answers within a second */
  find(model: string, tab: string): Promise<MessagePort | null>;
  /** From now on this tab answers, too. */
  answer(give: Give): void;
}

/** A tab in the background has its timers a second apart. */
const ANSWER_MS = 1000;

export class ServiceWorkerWay implements PortWay {
  readonly #container: ServiceWorkerContainer;
  readonly #waiting = new Map<string, (port: MessagePort) => void>();
  #give: Give = () => null;

  constructor(container: ServiceWorkerContainer) {
    this.#container = container;
    container.addEventListener('message', ({ data, source, ports }) => {
      const { carried, model, tab, from } = (data ?? {}) as Asked;
      if (carried === 'model-port') return this.#waiting.get(tab)?.(ports[0]);
      const port = carried === 'model-wanted' ? this.#give(model, tab) : null;
      const answer: Asked = { carried: 'model-port', model, tab, to: from };
      if (port) (source as ServiceWorker).postMessage(answer, [port]);
    });
  }

  isOpen = async () => (await this.#worker()) !== null;

  async find(model: string, tab: string): Promise<MessagePort | null> {
    const worker = await this.#worker();
    const port = new Promise<MessagePort>((resolve) => this.#waiting.set(tab, resolve));
    const asked: Asked = { carried: 'model-wanted', model, tab };
    worker?.postMessage(asked);
    return within(ANSWER_MS, port, () => new Error())
      .catch(() => null)
      .finally(() => this.#waiting.delete(tab));
  }

  answer(give: Give): void {
    this.#give = give;
  }

  /** It need not control this page: at a first visit it comes later than the page. */
  async #worker(): Promise<ServiceWorker | null> {
    return this.#container.controller ?? (await this.#container.getRegistration())?.active ?? null;
  }
}
