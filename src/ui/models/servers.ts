/**
 * Servers of the person's own that answer in the place of a model here. What is remembered, for this site and browser,
 * is that the person agreed to send what is typed to an address; keys are kept in memory alone.
 */
import { NibbleError } from '../../errors';
import { recall, remember } from '../remember';

/** A server and the model that it is asked for. */
export interface ServerChoice {
  /** of its OpenAI-compatible API, such as https://host/v1 */
  url: string;
  /** as the server knows it */
  model: string;
  key?: string;
}

const AGREED = 'nibble-servers';

/** Addresses that were agreed to, the newest first. */
export function agreedServers(): string[] {
  try {
    const all: unknown = JSON.parse(recall(AGREED) ?? '[]');
    return Array.isArray(all) ? all.filter((url) => typeof url === 'string') : [];
  } catch {
    return [];
  }
}

/** The person agreed that what is typed goes there. */
export function agreeTo(url: string): void {
  remember(AGREED, JSON.stringify([url, ...agreedServers().filter((other) => other !== url)]));
}

/** Nothing is sent there any more. */
export function revoke(url: string): void {
  const rest = agreedServers().filter((other) => other !== url);
  remember(AGREED, rest.length > 0 ? JSON.stringify(rest) : null);
}

/** @throws invalid-option where nobody agreed */
export function checkAgreed(url: string): void {
  if (agreedServers().includes(url)) return;
  throw new NibbleError(
    'invalid-option',
    `Nothing is sent to ${new URL(url).host} before you agree to it: open Models, “A server of your own”.`,
    { option: 'server' },
  );
}

/**
 * The address of an API as it is asked: of one without a path, /v1.
 * @throws invalid-option for what is no address
 */
export function serverAddress(text: string): string {
  const full = /^https?:\/\//.test(text.trim()) ? text.trim() : `https://${text.trim()}`;
  if (!URL.canParse(full) || new URL(full).username !== '') {
    throw new NibbleError('invalid-option', 'This is no address of a server: it is like https://host/v1.', {
      option: 'server',
    });
  }
  const url = new URL(full);
  if (url.pathname === '/') url.pathname = '/v1';
  return (url.origin + url.pathname).replace(/\/+$/, '');
}

/** The models that a server lists. @throws network, with what to do next */
export async function modelsOf(url: string, key?: string): Promise<string[]> {
  const { host } = new URL(url);
  const fail = (what: string, status = 0) => new NibbleError('network', what, { url: `${url}/models`, status });
  let answer: Response;
  try {
    answer = await fetch(`${url}/models`, {
      headers: key ? { authorization: `Bearer ${key}` } : {},
      cache: 'no-store',
    });
  } catch {
    throw fail(
      `${host} gives no answer. Check that it runs, that it allows pages of ${location.origin} (CORS), and that this page’s connect-src names it.`,
    );
  }
  const { status } = answer;
  if (status === 401 || status === 403) throw fail(`${host} refuses the key (${status}). Check it.`, status);
  if (!answer.ok) throw fail(`${host} answered ${status}. Check the address: it is like https://host/v1.`, status);
  const { data } = (await answer.json().catch(() => ({}))) as { data?: unknown };
  const ids = Array.isArray(data) ? data.map((model: { id?: unknown } | null) => model?.id) : [];
  const names = ids.filter((id): id is string => typeof id === 'string');
  if (names.length === 0) throw fail(`${host} lists no models. Check the address: it is like https://host/v1.`, status);
  return names;
}
