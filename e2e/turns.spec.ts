/** Many turns: what a page holds after five hundred is what it held after two to three hundred. */
import { countedEverywhere, live } from './counted';
import { BLANK, expect, TINY, test } from './product';

/** What garbage that is not collected yet may add to the second half, bytes; the first warms up code and heaps. */
const SLACK = 16 << 20;
const CONVERSATIONS = 25;
const TURNS = 20;

interface Talk {
  ask(
    question: string,
    options: object,
  ): { result: Promise<{ memory: { total: number }; stats: { reusedTokens: number } }> };
  close(): Promise<void>;
}

test.use({ serverOptions: countedEverywhere });

test('five hundred turns leave no memory behind, in the page or on the GPU', async ({ product, profile }) => {
  const { page, resident } = await profile.open({ own: true, webgpu: true });
  await page.goto(`${product.site.origin}${BLANK}`);
  await page.evaluate(async (model) => {
    // @ts-expect-error served from dist/
    const { load } = await import('/lib/index.js');
    const options = { backend: 'webgpu', tune: 'small', storage: 'none', maxContext: 280 };
    Object.assign(globalThis, { engine: await load(model, options) });
  }, product.site.origin + TINY);
  const empty = await live(page);
  const after: number[] = [];
  for (let n = 0; n < CONVERSATIONS; n++) {
    const said = await page.evaluate(async (turns) => {
      const { engine } = globalThis as unknown as { engine: { conversation(options: object): Talk } };
      const talk = engine.conversation({ overflow: 'shift' });
      Object.assign(globalThis, { talk });
      let reused = 0;
      let total = 0;
      for (let turn = 0; turn < turns; turn++) {
        const { memory, stats } = await talk.ask(`${turn}`, { maxNewTokens: 2 }).result;
        total = memory.total;
        if (stats.reusedTokens > 0) reused++;
      }
      return { total, reused };
    }, TURNS);
    expect(await live(page)).toBe(said.total);
    expect(said.reused).toBeGreaterThan(TURNS / 2);
    await page.evaluate(() => (globalThis as unknown as { talk: Talk }).talk.close());
    expect(await live(page)).toBe(empty);
    after.push(resident());
  }
  const start = Math.max(...after.slice(10, 15));
  const end = Math.min(...after.slice(-5));
  expect(end - start, after.map((bytes) => (bytes / 2 ** 20).toFixed(0)).join(' ')).toBeLessThan(SLACK);
});
