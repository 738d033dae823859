/** Hostile manifests, indexes, headers, small files and HTTP answers, taken the way that a load takes them. */

import { openLayout } from '../../checkpoint/open-checkpoint';
import { fixture, loadFolder } from '../../formats/test/files';
import { anything, type Hostile, large, NUMBERS, type Random, randomFrom, WORDS } from '../../formats/test/hostile';
import type { Alarm } from '../../platform/within';
import { createHttpSource } from '../../sources/http-source';
import { CHUNK_BYTES, createMemoryStore } from '../../store/chunk-store';
import { openStored } from '../../store/stored-source';

const MODEL = loadFolder(fixture('tiny-llama/nf4'));
const encoded = (text: string) => new Uint8Array(Buffer.from(text));

/** Text of a file that is large in a way of its own. */
function heavy(random: Random): string {
  const n = large(random);
  return random.pick([
    () => '['.repeat(n),
    () => `{"a":${'['.repeat(n)}${']'.repeat(n)}}`,
    () => `{"a":[${'[],'.repeat(n)}0]}`,
    () => `{"a":"${'\\u0000'.repeat(n)}","b":NaN}`,
    () => `{"${'x'.repeat(n)}":1}`,
    () => `{${Array.from({ length: Math.min(n, 1e5) }, (_, i) => `"k${i}":{}`).join(',')}}`,
    () => `{"a":"${'\\"'.repeat(n)}`,
    () => `{"a":${'NaN,'.repeat(n)}`,
  ])();
}

function manifest(random: Random): string {
  const file = () => ({
    path: random.pick([...WORDS, ...Object.keys(MODEL)]),
    bytes: random.pick([...NUMBERS, 1, 100]),
    chunks: random.pick([[], ['a'.repeat(64)], ['a'.repeat(64), 'b'], null, 'aa', [{}]]),
  });
  const files = random.pick<unknown>([anything(random), Array.from({ length: random.below(5) }, file)]);
  return JSON.stringify({ format: 'nibble-manifest-1', chunkBytes: CHUNK_BYTES, revision: anything(random), files });
}

function index(random: Random): string {
  const n = 10 ** random.below(5);
  const shard = (i: number) => random.pick([`m${i}.safetensors`, `m${i % 7}.safetensors`, 'model-1.safetensors']);
  const names = Array.from({ length: n }, (_, i) => [`t${i}`, shard(i)]);
  if (random.below(3) === 0) names.push(['bad', anything(random) as string]);
  return JSON.stringify({ weight_map: Object.fromEntries(names), metadata: anything(random) });
}

function header(random: Random): Uint8Array {
  const entry = () => ({
    dtype: random.pick<unknown>(['F32', 'U8', 'BF16', 'F4', anything(random)]),
    shape: random.pick<unknown>([[1], [2, 2], [], Array(20).fill(1), [2 ** 40, 2 ** 40], anything(random)]),
    data_offsets: random.pick<unknown>([[0, 4], [4, 0], [0, 2 ** 60], anything(random)]),
  });
  const names = Array.from({ length: 10 ** random.below(5) }, (_, i) => random.pick([`t${i}`, random.pick(WORDS)]));
  const text = random.pick([
    () => heavy(random),
    () => JSON.stringify(anything(random)),
    () => JSON.stringify(Object.fromEntries(names.map((name) => [name, entry()]))),
  ])();
  const json = encoded(text);
  const bytes = new Uint8Array(8 + json.length + random.below(3) * 4);
  const said = random.pick([json.length, json.length, json.length, 0, 99e6, 2 ** 53 - 1, json.length + 1]);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(said), true);
  bytes.set(json, 8);
  return bytes;
}

/** The model's folder, with some files in the place of its own. */
function folder(random: Random): Map<string, Uint8Array> {
  const files = new Map(Object.entries(MODEL));
  for (let changes = 1 + random.below(2); changes > 0; changes--) {
    const path = random.pick([
      ...files.keys(),
      'manifest.json',
      'manifest.json',
      'model.safetensors',
      'model.safetensors.index.json',
    ]);
    if (path === 'model.safetensors.index.json') files.delete('model.safetensors');
    const text = () => random.pick([() => heavy(random), () => JSON.stringify(anything(random))])();
    if (path === 'manifest.json') files.set(path, encoded(random.pick([manifest, manifest, text])(random)));
    else if (path === 'model.safetensors') files.set(path, header(random));
    else if (path.endsWith('index.json')) files.set(path, encoded(random.pick([index, index, text])(random)));
    else files.set(path, encoded(text()));
  }
  if (random.below(4) === 0) for (let i = 0; i < 7; i++) files.set(`m${i}.safetensors`, header(random));
  return files;
}

interface Asked {
  path: string;
  start: number;
  end: number;
}
type Answer = (asked: Asked, bytes: Uint8Array | undefined, random: Random) => Response | 'silence' | 'reset';

const ranged = ({ start, end }: Asked, bytes: Uint8Array, total: number | string = bytes.length) => {
  const part = bytes.slice(start, end);
  const headers = { 'content-range': `bytes ${start}-${start + part.length - 1}/${total}` };
  return new Response(part, { status: 206, headers });
};
const honest: Answer = (asked, bytes) => {
  if (!bytes) return new Response('', { status: 404 });
  return bytes.length === 0
    ? new Response('', { status: 416, headers: { 'content-range': 'bytes */0' } })
    : ranged(asked, bytes);
};
const endless = (status: number, headers: HeadersInit = {}) => {
  const piece = new Uint8Array(1 << 20).fill(32);
  return new Response(new ReadableStream({ pull: (controller) => controller.enqueue(piece) }), { status, headers });
};
const NOTHING = new Uint8Array(0);
/** What a server may do instead. */
const WRONG: Answer[] = [
  () => 'silence',
  () => 'reset',
  () => new Response('later', { status: 429, headers: { 'retry-after': '1000000000' } }),
  () => new Response('later', { status: 503, headers: { 'retry-after': '5' } }),
  (_, __, random) =>
    new Response('', { status: random.pick([204 + 1, 301, 400, 401, 403, 404, 410, 416, 418, 500, 503]) }),
  () => new Response('<h1>Log in</h1>', { headers: { 'content-type': 'text/html' } }),
  () => new Response('<!doctype html>', { headers: { 'content-type': 'application/json' } }),
  () => endless(200),
  () => endless(200, { 'content-length': '8000000000' }),
  ({ start }) => endless(206, { 'content-range': `bytes ${start}-7999999999/8000000000` }),
  (asked, bytes = NOTHING, random) => ranged(asked, bytes, random.pick([8e9, '99999999999999999999', 1, 0, '*'])),
  (asked, bytes = NOTHING) => ranged({ ...asked, end: asked.start + 1 }, bytes),
  (asked, bytes = NOTHING) => ranged({ ...asked, end: asked.start }, bytes),
  (asked, bytes = NOTHING) => ranged({ ...asked, start: asked.start + 1 }, bytes),
  () => new Response('xx', { status: 206, headers: { 'content-range': 'pages 1-2/3' } }),
  (_, bytes = NOTHING) => new Response(bytes.slice(), { status: 200 }),
  (_, bytes = NOTHING) =>
    new Response(bytes.slice(0, 20), { status: 200, headers: { 'content-length': `${bytes.length}` } }),
];

/** What a load cost whom it asked. */
export interface Seen {
  requests: number;
  bytesRead: number;
  /** chunks that the browser keeps */
  kept: number;
}

/** A folder and the server that has it, of a seed. */
export function hostileFiles(seed: number): Hostile & { seen: Seen } {
  const random = randomFrom(seed);
  const files = folder(random);
  const wrong = random.pick(WRONG);
  const isWrong = random.below(2) === 0;
  const sick = random.pick([...files.keys(), 'manifest.json', 'everything']);
  const often = random.pick([0.1, 0.5, 1]);
  const store = random.pick([createMemoryStore(), null]);
  const seen = { requests: 0, bytesRead: 0, kept: 0 };
  const alarm: Alarm = (_, ring) => {
    const timer = setImmediate(() => setImmediate(ring));
    return () => clearImmediate(timer);
  };
  const send: typeof fetch = async (url, init) => {
    seen.requests++;
    const path = decodeURIComponent(new URL(String(url)).pathname.slice(3));
    const range = /(\d+)-(\d+)/.exec(new Headers(init?.headers).get('range') ?? '') ?? [];
    const [, start = 0, last = -1] = range.map(Number);
    const asked = { path, start, end: last + 1 };
    const isSick = isWrong && (sick === 'everything' || sick === path) && random.next() < often;
    const answer = (isSick ? wrong : honest)(asked, files.get(path), random);
    if (answer === 'reset') throw new TypeError('Failed to fetch');
    if (answer !== 'silence') return answer;
    return new Promise((_, reject) => {
      init!.signal!.addEventListener('abort', () => reject(new DOMException('stopped', 'AbortError')));
    });
  };
  async function take() {
    const options = {
      fetch: send,
      alarm,
      sleep: async () => {},
      onBytes: (_: string, bytes: number) => {
        seen.bytesRead += bytes;
      },
    };
    try {
      const source = await openStored(createHttpSource('https://host/m/', options), store);
      try {
        return (await openLayout(source)).files.length > 0;
      } finally {
        await source.close();
      }
    } finally {
      if (store) seen.kept = (await store.chunks.keys('')).length;
    }
  }
  const bytes = [...files.values()].reduce((sum, { length }) => sum + length, 0);
  return { said: `seed ${seed}${isWrong ? `, ${sick}: ${wrong}` : ''}`, bytes, take, seen };
}
