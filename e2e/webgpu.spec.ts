/** The chat page on WebGPU (SwiftShader), with the WebGPU calls counted where they happen. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { findChromium, vulkanEnvironment } from '../scripts/testing/chromium';
import type { ServerOptions } from '../scripts/testing/server';
import { COUNT, type Counted, countedEverywhere, live } from './counted';
import { Chat, expect, expectedChats, keepNothing, sureIds, TINY, test } from './product';

/** Serves the worker's script, or a part of it, after `change`. */
const changeWorker = (change: (script: string) => string, part = 'worker'): Partial<ServerOptions> => ({
  intercept(_, response, path) {
    if (!path.startsWith(`/assets/${part}-`) || !path.endsWith('.js')) return false;
    const script = change(readFileSync(`dist/site${path}`, 'utf8'));
    response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(script);
    return true;
  },
});

/** The kernels that this adapter gets by itself take SwiftShader longest to compile: one test has them. */
const url = (origin: string, query = '&tune=small') => `${origin}/?model=${TINY}&backend=webgpu${query}`;

test.describe('counted', () => {
  test.use({ serverOptions: changeWorker((script) => COUNT + script) });

  test('answers on WebGPU, in the worker only, with the buffers that it says it has', async ({ product, profile }) => {
    const visit = await profile.open({ webgpu: true });
    const { page, complaints } = visit;
    await keepNothing(visit);
    await page.addInitScript(() => {
      const { requestAdapter } = GPU.prototype;
      GPU.prototype.requestAdapter = function (...args) {
        document.documentElement.dataset.gpu = 'used on the main thread';
        return requestAdapter.apply(this, args);
      };
    });
    await page.goto(url(product.site.origin, '&max-new-tokens=12'));
    const chat = new Chat(page);
    await chat.loadModel();
    await expect(chat.stat('backend')).toContainText('WebGPU');
    const worker = page.workers().at(-1)!;
    const counted = () => worker.evaluate(() => ({ ...(self as unknown as { counted: Counted }).counted }));

    const [expected] = expectedChats();
    const before = await counted();
    await chat.ask(expected.messages[0].content);
    const after = await counted();
    const { result, memory } = await chat.state();
    expect(result!.ids.slice(0, sureIds(expected).length)).toEqual(sureIds(expected));

    expect(after.live).toBe(memory!.total);
    expect(after.peak).toBe(memory!.peak);
    const steps = result!.ids.length;
    // prefill, a step a token, a few steps encoded ahead, and the growth of the cache
    expect(after.submits - before.submits).toBeLessThanOrEqual(steps + 16);
    expect(after.dispatches).toBeGreaterThan(steps);

    // A second question allocates only what the plan's growth says, and compiles nothing.
    await chat.ask('And again?');
    const later = await counted();
    expect(later.live).toBe((await chat.state()).memory!.total);
    expect(later.live).toBeGreaterThan(after.live);
    expect(later.pipelines).toBe(after.pipelines);

    expect(await page.evaluate(() => document.documentElement.dataset.gpu)).toBeUndefined();
    expect(complaints).toEqual([]);
  });
});

test.describe('one buffer too many', () => {
  // the wrapper makes a buffer of its own beside the fifth
  const extra = `${COUNT}
  { const { createBuffer } = GPUDevice.prototype; let n = 0;
    GPUDevice.prototype.createBuffer = function (d) {
      if (++n === 5) createBuffer.call(this, { size: 256, usage: 0x80 });
      return createBuffer.call(this, d);
    }; }
`;
  test.use({ serverOptions: changeWorker((script) => extra + script) });

  test('is seen: the count is no longer the plan’s', async ({ product, profile }) => {
    const { page } = await profile.open({ webgpu: true });
    await page.goto(url(product.site.origin, '&tune=small&max-new-tokens=4'));
    const chat = new Chat(page);
    await chat.loadModel();
    await chat.ask('One more?');
    expect(await live(page)).toBe((await chat.state()).memory!.total + 256);
  });
});

test.describe('one planner, one allocator', () => {
  test.use({ serverOptions: countedEverywhere });

  test('page, widget, library and CLI make the same bytes of the same request, and the CPU its ids', async ({
    product,
    profile,
  }) => {
    const { site, host } = product;
    const words = Array.from({ length: 1 + Math.floor(Math.random() * 6) }, () =>
      Math.random().toString(36).slice(2, 7),
    );
    const question = words.join(' ');
    const maxContext = 150 + Math.floor(Math.random() * 60);
    // what the page asks for by itself
    const newTokens = Math.floor(maxContext / 2);
    const { page } = await profile.open({ webgpu: true });
    await page.goto(url(site.origin, `&tune=small&kv=f32&max-context=${maxContext}`));
    const onPage = new Chat(page);
    await onPage.loadModel();
    await onPage.ask(question);
    const { memory, result } = await onPage.state();
    const bytes = await live(page);
    expect(bytes, question).toBe(memory!.total);

    const inLibrary = await page.evaluate(
      async ({ model, question, newTokens, maxContext }) => {
        // @ts-expect-error served from dist/
        const { load } = await import('/lib/index.js');
        const engine = await load(model, { backend: 'webgpu', tune: 'small', kv: 'f32', storage: 'none', maxContext });
        const answer = engine.chat([{ role: 'user', content: question }], { maxNewTokens: newTokens });
        return (await answer.result).memory.total as number;
      },
      { model: site.origin + TINY, question, newTokens, maxContext },
    );
    expect(inLibrary).toBe(bytes);
    expect(await live(page)).toBe(bytes);

    await page.goto(host.origin);
    await page.locator('nibble-chat').evaluate(
      (element, attributes) => {
        for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
      },
      { model: site.origin + TINY, backend: 'webgpu', tune: 'small', kv: 'f32', 'max-context': String(maxContext) },
    );
    await page.getByRole('button', { name: 'Start a chat' }).click();
    const inWidget = new Chat(page);
    await inWidget.loadModel();
    await inWidget.ask(question);
    expect(await live(page)).toBe(bytes);

    const options = [
      '--tune',
      'small',
      '--kv',
      'f32',
      '--max-new-tokens',
      String(newTokens),
      '--max-context',
      String(maxContext),
      '--json',
    ];
    const env = { ...process.env, ...vulkanEnvironment(await findChromium()) };
    const cli = (backend: string) => {
      const request = ['bin/nibble.js', 'generate', 'reference/fixtures/tiny-llama-128/nf4', '--chat', question];
      const answer = execFileSync(process.execPath, [...request, '--backend', backend, ...options], {
        encoding: 'utf8',
        env,
      });
      return JSON.parse(answer);
    };
    const onGpu = cli('webgpu');
    expect(onGpu.ids).toEqual(result!.ids);
    expect(onGpu.memory.total).toBe(bytes);
    // with an f32 cache the executors differ in the last bits only: the prompt drawn above has the CPU's ids
    expect(cli('cpu').ids).toEqual(result!.ids);
  });
});

test.describe('with one shader broken', () => {
  // the activation of the gate, upside down, in whichever script it is
  let broken = 0;
  const breaking: Partial<ServerOptions> = {
    intercept(_, response, path) {
      if (!/^\/assets\/.*\.js$/.test(path)) return false;
      const script = readFileSync(`dist/site${path}`, 'utf8');
      const changed = script.replaceAll('exp(-v)', 'exp(v)');
      if (changed === script) return false;
      broken++;
      response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(changed);
      return true;
    },
  };
  test.use({ serverOptions: breaking });

  test('the answer is another one: it does come from the shaders', async ({ product, profile }) => {
    const { page } = await profile.open({ webgpu: true });
    await page.goto(url(product.site.origin, '&tune=small&max-new-tokens=12'));
    const chat = new Chat(page);
    await chat.loadModel();
    // if not, shaders/lib/activation.wgsl has changed: break something else
    expect(broken).toBeGreaterThan(0);
    const [expected] = expectedChats();
    await chat.ask(expected.messages[0].content);
    const { result } = await chat.state();
    expect(result!.ids.slice(0, sureIds(expected).length)).not.toEqual(sureIds(expected));
  });
});

test('at WebGPU’s default limits and without optional features, the ids are the same', async ({ product, profile }) => {
  const { page } = await profile.open({ webgpu: true });
  await page.goto(url(product.site.origin, '&limits=default&features=none&tune=small&max-new-tokens=12'));
  const chat = new Chat(page);
  await chat.loadModel();
  const [expected] = expectedChats();
  await chat.ask(expected.messages[0].content);
  const { result, info } = await chat.state();
  expect(info!.options).toMatchObject({ limits: 'default', features: 'none' });
  expect(result!.ids.slice(0, sureIds(expected).length)).toEqual(sureIds(expected));
});

test('a software adapter is not chosen over the CPU by itself', async ({ product, profile }) => {
  const { page } = await profile.open({ webgpu: true });
  await page.goto(`${product.site.origin}/?model=${TINY}`);
  const chat = new Chat(page);
  await chat.loadModel();
  await expect(chat.stat('backend')).toHaveText('CPU');
  await expect(chat.stat('reason')).not.toBeEmpty();
});
