/** OpenAI's own client in a page and in a worker, answered by an engine there: nothing is sent. */
import { type ServerOptions, serve } from '../scripts/testing/server';
import { expect, expectedChats, sureIds, TINY, test } from './product';

const FOLDER = 'reference/fixtures/tiny-llama-128/nf4';
const mounts: ServerOptions['mounts'] = [
  [TINY, FOLDER],
  ['/lib/', 'dist'],
  ['/openai/', 'node_modules/openai'],
  ['/', 'e2e/blank.html'],
];

/** Runs where the library is: as text, so that a worker can have it, too. */
const ASK = `async (origin, messages, maxTokens) => {
  const [{ load }, { createFetch }, { OpenAI }] = await Promise.all(
    ['/lib/index.js', '/lib/openai.js', '/openai/index.mjs'].map((path) => import(origin + path)),
  );
  const engine = await load(origin + '${TINY}', { backend: 'cpu', storage: 'none' });
  const fetch = createFetch(engine, { model: 'tiny' });
  const client = new OpenAI({ fetch, apiKey: 'none', baseURL: origin + '/v1', dangerouslyAllowBrowser: true });
  const stream = client.chat.completions.stream({ model: 'tiny', messages, max_tokens: maxTokens });
  let streamed = '';
  for await (const { choices } of stream) streamed += choices[0]?.delta.content ?? '';
  const whole = await client.chat.completions.create({ model: 'tiny', messages, max_tokens: maxTokens });
  const stop = new AbortController();
  const long = { model: 'tiny', messages, max_tokens: 300, stream: true, ignore_eos: true };
  let pieces = 0;
  for await (const _ of await client.chat.completions.create(long, { signal: stop.signal })) if (++pieces === 3) stop.abort();
  const other = await client.models.retrieve('other').catch(({ status, code }) => ({ status, code }));
  engine.dispose();
  return { streamed, text: whole.choices[0].message.content, pieces, other };
}`;

test('answers in a page and in a worker, without a request', async ({ profile }) => {
  const { page } = await profile.open();
  const site = await serve({ mounts });
  try {
    await page.goto(site.origin);
    const [chat] = expectedChats();
    const { length } = sureIds(chat);
    const args = [site.origin, chat.messages, length] as const;
    const inPage = await page.evaluate(`(${ASK})(...${JSON.stringify(args)})`);
    const inWorker = await page.evaluate(
      ([ask, args]) =>
        new Promise((resolve, reject) => {
          const code = `(${ask})(...${JSON.stringify(args)}).then((said) => postMessage(said), (error) => postMessage(String(error)));`;
          const worker = new Worker(URL.createObjectURL(new Blob([code], { type: 'text/javascript' })), {
            type: 'module',
          });
          worker.onmessage = ({ data }) => resolve(data);
          worker.onerror = ({ message }) => reject(new Error(message));
        }),
      [ASK, args] as const,
    );
    const text = expect.any(String);
    expect(inPage).toEqual({ streamed: text, text, pieces: 3, other: { status: 404, code: 'model_not_found' } });
    const { streamed, text: whole } = inPage as Record<string, string>;
    expect(streamed).toBe(whole);
    // the last character may be incomplete
    expect(chat.text.startsWith(streamed.replace(/\ufffd+$/, ''))).toBe(true);
    expect(streamed.length).toBeGreaterThan(3);
    expect(inWorker).toEqual(inPage);
    expect(site.requests.filter((line) => line.includes('/v1'))).toEqual([]);
  } finally {
    await site.close();
  }
});
