import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type StaticServer, serve } from './server';

const folder = mkdtempSync(join(tmpdir(), 'nibble-server-'));
let server: StaticServer;

beforeAll(async () => {
  writeFileSync(join(folder, 'index.html'), '<p>__WHO__</p>');
  writeFileSync(join(folder, 'worker.js'), '0');
  writeFileSync(join(folder, 'data.safetensors'), '0123456789');
  server = await serve({
    mounts: [
      ['/models/', folder],
      ['/', folder],
    ],
    csp: "default-src 'self'",
    cors: true,
    replace: { __WHO__: 'you' },
  });
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
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
  ])('%s is not there', async (path) => expect((await get(path)).status).toBe(404));
});
