import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { HttpOptions } from './http-request';
import { createHttpSource } from './http-source';
import { retryAfter } from './retry';

const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 7 + (i >> 8)) & 255);
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

interface Seen {
  url: string;
  range?: string;
  headers: IncomingMessage['headers'];
}
type Answer = (request: IncomingMessage, response: ServerResponse, count: number) => void;

async function serve(answer: Answer, options: HttpOptions = {}) {
  const seen: Seen[] = [];
  const slept: number[] = [];
  const server = createServer((request, response) => {
    seen.push({ url: request.url!, range: request.headers.range, headers: request.headers });
    answer(request, response, seen.length);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const sleep = async (ms: number) => void slept.push(ms);
  const all = { sleep, random: () => 1, ...options };
  return { seen, slept, origin, source: createHttpSource(`${origin}/m/`, all), options: all };
}

const honest: Answer = (request, response) => {
  const match = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '');
  if (!match) return void response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
  const start = Number(match[1]);
  if (start >= bytes.length) {
    return void response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
  }
  const end = Math.min(Number(match[2]) + 1, bytes.length);
  response.writeHead(206, {
    'content-range': `bytes ${start}-${end - 1}/${bytes.length}`,
    'content-length': end - start,
  });
  response.end(bytes.subarray(start, end));
};
const status =
  (code: number, headers: Record<string, string> = {}): Answer =>
  (_, response) =>
    void response.writeHead(code, headers).end('nothing');

describe('an honest server', () => {
  it('tells sizes and serves ranges with safelisted headers only', async () => {
    const { source, seen, origin } = await serve(honest);
    expect(await source.size('a b/model.safetensors')).toBe(bytes.length);
    expect(await source.read('a b/model.safetensors', 1000, 4096)).toEqual(bytes.slice(1000, 4096));
    expect(seen.map(({ url, range }) => [url, range])).toEqual([
      ['/m/a%20b/model.safetensors', 'bytes=0-1'],
      ['/m/a%20b/model.safetensors', 'bytes=1000-4095'],
    ]);
    expect(seen[1].headers.authorization).toBeUndefined();
    expect(source.name).toBe(`${origin}/m/`);
  });

  it('reports bytes as they arrive', async () => {
    let arrived = 0;
    const { source } = await serve(honest, { onBytes: (_, n) => (arrived += n) });
    await source.read('x', 0, 50_000);
    expect(arrived).toBe(50_000);
  });

  it('reads one .gguf and knows no other file', async () => {
    const { seen, origin, options } = await serve(honest);
    const gguf = createHttpSource(`${origin}/x/tiny.gguf?download=true`, options);
    expect(gguf.gguf).toBe('tiny.gguf');
    expect(await gguf.size('manifest.json')).toBeNull();
    expect(await gguf.read('tiny.gguf', 4, 8)).toEqual(bytes.slice(4, 8));
    expect(seen.map(({ url }) => url)).toEqual(['/x/tiny.gguf?download=true']);
  });

  it('refuses a read past the end', async () => {
    const { source } = await serve(honest);
    const past = expect.objectContaining({
      code: 'corrupt-checkpoint',
      details: expect.objectContaining({ bytes: 100_000 }),
    });
    await expect(source.read('x', 99_990, 100_010)).rejects.toEqual(past);
    await expect(source.read('x', 200_000, 200_010)).rejects.toEqual(past);
  });

  it('knows an empty file', async () => {
    const { source } = await serve(status(416, { 'content-range': 'bytes */0' }));
    expect(await source.size('empty')).toBe(0);
  });
});

it('cuts what a server sends beyond the range', async () => {
  const { source } = await serve((_, response) => {
    response.writeHead(206, { 'content-range': `bytes 10-${bytes.length - 1}/${bytes.length}` });
    response.end(bytes.subarray(10));
  });
  expect(await source.read('x', 10, 30)).toEqual(bytes.slice(10, 30));
});

describe('a server that ignores ranges', () => {
  const whole: Answer = (_, response) => void response.writeHead(200, { 'content-length': bytes.length }).end(bytes);

  it('is downloaded once when read in order, also by overlapping reads', async () => {
    const { source, seen } = await serve(whole);
    expect(await source.size('x')).toBe(bytes.length);
    const parts = await Promise.all([0, 1, 2, 3].map((i) => source.read('x', i * 25_000, (i + 1) * 25_000)));
    expect(parts.map((part) => part.length)).toEqual([25_000, 25_000, 25_000, 25_000]);
    expect(Buffer.concat(parts).equals(Buffer.from(bytes))).toBe(true);
    expect(seen).toHaveLength(1);
  });

  it('is asked again when read backwards', async () => {
    const { source } = await serve(whole);
    expect(await source.read('x', 60_000, 60_100)).toEqual(bytes.slice(60_000, 60_100));
    expect(await source.read('x', 5, 9)).toEqual(bytes.slice(5, 9));
    expect(await source.read('x', 9, 70_000)).toEqual(bytes.slice(9, 70_000));
  });

  it('is counted when it tells no length', async () => {
    const { source } = await serve((_, response) => void response.writeHead(200).end(bytes));
    expect(await source.size('x')).toBe(bytes.length);
    expect(await source.read('x', 10, 20)).toEqual(bytes.slice(10, 20));
  });
});

it('an extension reads its own files from their beginning, and knows which are not there', async () => {
  const asked: [string, HeadersInit?][] = [];
  const send: typeof fetch = async (address, init) => {
    asked.push([String(address), init?.headers]);
    if (!String(address).endsWith('/a.bin')) throw new TypeError('Failed to fetch');
    return new Response(bytes);
  };
  const source = createHttpSource('chrome-extension://id/m/', { fetch: send });
  expect(await source.size('a.bin')).toBe(bytes.length);
  expect(await source.read('a.bin', 300, 900)).toEqual(bytes.slice(300, 900));
  expect(await source.size('none.json')).toBeNull();
  expect(asked.map(([, headers]) => headers)).toEqual([{}, {}, {}]);
  source.close?.();
});

describe('trouble', () => {
  it.each([
    ['another range', 'bytes 0-99/100000'],
    ['nonsense', 'pages 1-2'],
  ])('refuses %s', async (_, range) => {
    const { source } = await serve(
      (_q, response) => void response.writeHead(206, { 'content-range': range }).end(bytes),
    );
    await expect(source.read('x', 50, 150)).rejects.toMatchObject({ code: 'network', details: { status: 206 } });
  });

  it('takes a missing file for absent, and names it when read', async () => {
    const { source, seen } = await serve(status(404));
    expect(await source.size('x')).toBeNull();
    await expect(source.read('x', 0, 10)).rejects.toMatchObject({ code: 'network', details: { status: 404 } });
    expect(seen).toHaveLength(2);
  });

  it.each<[string, Record<string, string>, string]>([
    ['by its type', { 'content-type': 'text/html; charset=utf-8' }, 'nothing'],
    ['by its beginning', {}, '\n<!DOCTYPE html><title>Sign in</title>'],
    ['that says it were JSON', { 'content-type': 'application/json' }, '<html lang="en">'],
  ])('recognises a web page in place of a file %s', async (_, headers, text) => {
    const { source, origin } = await serve((_q, response) => void response.writeHead(200, headers).end(text));
    const error = await source.read('config.json', 0, 4).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: 'network', details: { status: 200, url: `${origin}/m/config.json` } });
    expect(error.message).toContain(`web page instead of the file (${origin}/m/config.json: 200`);
  });

  it('keeps what was answered where a file is not there', async () => {
    const { source, origin } = await serve(status(404, { 'content-type': 'text/plain' }));
    expect(await source.size('config.json')).toBeNull();
    expect(source.refusal!('config.json')).toMatchObject({
      code: 'network',
      message: expect.stringContaining(`(${origin}/m/config.json: 404, text/plain)`),
      details: { url: `${origin}/m/config.json`, status: 404, contentType: 'text/plain' },
    });
    expect(source.refusal!('other.json')).toBeUndefined();
  });

  it('never says a password or a query, and sends them', async () => {
    const { seen, origin, options } = await serve(status(404));
    const host = origin.replace('http://', '');
    const source = createHttpSource(`http://me:s3%20cret@${host}/m/?sig=abc`, options);
    const error = await source.read('config.json', 0, 9).catch((thrown) => thrown);
    expect(JSON.stringify([error, error.message, source.name.replace('?sig=abc', '')])).not.toMatch(/cret|abc|me:/);
    expect(seen[0]).toMatchObject({
      url: '/m/config.json?sig=abc',
      headers: { authorization: `Basic ${btoa('me:s3 cret')}` },
    });
  });

  it.each([
    ['https://u:secret@host/100%.gguf?sig=secret', 'https://host/100%.gguf'],
    ['https://u:secret%zz@host/m/?sig=secret', 'https://host/m/'],
  ])('refuses a %% that stands for nothing: %s', (base, shown) => {
    let error: unknown;
    try {
      createHttpSource(base);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: 'invalid-option', details: { option: 'model', value: shown } });
    expect((error as Error).message).toContain(shown);
    expect(String(error)).not.toContain('secret');
    expect(createHttpSource('https://u:p%25@host/100%25.gguf').gguf).toBe('100%.gguf');
  });

  it('does not repeat what is forbidden', async () => {
    const { source, seen } = await serve(status(401));
    await expect(source.read('x', 0, 10)).rejects.toMatchObject({ code: 'network', details: { status: 401 } });
    expect(seen).toHaveLength(1);
  });

  it('waits as long as a busy server asks, then goes on', async () => {
    const { source, slept } = await serve((request, response, count) =>
      count < 3
        ? status(429, count === 1 ? { 'retry-after': '7' } : {})(request, response, count)
        : honest(request, response, count),
    );
    expect(await source.read('x', 0, 100)).toEqual(bytes.slice(0, 100));
    expect(slept).toEqual([7000, 1000]);
  });

  it('gives up after five failures in a row, waiting twice as long each time', async () => {
    const { source, seen, slept } = await serve(status(503));
    await expect(source.read('x', 0, 100)).rejects.toMatchObject({ code: 'network', details: { status: 503 } });
    expect(seen).toHaveLength(5);
    expect(slept).toEqual([500, 1000, 2000, 4000]);
  });

  it('goes on where a broken connection stopped', async () => {
    const { source, seen } = await serve((request, response, count) => {
      if (count > 8) return honest(request, response, count);
      const start = Number(/bytes=(\d+)/.exec(request.headers.range!)![1]);
      response.writeHead(206, { 'content-range': `bytes ${start}-49999/100000`, 'content-length': 50_000 - start });
      response.write(bytes.subarray(start, start + 1000), () => response.destroy());
    });
    expect(await source.read('x', 0, 50_000)).toEqual(bytes.slice(0, 50_000));
    expect(seen.map(({ range }) => range)).toEqual(Array.from({ length: 9 }, (_, i) => `bytes=${i * 1000}-49999`));
  });

  it('understands a Retry-After that is a date', () => {
    expect(retryAfter(new Date(Date.now() + 60_000).toUTCString())).toBeGreaterThan(50_000);
    expect([retryAfter('3'), retryAfter('0'), retryAfter('soon'), retryAfter(null)]).toEqual([3000, null, null, null]);
  });

  it('hands on what came of a read that is given up', async () => {
    let cut = () => {};
    const answer: Answer = (_q, response, count) => {
      if (count > 1) return void response.destroy();
      response.writeHead(206, { 'content-range': 'bytes 50-49999/100000', 'content-length': 49_950 });
      response.write(bytes.subarray(50, 1050));
      cut = () => response.destroy();
    };
    const { source } = await serve(answer, { onBytes: () => cut() });
    const parts: Uint8Array[] = [];
    const reading = source.read('x', 50, 50_000, undefined, (part) => parts.push(part));
    await expect(reading).rejects.toMatchObject({ code: 'network' });
    expect(parts).toEqual([bytes.slice(50, 1050)]);
  });

  it('says when nobody answers', async () => {
    const { source, seen } = await serve((_, response) => void response.destroy());
    await expect(source.size('x')).rejects.toMatchObject({ code: 'network', details: { status: 0 } });
    expect(seen).toHaveLength(3);
  });

  it('stops at once when aborted, also while waiting', async () => {
    const stop = new AbortController();
    const { source } = await serve(status(503), {
      sleep: async () => stop.abort(),
    });
    await expect(source.read('x', 0, 10, stop.signal)).rejects.toMatchObject({ code: 'aborted' });
    await expect(source.read('x', 0, 10, stop.signal)).rejects.toMatchObject({ code: 'aborted' });
  });
});

describe('a file that has versions', () => {
  const said = (etag: string | null, modified: string | null = null): Answer => {
    const headers = { ...(etag && { ETag: etag }), ...(modified && { 'Last-Modified': modified }) };
    return (request, response, count) => {
      for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
      honest(request, response, count);
    };
  };
  const MONDAY = 'Mon, 05 Jan 2026 00:00:00 GMT';
  const TUESDAY = 'Tue, 06 Jan 2026 00:00:00 GMT';
  const changed = { code: 'integrity-mismatch', details: { path: 'x', reason: 'changed' } };

  /** @param answers the first, and the one of all after it */
  async function readTwice(first: Answer, second: Answer) {
    const { source, seen } = await serve((...all) => (all[2] === 1 ? first : second)(...all));
    source.versions!.set('x', null);
    await source.read('x', 0, 10);
    return { seen, reading: source.read('x', 10, 20) };
  }

  it.each<[string, Answer, Answer]>([
    ['ETag', said('"a"', MONDAY), said('"b"', MONDAY)],
    ['Last-Modified', said(null, MONDAY), said(null, TUESDAY)],
    ['silence', said('"a"'), said(null)],
    [
      'length',
      said('"a"'),
      (_, response) => {
        response.writeHead(206, { 'content-range': 'bytes 10-19/100001', ETag: '"a"' }).end(bytes.subarray(10, 20));
      },
    ],
  ])('of another %s is another file', async (_, first, second) => {
    const { reading, seen } = await readTwice(first, second);
    await expect(reading).rejects.toMatchObject(changed);
    expect(seen).toHaveLength(5);
  });

  it.each<[string, Answer, Answer]>([
    ['weakly named', said('"a"'), said('W/"a"')],
    ['named as compressed', said('W/"a-gzip"'), said('"a"')],
    ['with another date', said('"a"', MONDAY), said('"a"', TUESDAY)],
    ['without a date for once', said('"a"', MONDAY), said('"a"')],
    ['by a server that says nothing', said(null), said(null)],
  ])('is the same %s', async (_, first, second) => {
    const { reading } = await readTwice(first, second);
    expect(await reading).toEqual(bytes.slice(10, 20));
  });

  it('that became shorter is another, not a broken one', async () => {
    const { reading } = await readTwice(said('"a"'), status(416, { 'content-range': 'bytes */5' }));
    await expect(reading).rejects.toMatchObject(changed);
  });

  it('is read from one of several servers behind an address, and never from two', async () => {
    const { source, seen } = await serve((request, response, count) => {
      response.setHeader('ETag', count % 3 === 1 ? '"a"' : '"b"');
      const own = count % 3 === 1 ? bytes : bytes.map((byte) => byte ^ 255);
      const [, start, end] = /(\d+)-(\d+)/.exec(request.headers.range!)!.map(Number);
      response.writeHead(206, { 'content-range': `bytes ${start}-${end}/100000` }).end(own.subarray(start, end + 1));
    });
    source.versions!.set('x', null);
    for (let at = 0; at < 1000; at += 100)
      expect(await source.read('x', at, at + 100)).toEqual(bytes.slice(at, at + 100));
    expect(seen.length).toBe(28);
  });

  it('is of no interest where something else vouches for it', async () => {
    const { source } = await serve((request, response, count) => said(`"${count}"`)(request, response, count));
    await source.read('x', 0, 10);
    expect(await source.read('x', 10, 20)).toEqual(bytes.slice(10, 20));
  });
});
