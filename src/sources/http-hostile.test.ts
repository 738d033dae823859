/** Servers that are silent, slow, endless or wrong. No clock: time passes when nothing else happens. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { openLayout } from '../checkpoint/open-checkpoint';
import type { Alarm } from '../platform/within';
import type { HttpOptions } from './http-request';
import { createHttpSource } from './http-source';
import { createHubSource } from './hub-source';

const FILE = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 7 + (i >> 8)) & 255);

interface Asked {
  url: string;
  start: number;
  end: number;
  signal: AbortSignal;
}
/** @param bytes sends some; silence: nothing more comes */
type Reply = (asked: Asked, count: number) => Response | 'silence';

/** A 206 of these bytes, said to be of a file of `total`. */
function part(
  { start }: Asked,
  pieces: Iterable<Uint8Array> | 'endless',
  { total = FILE.length, silentEnd = false, signal = undefined as AbortSignal | undefined } = {},
): Response {
  const next = pieces === 'endless' ? null : pieces[Symbol.iterator]();
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const piece = next?.next();
      if (piece && !piece.done) controller.enqueue(piece.value);
      else if (piece && silentEnd) {
        const stop = () => controller.error(new DOMException('stopped', 'AbortError'));
        signal?.addEventListener('abort', stop);
        return new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve()));
      } else if (piece) controller.close();
      return undefined;
    },
  });
  return new Response(body, { status: 206, headers: { 'content-range': `bytes ${start}-${total - 1}/${total}` } });
}

function against(reply: Reply, options: HttpOptions = {}) {
  const asked: Asked[] = [];
  const slept: number[] = [];
  const notes: string[] = [];
  const alarm: Alarm = (_, ring) => {
    const timer = setImmediate(ring);
    return () => clearImmediate(timer);
  };
  const all: HttpOptions = {
    fetch: (url, init) => {
      const [, start = '0', end = '0'] =
        /bytes=(\d+)-(\d+)/.exec((init?.headers as { Range?: string })?.Range ?? '') ?? [];
      const one = { url: String(url), start: Number(start), end: Number(end) + 1, signal: init!.signal! };
      asked.push(one);
      const answer = reply(one, asked.length);
      if (answer !== 'silence') return Promise.resolve(answer);
      return new Promise((_, reject) => {
        one.signal.addEventListener('abort', () => reject(new DOMException('stopped', 'AbortError')));
      });
    },
    sleep: async (ms) => void slept.push(ms),
    random: () => 1,
    onNote: (note) => notes.push(note),
    alarm,
    ...options,
  };
  return { asked, slept, notes, source: createHttpSource('https://host/m/', all), options: all };
}
const honest: Reply = (asked) => part(asked, [FILE.slice(asked.start, asked.end)]);

describe('a server that is silent', () => {
  it('from the beginning is asked three times, and each connection is closed; it is told meanwhile', async () => {
    const { source, asked, slept, notes } = against(() => 'silence');
    await expect(source.size('x')).rejects.toMatchObject({
      code: 'network',
      message: expect.stringMatching(/^The server sends nothing \(https:\/\/host\/m\/x\)\. .*Try later/),
      details: { reason: 'silent' },
    });
    expect(asked.map(({ signal }) => signal.aborted)).toEqual([true, true, true]);
    expect(slept).toEqual([500, 1000]);
    expect(notes).toEqual([...Array(2).fill('The server has sent nothing for 30 s: it is asked again.'), '']);
  });

  it('in the middle of a file is asked for the rest', async () => {
    const { source, asked, notes } = against((one, count) =>
      count > 1
        ? honest(one, count)
        : part(one, [FILE.slice(one.start, one.start + 1000)], { silentEnd: true, signal: one.signal }),
    );
    expect(await source.read('x', 50, 5000)).toEqual(FILE.slice(50, 5000));
    expect(asked.map(({ start, end }) => [start, end])).toEqual([
      [50, 5000],
      [1050, 5000],
    ]);
    expect(notes).toContain('The server has sent nothing for 30 s: it is asked again.');
    expect(notes.at(-1)).toBe('');
  });

  it('for good, after it has answered, is given up after five times; what came is handed on', async () => {
    const { source, asked } = against((one, count) =>
      count > 2
        ? 'silence'
        : part(one, [FILE.slice(one.start, one.start + 40_000)], { silentEnd: true, signal: one.signal }),
    );
    const kept: Uint8Array[] = [];
    const reading = source.read('x', 0, 100_000, undefined, (bytes) => kept.push(bytes));
    await expect(reading).rejects.toMatchObject({ code: 'network', details: { reason: 'silent' } });
    expect(asked.length).toBe(7);
    expect(kept.map((bytes) => Buffer.from(bytes).equals(FILE.slice(0, 80_000)))).toEqual([true]);
  });

  it('is not waited for once the person stops', async () => {
    const stop = new AbortController();
    const { source, asked } = against(() => 'silence', { alarm: () => () => {} });
    const reading = source.read('x', 0, 10, stop.signal);
    await new Promise((resolve) => setImmediate(resolve));
    stop.abort();
    await expect(reading).rejects.toMatchObject({ code: 'aborted' });
    expect(asked[0].signal.aborted).toBe(true);
  });

  it('as the Hub is told of, too', async () => {
    const { options, asked } = against(() => 'silence');
    const hub = createHubSource({ kind: 'hub', id: 'a/b' }, options);
    await expect(hub.list!()).rejects.toMatchObject({ details: { reason: 'silent' } });
    expect(asked.length).toBe(3);
  });
});

describe('a server that asks to wait', () => {
  const busy =
    (after: string, status = 429): Reply =>
    (one, count) =>
      count === 1 ? new Response('later', { status, headers: { 'retry-after': after } }) : honest(one, count);

  it.each([
    ['30', '30 s'],
    ['120', '2 min'],
  ])('%s s is waited for, and told', async (after, said) => {
    const { source, slept, notes } = against(busy(after));
    expect(await source.read('x', 0, 9)).toEqual(FILE.slice(0, 9));
    expect(slept).toEqual([Number(after) * 1000]);
    expect(notes).toEqual([`The server asks to wait ${said}.`, '']);
  });

  it.each([
    ['121', 429, /429 and asks to wait 2 min \(/],
    ['7200', 429, /429 and asks to wait 2 hours \(/],
    ['1000000000', 503, /503 and asks to wait 11574 days \(/],
    ['9'.repeat(400), 503, /asks to wait 115741 days \(/],
    ['Thu, 01 Jan 2099 00:00:00 GMT', 503, /asks to wait \d+ days \(/],
  ])('%s is said at once, with the time', async (after, status, said) => {
    const { source, asked, slept } = against(busy(after, status));
    const error = await source.size('x').catch((thrown) => thrown);
    expect(error).toMatchObject({ code: 'network', details: { status, retryAfterSeconds: expect.any(Number) } });
    expect(error.message).toMatch(said);
    expect(error.message).toMatch(/Load the model again after 2\d\d\d-\d\d-\d\d \d\d:\d\d UTC: what came is kept\.$/);
    expect([asked.length, slept]).toEqual([1, []]);
  });
});

describe('a server that brings little', () => {
  it('at a time, a byte an answer, is given up after forty answers', async () => {
    const { source, asked } = against((one) => part(one, [FILE.slice(one.start, one.start + 1)]));
    await expect(source.read('x', 0, 684)).rejects.toMatchObject({ code: 'network' });
    expect(asked.length).toBe(40);
  });

  it('but 64 KiB an answer is asked until all is here', async () => {
    const long = new Uint8Array(64 * 65536).fill(7);
    const { source, asked } = against((one) =>
      part(one, [long.slice(one.start, one.start + 65536)], { total: long.length }),
    );
    expect(Buffer.from(await source.read('x', 0, long.length)).equals(long)).toBe(true);
    expect(asked.length).toBe(64);
  });

  it('a byte now and then, is told to be slow, and read to the end', async () => {
    const { notes, options } = against(() => 'silence');
    const drip: Reply = ({ start }) => {
      let at = start;
      const body = new ReadableStream<Uint8Array>({
        async pull(controller) {
          for (let turns = 0; turns < 3; turns++) await new Promise((resolve) => setImmediate(resolve));
          controller.enqueue(FILE.slice(at, ++at));
        },
      });
      return new Response(body, { status: 206, headers: { 'content-range': `bytes ${start}-99999/100000` } });
    };
    // silence is never so long
    const alarm: Alarm = (ms, ring) => {
      let rounds = 10;
      let timer: NodeJS.Immediate;
      const wait = () => {
        timer = setImmediate(() => (--rounds > 0 ? wait() : ring()));
      };
      wait();
      void ms;
      return () => clearImmediate(timer);
    };
    const { source, asked } = against(drip, { alarm, onNote: options.onNote });
    expect(await source.read('x', 0, 50)).toEqual(FILE.slice(0, 50));
    expect(asked.length).toBe(1);
    expect(notes[0]).toMatch(/^The server sends very slowly: \d bytes in 30 s\.$/);
    expect(notes.at(-1)).toBe('');
  });
});

describe('an answer without end, and without a length,', () => {
  const PIECE = new Uint8Array(256 << 10).fill(32);

  function endless(piece: Uint8Array, headers: HeadersInit = {}) {
    const seen = { sent: 0, cancelled: false };
    const body = () =>
      new ReadableStream<Uint8Array>({
        pull(controller) {
          seen.sent += piece.length;
          controller.enqueue(piece);
        },
        cancel() {
          seen.cancelled = true;
        },
      });
    return { seen, reply: (() => new Response(body(), { status: 200, headers })) as Reply };
  }

  it.each([
    ['manifest.json', 16e6],
    ['config.json', 16e6],
    ['generation_config.json', 16e6],
    ['model.safetensors.index.json', 16e6],
    ['adapter_config.json', 16e6],
    ['tokenizer.json', 64e6],
    ['chat_template.jinja', 1e6],
  ])('is left at the limit of %s', async (path, limit) => {
    const { seen, reply } = endless(PIECE);
    const { source, asked } = against(reply);
    await expect(source.size(path)).rejects.toMatchObject({ code: 'corrupt-checkpoint', details: { path, limit } });
    expect(seen.sent).toBeGreaterThan(limit);
    expect(seen.sent).toBeLessThan(limit + 4 * PIECE.length);
    expect([asked.length, seen.cancelled]).toEqual([1, true]);
  });

  it('of weights is left after 4 GiB', async () => {
    const { seen, reply } = endless(new Uint8Array(64 << 20));
    const { source } = against(reply);
    await expect(source.size('model.safetensors')).rejects.toThrow(/does not tell the size.*without an end/);
    expect(seen.sent).toBeLessThanOrEqual(2 ** 32 + 3 * (64 << 20));
    expect(seen.cancelled).toBe(true);
  });

  it('of the Hub’s list is left after 64 MB', async () => {
    const { seen, reply } = endless(PIECE);
    const hub = createHubSource({ kind: 'hub', id: 'a/b' }, against(reply).options);
    await expect(hub.list!()).rejects.toMatchObject({ code: 'network', message: /more than 64000000 bytes/ });
    expect(seen.sent).toBeLessThan(64e6 + 4 * PIECE.length);
    expect(seen.cancelled).toBe(true);
  });

  it('in the place of a range is left when the range is here', async () => {
    const { seen, reply } = endless(PIECE, { 'content-length': '8000000000' });
    const { source } = against(reply);
    expect(await source.read('model.safetensors', 0, 4 << 20)).toHaveLength(4 << 20);
    expect(seen.sent).toBeLessThan(6 << 20);
    source.close?.();
  });
});

it('a size that is no number of bytes is refused', async () => {
  const { source } = against((one) => {
    return new Response('{ ', {
      status: 206,
      headers: { 'content-range': `bytes ${one.start}-1/99999999999999999999` },
    });
  });
  await expect(source.size('model.safetensors')).rejects.toMatchObject({
    code: 'network',
    message: expect.stringMatching(/^The server says that the file has 99999999999999999999 bytes/),
  });
});

it('a redirect in a circle is told as such', async () => {
  const server = createServer((request, response) => {
    response.writeHead(302, { Location: request.url! }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  try {
    const source = createHttpSource(`http://127.0.0.1:${port}/m/`, { sleep: async () => {} });
    await expect(source.size('x')).rejects.toThrow(/could not be reached.*redirect count exceeded/);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

describe('a web page with status 200', () => {
  const page = () => new Response('<h1>Log in</h1>', { status: 200, headers: { 'content-type': 'text/html' } });

  it('in the place of everything is said to be one', async () => {
    const { source } = against(page);
    await expect(openLayout(source)).rejects.toMatchObject({
      code: 'network',
      message: expect.stringMatching(
        /^The server answered with a web page instead of the file \(https:\/\/host\/m\/config\.json: 200/,
      ),
      details: { status: 200, reason: 'web-page' },
    });
  });

  it.each(['model.safetensors', 'model.safetensors.index.json'])(
    'in the place of weights alone, too (%s)',
    async () => {
      const config = new TextEncoder().encode('{"model_type":"llama"}');
      const { source } = against((one) =>
        one.url.endsWith('/config.json')
          ? part(one, [config.slice(one.start, one.end)], { total: config.length })
          : page(),
      );
      await expect(openLayout(source)).rejects.toMatchObject({ code: 'network', details: { reason: 'web-page' } });
    },
  );
});
