/** How a port goes from tab to tab, and when a page may have one. */
import { expect, it, vi } from 'vitest';
import { carry, isCarried } from '../pwa/carry';
import { pageLife } from './page-life';
import { ServiceWorkerWay } from './port-way';

/** The service worker, with pages at these addresses; each page's container is what its way is made of. */
function serviceWorker(...addresses: string[]) {
  const home = new URL('https://page.example/app/');
  const pages = addresses.map((url, index) => {
    const container = new EventTarget() as EventTarget & { controller: unknown; getRegistration: () => unknown };
    const deliver = (data: unknown, ports: MessagePort[]) =>
      container.dispatchEvent(Object.assign(new Event('message'), { data, ports, source: toWorker(String(index)) }));
    const client = { id: String(index), url, postMessage: vi.fn(deliver) };
    return { container, client };
  });
  const clients = {
    get: async (id: string) => pages[Number(id)]?.client,
    matchAll: async () => pages.map(({ client }) => client),
  };
  const toWorker = (from: string) => ({
    postMessage: (data: unknown, ports: MessagePort[] = []) =>
      isCarried(data) && void carry(clients as unknown as Clients, home, data, from, ports),
  });
  for (const [index, { container }] of pages.entries()) {
    // the first page came before the worker, which does not control it
    container.controller = index === 0 ? null : toWorker(String(index));
    container.getRegistration = async () => ({ active: toWorker(String(index)) });
  }
  const ways = pages.map(({ container }) => new ServiceWorkerWay(container as unknown as ServiceWorkerContainer));
  return { ways, clients: pages.map(({ client }) => client) };
}

it('a port goes from the tab that has the model to the one that asks, and no other tab is told of it', async () => {
  const { ways, clients } = serviceWorker(
    'https://page.example/app/',
    'https://page.example/app/?model=x',
    'https://page.example/app/',
    'https://page.example/other/',
  );
  const { port1, port2 } = new MessageChannel();
  const give = vi.fn(() => port2);
  ways[0].answer(give);
  expect(await ways[1].isOpen()).toBe(true);
  expect(await ways[1].find('the model', 'tab 1')).toBe(port2);
  expect(give).toHaveBeenCalledWith('the model', 'tab 1');
  expect(clients[3].postMessage).not.toHaveBeenCalled();
  expect(clients[2].postMessage.mock.calls.filter(([, ports]) => ports.length > 0)).toEqual([]);
  for (const port of [port1, port2]) port.close();
});

it('where no tab has it, there is none after a second; without a service worker none can come', async () => {
  const { ways } = serviceWorker('https://page.example/app/', 'https://page.example/app/');
  vi.useFakeTimers();
  const found = ways[0].find('the model', 'tab');
  await vi.advanceTimersByTimeAsync(1100);
  vi.useRealTimers();
  expect(await found).toBeNull();
  const none = Object.assign(new EventTarget(), { controller: null, getRegistration: async () => undefined });
  expect(await new ServiceWorkerWay(none as unknown as ServiceWorkerContainer).isOpen()).toBe(false);
});

it('a page that is frozen, or kept for the way back, stops first, and runs again when it is resumed', async () => {
  const [page, win] = [new EventTarget(), new EventTarget()];
  const life = pageLife(page, win);
  const stop = vi.fn();
  life.onStop(stop);
  await life.running();
  const runs = async () => {
    let yes = false;
    void life.running().then(() => {
      yes = true;
    });
    await new Promise((resolve) => setTimeout(resolve));
    return yes;
  };
  for (const [target, end, again] of [
    [page, new Event('freeze'), new Event('resume')],
    [win, Object.assign(new Event('pagehide'), { persisted: true }), new Event('pageshow')],
  ] as const) {
    stop.mockClear();
    target.dispatchEvent(end);
    expect(stop).toHaveBeenCalledTimes(1);
    expect(await runs()).toBe(false);
    target.dispatchEvent(again);
    expect(await runs()).toBe(true);
  }
  stop.mockClear();
  win.dispatchEvent(Object.assign(new Event('pagehide'), { persisted: false }));
  expect(stop).not.toHaveBeenCalled();
});

it('what is no message between tabs is not carried', () => {
  for (const data of ['skip-waiting', null, undefined, 3, {}, { carried: 1 }]) expect(isCarried(data)).toBe(false);
});
