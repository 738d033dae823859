/** The chat page without WebGPU: from the offer to the answer, on the CPU, under the strict policy. */
import { Chat, expect, expectedChats, sureIds, TINY, test } from './product';
import { slowOnCpu } from './slow-worker';

const url = (origin: string, query = '') => `${origin}/?model=${TINY}${query}`;

test('shows the size, loads when asked to, and answers from the CPU', async ({ product, profile }) => {
  const { site } = product;
  const { page, requests, complaints } = await profile.open();
  const chat = new Chat(page);
  await page.goto(url(site.origin, '&max-new-tokens=12'));
  await expect(chat.size).toContainText('0.3 MB');
  expect(site.requests.filter((line) => line.includes('safetensors'))).toEqual([]);

  await chat.loadModel();
  const [expected] = expectedChats();
  await chat.ask(expected.messages[0].content);
  const { ids } = (await chat.state()).result!;
  expect(sureIds(expected).length).toBeGreaterThan(5);
  expect(ids.slice(0, sureIds(expected).length)).toEqual(sureIds(expected));

  await expect(chat.stat('backend')).toHaveText('CPU');
  await expect(chat.stat('reason')).toContainText('WebGPU');
  await expect(chat.stat('speed')).toContainText(/\d+(\.\d)? tok\/s/);
  await expect(chat.stat('ttft')).toContainText(/\d+(\.\d)? s/);
  await expect(chat.stat('memory')).toContainText('at the full context of 512 tokens');

  expect(requests.filter((request) => !request.startsWith(`${site.origin}/`) && !request.startsWith('blob:'))).toEqual(
    [],
  );
  expect(complaints).toEqual([]);
});

test('keeps the conversation, stops, and starts anew', async ({ product, profile }) => {
  const { page } = await profile.open();
  const chat = new Chat(page);
  await page.goto(url(product.site.origin, '&max-new-tokens=8'));
  await chat.loadModel();
  await chat.view.getByRole('listitem').first().getByRole('button').click();
  await chat.answered();
  expect((await chat.state()).messages.map(({ role }) => role)).toEqual(['user', 'assistant']);

  await page.getByRole('button', { name: 'New chat' }).click();
  await chat.ask('a');
  await chat.ask('b');
  const { messages, result } = await chat.state();
  expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user', 'assistant']);
  expect(result!.stats.reusedTokens).toBeGreaterThan(0);
  await page.getByRole('button', { name: 'New chat' }).click();
  await expect(chat.log).toHaveCount(0);
});

test('of a question longer than the context the newest part is seen, and the page says so; the next one is whole', async ({
  product,
  profile,
}) => {
  const { page } = await profile.open();
  const chat = new Chat(page);
  await page.goto(url(product.site.origin));
  await chat.loadModel();
  expect(await chat.ask('long '.repeat(200))).not.toBe('');
  const { droppedTokens } = (await chat.state()).result!.stats;
  expect(droppedTokens).toBeGreaterThan(128);
  await expect(chat.stat('note')).toContainText(`longer than the 512 tokens`);
  await expect(chat.stat('note')).toContainText(`oldest ${droppedTokens}`);
  await page.getByRole('button', { name: 'New chat' }).click();
  expect(await chat.ask('a')).not.toBe('');
  await expect(chat.stat('note')).toHaveCount(0);
});

test.describe('of a slow model', () => {
  test.use({ serverOptions: { intercept: slowOnCpu } });
  test('stop ends a long answer, which stays', async ({ product, profile }) => {
    const { page } = await profile.open();
    const chat = new Chat(page);
    await page.goto(url(product.site.origin, '&backend=cpu&ignore-eos'));
    await chat.loadModel();
    await chat.question.fill('Write a long story about a river.');
    await chat.question.press('Enter');
    await expect.poll(async () => (await chat.state()).messages.at(-1)?.content.length).toBeGreaterThan(8);
    await chat.stop.click();
    await chat.answered();
    const stopped = await chat.state();
    expect(stopped.result?.finish).toBe('aborted');
    expect(stopped.messages.at(-1)!.content.length).toBeGreaterThan(8);
    expect(stopped.result!.stats.newTokens).toBeLessThan(100);
  });
});

for (const [query, sentence] of [
  ['&backend=gpu', 'backend is "gpu"'],
  ['&kv-capacity=-3', 'kv-capacity is "-3"'],
  ['&temperature=warm', 'temperature is "warm"'],
  ['&chunk=8&chunk=9', 'given twice'],
]) {
  test(`${query} is refused in the open, and nothing is loaded`, async ({ product, profile }) => {
    const { page } = await profile.open();
    const chat = new Chat(page);
    await page.goto(url(product.site.origin, query));
    await expect(chat.error).toContainText(sentence);
    await expect(chat.error).toHaveAttribute('data-code', 'invalid-option');
    await expect(chat.load).toHaveCount(0);
    expect(product.site.requests.filter((line) => line.includes(TINY))).toEqual([]);
  });
}

test('options reach the engine: what they ask for is what is in effect', async ({ product, profile }) => {
  const { page } = await profile.open();
  const chat = new Chat(page);
  await page.goto(
    url(
      product.site.origin,
      '&backend=cpu&kv-capacity=full&max-context=96&chunk=8&kv=f32&storage=none&max-new-tokens=4',
    ),
  );
  await chat.loadModel();
  await chat.ask('a');
  const { info, memory } = await chat.state();
  expect(info!.options).toMatchObject({ kvCapacity: 'full', maxContext: 96, chunk: 8, kv: 'f32', storage: 'none' });
  expect(memory!.kvSlots.global).toBeGreaterThanOrEqual(96);
});

test('a model that is not there is an error, and the next try works when it is', async ({ product, profile }) => {
  const { page } = await profile.open();
  const chat = new Chat(page);
  let missing = true;
  await page.context().route(
    ({ pathname }) => pathname.startsWith(TINY),
    (route) => (missing ? route.fulfill({ status: 404 }) : route.continue()),
  );
  await page.goto(url(product.site.origin));
  await chat.load.click();
  await expect(chat.error).toBeVisible();
  missing = false;
  await chat.error.getByRole('button', { name: 'Try again' }).click();
  await chat.loaded();
});

test('backend=webgpu without WebGPU says so', async ({ product, profile }) => {
  const { page } = await profile.open();
  const chat = new Chat(page);
  await page.goto(url(product.site.origin, '&backend=webgpu'));
  await chat.load.click();
  await expect(chat.error).toHaveAttribute('data-code', 'webgpu-unavailable');
});
