import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type StaticServer, serve } from './server';

const folder = mkdtempSync(join(tmpdir(), 'nibble-server-'));
const outside = `${folder}-outside`;
let server: StaticServer;

/** With a Host header, and a path as it stands: fetch() would set both right. */
const ask = (path: string, headers: Record<string, string> = {}, port = server.port) =>
  new Promise<{ status?: number; headers: Record<string, unknown> }>((resolve, reject) => {
    const asked = request({ port, host: '127.0.0.1', path, headers }, (response) => {
      response.resume();
      resolve({ status: response.statusCode, headers: response.headers });
    });
    asked.on('error', reject).end();
  });

beforeAll(async () => {
  writeFileSync(join(folder, 'index.html'), '<p>__WHO__</p>');
  writeFileSync(join(folder, 'worker.js'), '0');
  writeFileSync(join(folder, 'data.safetensors'), '0123456789');
  for (const name of ['page.html', 'x.svg', 'x.json', 'x.txt', '.env']) writeFileSync(join(folder, name), '1');
  mkdirSync(join(folder, '.git'));
  writeFileSync(join(folder, '.git/config'), '1');
  writeFileSync(outside, '1');
  symlinkSync(outside, join(folder, 'link'));
  symlinkSync('/etc', join(folder, 'etc'));
  symlinkSync(join(folder, 'x.txt'), join(folder, 'inside.txt'));
  server = await serve({
    mounts: [
      ['/models/', folder],
      ['/', folder],
    ],
    data: ['/models/'],
    csp: "default-src 'self'",
    cors: true,
    replace: { __WHO__: 'you' },
  });
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
  rmSync(outside);
});

const get = (path: string, range?: string) => fetch(server.origin + path, { headers: range ? { Range: range } : {} });

describe('the static server', () => {
  test.each([
    ['bytes=2-4', 206, '234', 'bytes 2-4/10'],
    ['bytes=7-', 206, '789', 'bytes 7-9/10'],
    ['bytes=-3', 206, '789', 'bytes 7-9/10'],
    ['bytes=5-100', 206, '56789', 'bytes 5-9/10'],
    ['bytes=10-12', 416, '', 'bytes */10'],
    ['bytes=1-2,4-5', 416, '', 'bytes */10'],
    ['items=0-1', 200, '0123456789', null],
  ])('%s gives %d', async (range, status, body, contentRange) => {
    const response = await get('/models/data.safetensors', range);
    expect(response.status).toBe(status);
    expect(response.headers.get('content-range')).toBe(contentRange);
    expect(await response.text()).toBe(body);
  });

  test('counts the bytes of each path', async () => {
    server.reset();
    await (await get('/models/data.safetensors')).text();
    await (await get('/models/data.safetensors', 'bytes=0-3')).text();
    expect(server.bytes('/models/')).toBe(14);
    expect(server.requests).toEqual(['GET /models/data.safetensors', 'GET /models/data.safetensors']);
  });

  test('pages and scripts get the policy, and pages their placeholders filled', async () => {
    const response = await get('/');
    for (const { headers } of [response, await get('/worker.js')]) {
      expect(headers.get('content-security-policy')).toBe("default-src 'self'");
    }
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    expect(await response.text()).toBe('<p>you</p>');
  });

  test.each([
    '/nothing',
    '/models/../../etc/passwd',
    '/%2e%2e/%2e%2e/etc/passwd',
    '/models/%2e%2e%2f%2e%2e%2fetc%2fpasswd',
    '/.env',
    '/%2eenv',
    '/models/.git/config',
    '/link',
    '/etc/hostname',
  ])('%s is not there', async (path) => expect((await get(path)).status).toBe(404));

  test.each([
    ['localhost:1', 200],
    ['127.0.0.1', 200],
    ['[::1]:4460', 200],
    ['LOCALHOST', 200],
    ['evil.example', 403],
    ['evil.example:80', 403],
    ['localhost.evil.example', 403],
  ])('asked as %j it answers %d', async (Host, status) =>
    expect((await ask('/data.safetensors', { Host })).status).toBe(status),
  );

  test('has other names where it is given them, and lets those read that have its names', async () => {
    const named = await serve({ mounts: [['/', folder]], hosts: ['box.example'], cors: 'own' });
    const read = async (headers: Record<string, string>) => {
      const { status, headers: said } = await ask('/x.txt', headers, named.port);
      return [status, said['access-control-allow-origin']];
    };
    const Origin = 'http://localhost:99';
    expect(await read({ Host: 'box.example:80', Origin })).toEqual([200, Origin]);
    expect(await read({ Origin: 'http://evil.example' })).toEqual([200, undefined]);
    expect(await read({ Origin: 'null' })).toEqual([200, undefined]);
    expect(await read({})).toEqual([200, undefined]);
    await named.close();
    const alone = await serve({ mounts: [['/', folder]] });
    expect((await ask('/x.txt', { Origin }, alone.port)).headers).not.toHaveProperty('access-control-allow-origin');
    await alone.close();
  });

  test('isolates its pages and scripts where it is told to, and no data', async () => {
    const isolated = await serve({
      isolated: true,
      data: ['/models/'],
      mounts: [
        ['/models/', folder],
        ['/', folder],
      ],
      intercept: (_, response, path) => path === '/worker-0.js' && Boolean(response.end('0')),
    });
    const said = async (path: string, port?: number) => {
      const { headers } = await ask(path, {}, port);
      return [headers['cross-origin-opener-policy'], headers['cross-origin-embedder-policy']];
    };
    for (const path of ['/', '/worker.js', '/worker-0.js'])
      expect(await said(path, isolated.port)).toEqual(['same-origin', 'require-corp']);
    expect(await said('/models/data.safetensors', isolated.port)).toEqual([undefined, undefined]);
    await isolated.close();
    expect(await said('/')).toEqual([undefined, undefined]);
  });

  test.each(['/%zz', '///', '*', 'file:///etc/passwd', '/a%00', '/%c0%ae'])('%s is no path', async (path) =>
    expect((await ask(path)).status).toBe(400),
  );

  const SANDBOX = /^sandbox; default-src 'none'$/;
  const NOTHING = /^default-src 'none'; frame-ancestors 'self'; /;
  const PAGES_OWN = /^default-src 'self'$/;
  test.each([
    ['/models/page.html', 'application/octet-stream', SANDBOX],
    ['/models/x.svg', 'application/octet-stream', SANDBOX],
    ['/models/worker.js', 'application/octet-stream', SANDBOX],
    ['/models/x.json', 'application/json', PAGES_OWN],
    ['/models/x.txt', 'text/plain; charset=utf-8', PAGES_OWN],
    ['/x.svg', 'image/svg+xml', NOTHING],
    ['/inside.txt', 'text/plain; charset=utf-8', NOTHING],
  ])('%s is %s, and nothing that runs', async (path, type, policy) => {
    const { headers } = await ask(path);
    expect(headers['content-type']).toBe(type);
    expect(headers['content-security-policy']).toMatch(policy);
    expect(headers['x-content-type-options']).toBe('nosniff');
    expect(headers['referrer-policy']).toBe('same-origin');
  });

  test('keeps no more of what was asked than there is room for', async () => {
    server.reset();
    for (let i = 0; i < 5; i++) await ask(`/data${i}/${'x'.repeat(8000)}`);
    for (let i = 0; i < 5; i++) await ask(`/${i}%2f..%2fdata.safetensors`);
    expect(Math.max(...server.requests.map(({ length }) => length))).toBe(500);
    expect([...server.sent]).toEqual([['/data.safetensors', 50]]);
    server.requests.push(...Array.from({ length: 20_000 }, () => ''));
    await ask('/x.txt');
    expect(server.requests.length).toBeLessThanOrEqual(10_011);
    expect(server.requests.at(-1)).toBe('GET /x.txt');
  });
});
