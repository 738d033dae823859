/** The errors of servers, with the address that was asked. */
import { NibbleError } from '../errors';

/** An address without what may be secret in it: the name and password, and the query. */
export function publicAddress(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}

/**
 * The error for an answer, or for none.
 * @param answer the answer, or its status where that is all; 0: there was none
 */
export function networkError(
  address: string,
  answer: Response | number,
  what: string,
  next: string,
  details = {},
): NibbleError {
  const url = publicAddress(address);
  const [status, type] = typeof answer === 'number' ? [answer] : [answer.status, answer.headers.get('content-type')];
  const said = [status || [], type ?? []].flat().join(', ');
  const message = `${what} (${url}${said && `: ${said}`}). ${next}`;
  return new NibbleError('network', message, { url, status, ...(type && { contentType: type }), ...details });
}

/** What stands in the place of a file that is not there, with a status that says it were: a login, or a start page. */
export const isPage = (type: string | null) => /^(text\/html|application\/xhtml)/i.test(type ?? '');

export const webPage = (address: string, answer: Response | number): NibbleError =>
  networkError(
    address,
    answer,
    'The server answered with a web page instead of the file',
    'Check the address: many sites answer so, with a start page or a login, where they have no such file.',
    { reason: 'web-page' },
  );

export const encodePath = (path: string): string => path.split('/').map(encodeURIComponent).join('/');
