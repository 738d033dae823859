/** What a server's refusal means: one of Nibble's errors, with its status, what it said, and what to do. */
import { cut, NibbleError } from '../errors';
import { isObject } from '../options/spec';
import { networkError } from '../sources/http-errors';
import { retryAfter, spanOf } from '../sources/retry';

/** What servers say of a conversation that is too long. */
const TOO_LONG = /context_length_exceeded|context (length|size|window)|maximum (context|model) length|exceed_context/i;

/** What an error's body says: OpenAI's form, FastAPI's, or a text. */
export function messageOf(body: unknown): string {
  if (typeof body === 'string') return body;
  if (Array.isArray(body)) return body.map(messageOf).join('; ');
  if (!isObject(body)) return '';
  const { error, message, detail, msg, code, loc } = body;
  const text = messageOf(error ?? message ?? detail ?? msg);
  const place = Array.isArray(loc) ? `${loc.join('.')}: ` : '';
  return place + text + (typeof code === 'string' && code !== text ? ` (${code})` : '');
}

function said(text: string): string {
  try {
    return messageOf(JSON.parse(text));
  } catch {
    return '';
  }
}

/** The error for a body that should be JSON, or a stream of it, and is not. */
export function webPage(address: string, answer: Response, type: string | null): NibbleError {
  const isHtml = /html/i.test(type ?? '');
  const what = `The server answered with ${isHtml ? 'a web page' : 'something else'} instead of JSON`;
  const next = "Check the address: an API's ends with /v1, as a rule. A login in front of it looks the same.";
  return networkError(address, answer, what, next, { reason: 'web-page' });
}

/**
 * @param text the body's
 * @param asked - `optional`: what was asked for that a server may lack; `key`: what no sentence may show
 */
export function refusal(
  address: string,
  response: Response,
  text: string,
  { optional, key }: { optional?: string; key?: string },
): NibbleError {
  const { status, headers } = response;
  const message = cut(key ? said(text).replaceAll(key, '…') : said(text), 500);
  const saying = message && ` It said: ${message}`;
  const error = (what: string, next: string, details = {}) =>
    networkError(address, response, what, next + saying, details);
  if (status === 401 || status === 403) {
    return error('The server refuses the key', 'Give the one that it knows, or none if it asks for none.', {
      reason: 'key',
    });
  }
  if ([404, 405, 501].includes(status)) {
    if (optional && !/model/i.test(message)) return unsupported(optional, 'The server has no such address.');
    return error('The server has no such address or model', 'Check both names.', { reason: 'not-found' });
  }
  if (status === 429 || status >= 500) {
    const wait = retryAfter(headers.get('retry-after'));
    const busy = status === 429 || status === 503;
    const next = wait === null ? 'Ask again later.' : `Ask again in ${spanOf(wait)}, as it wishes.`;
    const retry = wait === null ? {} : { retryAfterSeconds: Math.ceil(wait / 1000) };
    return error(busy ? 'The server is busy' : 'The server failed', next, {
      reason: busy ? 'busy' : 'failed',
      ...retry,
    });
  }
  if (TOO_LONG.test(message)) {
    const text = `The conversation is longer than the server allows. Shorten it, or ask for fewer tokens.${saying}`;
    return new NibbleError('context-overflow', text, { status });
  }
  if (status === 400 || status === 422) {
    const text = `The server does not take this request.${saying || ' It did not say why.'}`;
    return new NibbleError('invalid-option', text, { status, said: message });
  }
  return error('The server refuses the request', 'Check what was asked.', { reason: 'refused' });
}

/** @param what it cannot do, as a sentence's subject in the singular */
export function unsupported(what: string, why = 'It needs the model on this device.'): NibbleError {
  return new NibbleError('unsupported-remote', `Where a server answers, there is no ${what}. ${why}`, { what });
}
