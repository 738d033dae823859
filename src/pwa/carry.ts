/** The service worker's part in what tabs tell each other: see carried.ts. */
import type { Carried } from './carried';

/** Whether a message is to be carried on. */
export const isCarried = (data: unknown): data is Carried => typeof (data as Carried | null)?.carried === 'string';

/**
 * @param home the page's folder: pages elsewhere on the origin are told nothing
 * @param from the sender's id
 */
export async function carry(
  clients: Clients,
  home: URL,
  data: Carried,
  from: string,
  ports: readonly MessagePort[],
): Promise<void> {
  const { to } = data;
  // a page that is not controlled yet hears, too
  const all = to ? [await clients.get(to)] : await clients.matchAll({ type: 'window', includeUncontrolled: true });
  for (const client of all) {
    if (client?.url.startsWith(home.href)) client.postMessage({ ...data, from }, to ? [...ports] : []);
  }
}
