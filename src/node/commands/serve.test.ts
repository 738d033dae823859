/** nibble serve as a process: what it prints, whom it asks for a key, and how it ends. */
import { rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { application, FIXTURES, type Running, start } from '../test/built';
import { serveFiles } from '../test/file-server';

const NF4 = join(FIXTURES, 'tiny-llama-128/nf4');
const ASKED = { messages: [{ role: 'user', content: 'hi' }], max_tokens: 8 };
/** as long as the context allows */
const LONG = { ...ASKED, max_tokens: 480, ignore_eos: true, stream: true };

let app = '';
beforeAll(async () => {
  app = await application(['cli', 'worker']);
});
afterAll(() => rm(app, { recursive: true }));

const started: Running[] = [];
afterEach(async () => {
  for (const { child, done } of started.splice(0)) {
    child.kill('SIGKILL');
    await done;
  }
});

function begin(argv: readonly string[], env: NodeJS.ProcessEnv = {}): Running {
  const bin = join(app, 'node_modules/nibble-llm/bin/nibble.js');
  const running = start([bin, 'serve', ...argv], { cwd: app, env: { NIBBLE_CACHE: join(app, 'cache'), ...env } });
  started.push(running);
  return running;
}

/** A server that is ready. */
async function serving(argv: readonly string[] = [], env?: NodeJS.ProcessEnv, model: readonly string[] = [NF4]) {
  const running = begin([...model, '--backend', 'cpu', '--port', '0', '--json', ...argv], env);
  let out = '';
  running.child.stdout!.on('data', (piece) => {
    out += piece;
  });
  await running.says('out', /\n/);
  const told = JSON.parse(out) as { url: string; model: string; backend: string; parallel: number };
  const post = (body: object, headers: Record<string, string> = {}) =>
    fetch(`${told.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
  return { ...running, told, post };
}

it('tells where it is, answers, and ends with the running answers at Ctrl-C', async () => {
  const { told, post, child, done } = await serving();
  expect(told).toEqual({
    url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
    model: 'nf4',
    backend: 'cpu',
    parallel: 4,
  });
  const answer = await post(LONG);
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = (await reader.read()).value!;
  child.kill('SIGINT');
  // nobody new is let in while this one is answered to its end
  while (
    await fetch(`${told.url}/health`).then(
      ({ status }) => status === 200,
      () => false,
    )
  );
  for (let next = await reader.read(); !next.done; next = await reader.read()) text += next.value;
  expect(text).toMatch(/"finish_reason":"length"[\s\S]*data: \[DONE\]\n\n$/);
  expect(await done).toMatchObject({ status: 130, err: '' });
});

it('ends at once at a second Ctrl-C, and at SIGTERM when nothing runs', async () => {
  const { post, child, done, told } = await serving(['--parallel', '1']);
  // a hundred answers, one after the other
  const answer = await post({ ...LONG, n: 100 });
  const waiting = post(LONG);
  // one that has not come by then is not refused: nobody listens
  const inQueue = async () => (await fetch(`${told.url}/metrics`)).text();
  await expect.poll(inQueue, { timeout: 60_000 }).toContain('nibble_requests_waiting 1\n');
  child.kill('SIGINT');
  expect((await waiting).status).toBe(503);
  child.kill('SIGINT');
  const [{ status }, text] = await Promise.all([done, answer.text().catch(() => 'cut')]);
  expect([status, text]).toEqual([130, 'cut']);
  expect(told.parallel).toBe(1);
  const other = await serving();
  other.child.kill('SIGTERM');
  expect((await other.done).status).toBe(130);
});

it('takes its key from the environment, and names from its options', async () => {
  const argv = ['--alias', 'gpt-4', '--host', 'box.local', '--cors', 'http://app.example'];
  const { post } = await serving(argv, { NIBBLE_API_KEY: 'secret' });
  const key = { authorization: 'Bearer secret' };
  expect((await post(ASKED)).status).toBe(401);
  expect((await post({ ...ASKED, model: 'gpt-4' }, key)).status).toBe(200);
  expect((await post({ ...ASKED, model: 'gpt-5' }, key)).status).toBe(404);
  expect((await post(ASKED, { ...key, origin: 'http://app.example' })).status).toBe(200);
  expect((await post(ASKED, { ...key, origin: 'http://other.example' })).status).toBe(403);
});

it('takes the model that was used last where none is named', async () => {
  const files = await serveFiles(FIXTURES);
  const env = { NIBBLE_CACHE: join(app, 'used') };
  const first = await serving([], env, [`${files.origin}/tiny-llama-128/nf4/`]);
  first.child.kill('SIGINT');
  await first.done;
  await files.close();
  const { told, post, child, done } = await serving([], env, []);
  expect([told.model, (await post({ ...ASKED, model: 'nf4' })).status]).toEqual([first.told.model, 200]);
  child.kill('SIGINT');
  expect((await done).err).toBe(`No MODEL was named: it is ${told.model}, the one that was used last.\n`);
});

it('says what is wrong before it loads a model', async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const { port } = taken.address() as AddressInfo;
  const refused = [
    [['serve-nothing', '--port', String(port)], /127\.0\.0\.1:\d+ is taken: give another --port/],
    [[], /needs MODEL: no model is kept/],
    [[NF4, '--port', '70000'], /port is .*from 0 to 65535/],
    [[NF4, '--host', '10.0.0.1', '--host', '10.0.0.2'], /one address to listen on/],
    [[NF4, '--host', 'a:80'], /--host must be a name/],
    [[NF4, '--cors', 'app.example'], /--cors must be an origin/],
    [[NF4, '--api-key', ''], /api-key is ""; it must be a text that is not empty/],
    [['./nowhere', '--port', '0'], /There is no folder or file/],
  ] as const;
  const said = await Promise.all(refused.map(([argv]) => begin(argv).done));
  for (const [i, [, words]] of refused.entries())
    expect([said[i].status, said[i].err]).toEqual([1, expect.stringMatching(words)]);
  taken.close();
});
