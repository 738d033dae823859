/**
 * Whom a server on loopback answers. Any page in a browser on the same machine can send it requests, as `text/plain`
 * even without asking first, and one whose name is made to resolve to 127.0.0.1 (DNS rebinding) can read the answers.
 * So a request must be to a name that is known, from no page or one that is allowed, as JSON, and with the key where
 * there is one.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import { invalid } from '../arguments';

/** Why a request is not answered: its status, and a sentence. */
export interface Refusal {
  status: 401 | 403 | 415;
  message: string;
}

/** What of a request is looked at. */
export interface Asking {
  method: string;
  headers: IncomingHttpHeaders;
  /** it may be asked by anyone who reaches it: no key is needed */
  open?: boolean;
}

export interface Guard {
  /** null: it may be answered */
  refuse(asking: Asking): Refusal | null;
  /** What lets a page read the answer; none where no page asks. */
  corsHeaders(asking: Asking): Record<string, string>;
}

/** The name in a Host header or an address, without port and brackets; null for what is none. */
function nameIn(host: string): string | null {
  const [, bracketed, plain] = /^(?:\[([\da-f:.]+)\]|([^\s:/?#@[\]]+))(?::\d*)?$/i.exec(host) ?? [];
  const name = (bracketed ?? plain)?.toLowerCase().replace(/\.$/, '');
  return name || null;
}

const isLoopback = (name: string) =>
  name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'));
/** Of all addresses of this machine. */
export const isAny = (name: string) => name === '0.0.0.0' || name === '::';

/** Of fixed length, so that comparing tells nothing of where two differ, nor how long they are. */
const digest = (text: string) => createHash('sha256').update(text).digest();

/** The key that a request shows: OpenAI's clients as a bearer token, Anthropic's in a header of its own. */
function keysIn({ authorization, 'x-api-key': own }: IncomingHttpHeaders): string[] {
  const bearer = /^bearer +(.+)$/i.exec(authorization ?? '')?.[1];
  return [bearer, own].flatMap((key) => key ?? []);
}

/**
 * @param hosts names that it may be asked by beside loopback's. Where one is 0.0.0.0 or ::, so are all IP addresses: a
 * page can make a name of its own resolve to this machine, but not a number
 * @param origins of pages that may ask; '*' is any
 * @param key null: none is needed
 * @throws invalid-option for what is no name, or no origin
 */
export function createGuard(hosts: readonly string[], origins: readonly string[], key: string | null): Guard {
  const names = new Set(
    hosts.map((host) => {
      const name = isIP(host) ? host.toLowerCase() : host.includes(':') ? null : nameIn(host);
      if (name === null)
        throw invalid('host', host, `--host must be a name or an IP address, without port, not "${host}".`);
      return name;
    }),
  );
  const anywhere = [...names].some(isAny);
  const allowed = new Set(
    origins.map((origin) => {
      if (origin === '*') return origin;
      const url = URL.canParse(origin) ? new URL(origin) : null;
      // of a scheme that browsers do not know, as of extensions, URL tells no origin
      const plain = url && (url.origin === 'null' ? `${url.protocol}//${url.host}` : url.origin);
      if (plain !== origin.replace(/\/$/, ''))
        throw invalid('cors', origin, `--cors must be an origin like http://localhost:3000, or *, not "${origin}".`);
      return plain;
    }),
  );
  const wanted = key === null ? null : digest(key);

  const knows = (host: string | undefined) => {
    const name = nameIn(host ?? '');
    return name !== null && (isLoopback(name) || names.has(name) || (anywhere && isIP(name) > 0));
  };
  const allows = (origin: string) => allowed.has('*') || allowed.has(origin);

  return {
    refuse({ method, headers, open = false }) {
      const { host, origin } = headers;
      if (!knows(host)) {
        const message = `This server is not asked as ${host ? `"${host.slice(0, 200)}"` : 'nothing'}: start it with --host and that name.`;
        return { status: 403, message };
      }
      // browsers say it of every request, also where they send no Origin: a page's <img>, or a fetch without CORS
      const site = headers['sec-fetch-site'] ?? 'none';
      if (origin !== undefined ? !allows(origin) : !['none', 'same-origin'].includes(String(site))) {
        const message = `Pages of ${origin ? `"${origin.slice(0, 200)}"` : 'other origins'} may not ask here: start the server with --cors and their origin.`;
        return { status: 403, message };
      }
      if (method === 'OPTIONS') return null;
      // all are compared, whichever it is
      const shown = keysIn(headers).filter((one) => wanted !== null && timingSafeEqual(digest(one), wanted));
      if (wanted !== null && !open && shown.length === 0) {
        return { status: 401, message: 'This server wants its key: as Authorization: Bearer KEY, or x-api-key: KEY.' };
      }
      if (method !== 'POST') return null;
      const type = headers['content-type'] ?? '';
      if (type.split(';')[0].trim().toLowerCase() === 'application/json') return null;
      const message = `The request must be application/json, not ${type ? `"${type.slice(0, 200)}"` : 'without a content type'}.`;
      return { status: 415, message };
    },
    corsHeaders({ method, headers }) {
      const { origin } = headers;
      if (origin === undefined || !allows(origin)) return {};
      const given = { 'access-control-allow-origin': origin, vary: 'origin' };
      if (method !== 'OPTIONS') return { ...given, 'access-control-expose-headers': '*' };
      return {
        ...given,
        'access-control-allow-methods': 'GET, POST, OPTIONS',
        'access-control-allow-headers': String(headers['access-control-request-headers'] ?? 'content-type'),
        'access-control-max-age': '600',
      };
    },
  };
}
