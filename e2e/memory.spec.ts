/** What a model takes, on the page before a download starts; and the person's limit, which is obeyed. */
import { resolve } from 'node:path';
import type { Page } from '@playwright/test';
import { SELF_ONLY_CSP } from '../scripts/bundling/policy';
import { serveFakeHub } from '../scripts/testing/fake-hub';
import { serveProduct } from '../scripts/testing/server';
import { nodeLibrary } from './node-library';
import { Chat, expect, MODELS, TINY, test } from './product';

/** config.json of Qwen/Qwen3-0.6B, as far as memory is concerned. */
const QWEN3 = {
  model_type: 'qwen3',
  hidden_size: 1024,
  intermediate_size: 3072,
  num_hidden_layers: 28,
  num_attention_heads: 16,
  num_key_value_heads: 8,
  head_dim: 128,
  vocab_size: 151936,
  max_position_embeddings: 40960,
  tie_word_embeddings: true,
};

const cost = (page: Page, name: string) => page.locator(`nibble-memory [data-cost=${name}]`);

test('Qwen3-0.6B: 4.38 GiB of cache at its full context against 42 MiB, before a byte of its weights', async ({
  profile,
}) => {
  const config = new TextEncoder().encode(JSON.stringify(QWEN3));
  const files = new Map([
    ['config.json', config],
    ['model.safetensors', new Uint8Array(64)],
  ]);
  const hub = await serveFakeHub({
    repos: { 'Qwen/Qwen3-0.6B': { files, sizes: { 'model.safetensors': 1_503_300_328 } } },
  });
  const meta = '<meta name="color-scheme"';
  const product = await serveProduct('.', {
    models: MODELS,
    csp: `${SELF_ONLY_CSP} ${hub.origin} ${hub.cdn}`,
    replace: { [meta]: `<meta name="nibble-hub" content="${hub.origin}" />${meta}` },
  });
  try {
    const { page } = await profile.open();
    await page.goto(`${product.site.origin}/?model=${TINY}`);
    const dialog = page.getByRole('dialog', { name: 'Models' });
    const inDialog = (name: string) => dialog.locator(`[data-cost=${name}]`);
    const look = async () => {
      await page.getByRole('button', { name: 'Models' }).click();
      await dialog.getByLabel('Hugging Face id').fill('Qwen/Qwen3-0.6B');
      await page.keyboard.press('Enter');
    };
    await look();
    await expect(inDialog('cache')).toHaveText(
      /^\s*42 MiB for 384 tokens; 4\.38 GiB at the full\s+context of 40,960 tokens\s*$/,
    );
    await expect(inDialog('download')).toHaveText('1.5 GB, once');
    await expect(inDialog('memory')).toContainText(/3\d\d MiB for a chat of/);
    await expect(inDialog('device')).toContainText(/probably allows \d+(\.\d+)? GiB.*An estimate: /s);
    await expect(inDialog('limit')).toHaveText('no limit');
    await expect(inDialog('verdict')).toHaveText('It fits.');

    // a longer chat, and the limit by keyboard: planned again at once
    await dialog.getByLabel('Length of the chat').selectOption('2667');
    await expect(inDialog('cache')).toContainText('294 MiB for 2,667 tokens');
    const slider = dialog.getByLabel('Memory limit');
    await slider.focus();
    await page.keyboard.press('Home');
    await expect(inDialog('limit')).toHaveText('64 MiB');
    await expect(inDialog('verdict')).toHaveText('It does not fit your limit of 64 MiB.');
    await expect(dialog.getByRole('list')).toContainText(/take \d+\.\d MiB|smaller model/);
    for (let place = 0; place < 12; place++) await page.keyboard.press('ArrowRight');
    await expect(inDialog('limit')).toHaveText('512 MiB');
    await expect(slider).toHaveAttribute('aria-valuetext', '512 MiB');

    // what would fit, best first, is a click away
    const offers = dialog.getByRole('listitem').getByRole('button');
    await expect(offers.first()).toContainText(/Chats of [\d,]+ words \([\d,]+ tokens\) at most: (50\d|51[0-2]) MiB/);
    await offers.first().click();
    await expect(inDialog('verdict')).toHaveText(/^It (fits|is tight on this device)\.$/);
    await expect(inDialog('chosen')).toContainText(/Chosen: chats of/);
    await dialog.getByRole('button', { name: 'Undo' }).click();
    await expect(inDialog('cache')).toContainText('42 MiB for 384 tokens');

    // nothing was loaded under the limit, so that it is nowhere on the next visit
    await page.reload();
    await expect(cost(page, 'limit')).toHaveText('no limit');
    await look();
    await expect(inDialog('limit')).toHaveText('no limit');
    expect([...hub.sent.keys()]).toEqual(['config.json']);
    expect(hub.requests.filter((line) => line.startsWith('cdn'))).toEqual([]);
  } finally {
    await product.close();
    await hub.close();
  }
});

test('the page’s own model: what it takes beside the offer, and a limit to the byte through to the answer', async ({
  product,
  profile,
}) => {
  const { site } = product;
  const { load } = await nodeLibrary();
  const engine = await load(resolve('reference/fixtures/tiny-llama-128/nf4'), { backend: 'cpu' });
  // a chat of 512 tokens, as the page asks for it
  const { peak } = await engine.plan({ promptTokens: 256, maxNewTokens: 256 });
  engine.dispose();
  const budget = peak - 1;

  const { page, complaints } = await profile.open();
  const chat = new Chat(page);
  await page.goto(`${site.origin}/?model=${TINY}&memory-budget=${budget}`);
  await page
    .getByText(/^\s*Needs 1\.\d MiB of memory for a chat of 290 words \(384 tokens\); this device probably\s+allows/)
    .click();
  await expect(cost(page, 'verdict')).toHaveText('It fits.');
  await expect(cost(page, 'cache')).toContainText('at the full context of 512 tokens');
  expect(site.requests.filter((line) => line.includes('safetensors'))).toEqual([]);
  await page.getByLabel('Length of the chat').selectOption('512');
  await expect(cost(page, 'verdict')).toContainText('It does not fit your limit of');
  const offer = page.locator('[data-offer=new-tokens]');
  await expect(offer).toContainText(/Chats of \d+ words \(\d+ tokens\) at most/);
  const tokens = Number(/\((\d+) tokens\)/.exec((await offer.textContent())!)![1]);
  await offer.click();
  await expect(cost(page, 'verdict')).toHaveText('It fits.');
  await chat.loadModel();
  expect(await chat.ask('Hello')).not.toBe('');
  const { info, memory } = await chat.state();
  expect(info!.options).toMatchObject({ memoryBudget: budget, maxContext: tokens });
  expect(info!.deviceEstimate.bytes).toBeGreaterThan(0);
  expect(memory!.peak).toBeLessThanOrEqual(budget);
  await expect(chat.stat('memory')).toContainText('limit');
  expect(complaints).toEqual([]);
});

test('a limit below what the model takes is refused in words, with numbers', async ({ product, profile }) => {
  const { page } = await profile.open();
  const chat = new Chat(page);
  await page.goto(`${product.site.origin}/?model=${TINY}&memory-budget=100000`);
  await expect(cost(page, 'verdict')).toContainText('It does not fit your limit of');
  await chat.load.click();
  await expect(chat.error).toHaveAttribute('data-code', 'out-of-memory');
  await expect(chat.error).toContainText(/This needs \d\.\d MiB and the budget is 0\.1 MiB/);
  // moved and loaded under, it is remembered
  await page.goto(`${product.site.origin}/?model=${TINY}`);
  await page.getByText(/Needs 1\.\d MiB of memory/).click();
  await page.getByLabel('Memory limit').fill('12');
  await page.reload();
  await expect(cost(page, 'limit')).toHaveText('no limit');
  await page.getByText(/Needs 1\.\d MiB of memory/).click();
  await page.getByLabel('Memory limit').fill('12');
  await chat.loadModel();
  expect((await chat.state()).info!.options.memoryBudget).toBe(512 * 2 ** 20);
  await page.reload();
  await chat.loaded();
  expect((await chat.state()).info!.options.memoryBudget).toBe(512 * 2 ** 20);
});
