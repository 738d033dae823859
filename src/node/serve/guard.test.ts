import { expect, it } from 'vitest';
import { type Asking, createGuard } from './guard';

const JSON_TYPE = { 'content-type': 'application/json' };
const asking = (headers: Asking['headers'], method = 'POST'): Asking => ({
  method,
  headers: { host: '127.0.0.1:8080', ...(method === 'POST' && JSON_TYPE), ...headers },
});
const statusOf = (guard: ReturnType<typeof createGuard>, asked: Asking) => guard.refuse(asked)?.status ?? 200;

it.each([
  ['127.0.0.1:8080', 200],
  ['127.9.9.9', 200],
  ['localhost:1', 200],
  ['LocalHost.', 200],
  ['[::1]:8080', 200],
  ['box.local:8080', 200],
  ['evil.example:8080', 403],
  ['localhost.evil.example', 403],
  ['127.0.0.1.evil.example', 403],
  ['127.0.0.1@evil.example', 403],
  ['192.168.0.2:8080', 403],
  ['0.0.0.0:8080', 403],
  ['[::2]', 403],
  ['', 403],
])('asked as %j: %i', (host, status) => {
  expect(statusOf(createGuard(['box.local'], [], null), asking({ host }))).toBe(status);
});

it('takes any address, and no other name, where it listens on all of them', () => {
  const guard = createGuard(['0.0.0.0'], [], null);
  const hosts = ['192.168.0.2:8080', '[fe80::1]:8080', 'localhost', 'evil.example'];
  expect(hosts.map((host) => statusOf(guard, asking({ host })))).toEqual([200, 200, 200, 403]);
});

it.each([
  [{}, 200],
  [{ origin: 'http://localhost:3000' }, 200],
  [{ origin: 'chrome-extension://abc' }, 200],
  [{ origin: 'http://localhost:3001' }, 403],
  [{ origin: 'https://localhost:3000' }, 403],
  [{ origin: 'null' }, 403],
  [{ origin: '' }, 403],
  // what a browser sends for an image of another page, without an origin
  [{ 'sec-fetch-site': 'cross-site' }, 403],
  [{ 'sec-fetch-site': 'same-site' }, 403],
  [{ 'sec-fetch-site': 'none' }, 200],
])('from a page that says %j: %i', (headers, status) => {
  const guard = createGuard([], ['http://localhost:3000', 'chrome-extension://abc'], null);
  for (const method of ['GET', 'POST', 'OPTIONS']) expect(statusOf(guard, asking(headers, method))).toBe(status);
});

it('lets pages read that may ask, and no others', () => {
  const guard = createGuard([], ['http://a.example/'], null);
  expect(guard.corsHeaders(asking({ origin: 'http://a.example' }))).toMatchObject({
    'access-control-allow-origin': 'http://a.example',
    vary: 'origin',
  });
  expect(guard.corsHeaders(asking({ origin: 'http://b.example' }))).toEqual({});
  expect(guard.corsHeaders(asking({}))).toEqual({});
  const preflight = asking({ origin: 'http://a.example', 'access-control-request-headers': 'x-api-key' }, 'OPTIONS');
  expect(guard.corsHeaders(preflight)).toMatchObject({ 'access-control-allow-headers': 'x-api-key' });
  expect(statusOf(createGuard([], ['*'], null), asking({ origin: 'null' }))).toBe(200);
});

it.each([
  ['application/json', 200],
  ['Application/JSON; charset=utf-8', 200],
  ['text/plain', 415],
  ['text/plain;application/json', 415],
  ['application/x-www-form-urlencoded', 415],
  [undefined, 415],
])('of type %s: %i', (type, status) => {
  expect(statusOf(createGuard([], [], null), asking({ 'content-type': type }))).toBe(status);
});

it('wants its key, in either header', () => {
  const guard = createGuard([], [], 'secret');
  const shown: [Asking['headers'], number][] = [
    [{}, 401],
    [{ authorization: 'Bearer secret' }, 200],
    [{ authorization: 'bearer  secret' }, 200],
    [{ 'x-api-key': 'secret' }, 200],
    [{ 'x-api-key': 'other', authorization: 'Bearer secret' }, 200],
    [{ authorization: 'secret' }, 401],
    [{ authorization: 'Bearer secret2' }, 401],
    [{ 'x-api-key': 'secre' }, 401],
    [{ 'x-api-key': '' }, 401],
  ];
  for (const [headers, status] of shown) {
    expect([headers, statusOf(guard, asking(headers)), statusOf(guard, asking(headers, 'GET'))]).toEqual([
      headers,
      status,
      status,
    ]);
  }
  expect(statusOf(guard, { ...asking({}, 'GET'), open: true })).toBe(200);
  // a browser asks first without it
  expect(statusOf(guard, asking({}, 'OPTIONS'))).toBe(200);
});

it.each([
  [['a b'], []],
  [['a:80'], []],
  [['http://a'], []],
  [[], ['a.example']],
  [[], ['http://a.example/path']],
])('refuses names that are none: %j %j', (hosts, origins) => {
  expect(() => createGuard(hosts, origins, null)).toThrow(/must be/);
});
