/** What pages get of `nibble serve` on the same machine: nothing, unless their origin is allowed. */
import { spawn } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Browser, chromium, expect, type Page, test } from '@playwright/test';
import { findChromium, QUIET_FLAGS } from '../scripts/testing/chromium';

const MODEL = 'reference/fixtures/tiny-llama-128/nf4';
/** names with this end resolve to this machine; whether a browser asks the person before that is not tested here */
const FLAGS = ['--host-resolver-rules=MAP *.example 127.0.0.1', '--disable-features=LocalNetworkAccessChecks'];

let browser: Browser;
let pages: Server;
/** of the server of pages */
let port = 0;
let served: { url: string; stop(): Promise<void> };

async function serve(cors: string) {
  const argv = ['bin/nibble.js', 'serve', MODEL, '--backend', 'cpu', '--port', '0', '--json', '--cors', cors];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<void>((resolve) => child.on('exit', () => resolve()));
  const line = await new Promise<string>((resolve) => child.stdout.once('data', (data) => resolve(String(data))));
  const stop = async () => {
    child.kill('SIGINT');
    await ended;
  };
  return { url: (JSON.parse(line) as { url: string }).url, stop };
}

test.beforeAll(async () => {
  pages = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<title>A page</title>'));
  await new Promise<void>((resolve) => pages.listen(0, '127.0.0.1', resolve));
  port = (pages.address() as AddressInfo).port;
  const executablePath = (await findChromium()) ?? undefined;
  [browser, served] = await Promise.all([
    chromium.launch({ executablePath, args: [...QUIET_FLAGS, ...FLAGS] }),
    serve(`http://app.example:${port}`),
  ]);
});
test.afterAll(async () => {
  await Promise.all([browser?.close(), served?.stop()]);
  pages?.close();
});

interface Got {
  status: number;
  text: string;
}

/** Asks for an answer in a page, as it may: the status and the text that it can read, or the name of its error. */
const ask = (page: Page, url: string, type: string, mode: RequestMode = 'cors'): Promise<Got | string> =>
  page.evaluate(
    async ([url, type, mode]) => {
      const body = JSON.stringify({ messages: [{ role: 'user', content: 'hi' }], max_tokens: 4 });
      const init = { method: 'POST', headers: { 'content-type': type }, body, mode: mode as RequestMode };
      try {
        const response = await fetch(url, init);
        return { status: response.status, text: await response.text() };
      } catch (error) {
        return (error as Error).name;
      }
    },
    [url, type, mode] as const,
  );

/** A number that the server tells of itself; 0 where it has nothing to tell. */
async function metric(name: string): Promise<number> {
  const lines = (await (await fetch(`${served.url}/metrics`)).text()).split('\n');
  const [line] = lines.filter((line) => line.startsWith(`nibble_${name} `));
  return Number(line?.split(' ')[1] ?? 0);
}
const answered = () => metric('answer_tokens_total');

test('a page of another origin gets nothing, however it asks, and nothing is computed for it', async () => {
  const page = await browser.newPage();
  await page.goto(`http://other.example:${port}/`);
  const before = await answered();
  for (const path of ['/v1/chat/completions', '/v1/messages']) {
    for (const type of ['text/plain', 'application/json']) {
      expect(await ask(page, served.url + path, type)).toBe('TypeError');
    }
    // it is sent, and what comes of it is hidden from the page
    expect(await ask(page, served.url + path, 'text/plain', 'no-cors')).toEqual({ status: 0, text: '' });
  }
  const read = await page.evaluate((url) => fetch(url).then(String, (error) => error.name), `${served.url}/v1/models`);
  expect(read).toBe('TypeError');
  // and without a header that names its origin, as images are asked for
  const refused = () => metric('requests_total{path="models",status="403"}');
  const [all, sofar] = [`${served.url}/v1/models`, await refused()];
  await page.evaluate((url) => document.body.append(Object.assign(new Image(), { src: url })), all);
  await expect.poll(refused).toBe(sofar + 1);
  expect(await answered()).toBe(before);
  await page.close();
});

test('a name that was made to resolve to this machine gets nothing', async () => {
  const page = await browser.newPage();
  const own = served.url.replace('127.0.0.1', 'rebound.example');
  // the page came from its own server, before its name resolved to this one
  await page.route(`${own}/`, (route) => route.fulfill({ contentType: 'text/html', body: '<title>A page</title>' }));
  await page.goto(`${own}/`);
  const before = await answered();
  for (const type of ['text/plain', 'application/json']) {
    const got = await ask(page, `${own}/v1/chat/completions`, type);
    expect(got).toMatchObject({ status: 403, text: expect.stringContaining('is not asked as') });
  }
  const list = await page.evaluate(async (url) => (await fetch(url)).status, `${own}/v1/models`);
  expect(list).toBe(403);
  expect(await answered()).toBe(before);
  await page.close();
});

test('a page whose origin is allowed is answered', async () => {
  const page = await browser.newPage();
  await page.goto(`http://app.example:${port}/`);
  const got = await ask(page, `${served.url}/v1/chat/completions`, 'application/json');
  expect(got).toMatchObject({ status: 200, text: expect.stringContaining('chat.completion') });
  expect(await answered()).toBeGreaterThan(0);
  expect(await ask(page, `${served.url}/v1/chat/completions`, 'text/plain')).toMatchObject({ status: 415 });
  await page.close();
});
