/** What can be done with messages, by keyboard, on a fake engine. */
import { useFakeEngine } from './fake-engine';
import { pictures } from './picture';
import { Chat, expect, TINY, test } from './product';

test('a question that is asked before the model is here is answered when it is', async ({ product, profile }) => {
  const { page, context, complaints } = await profile.open();
  const engine = await useFakeEngine(context, { loadMs: 1000, answer: () => 'It is Paris.' });
  const chat = new Chat(page);
  await page.goto(`${product.site.origin}/?model=${TINY}`);
  await chat.question.fill('What is the capital of France?');
  await chat.question.press('Enter');
  await expect(chat.log).toContainText('What is the capital of France?');
  expect(engine.asked).toEqual([]);
  await expect(chat.log).toContainText('It is Paris.');
  await chat.answered();
  expect(engine.asked.map(({ messages }) => messages.length)).toEqual([1]);
  expect(complaints).toEqual([]);
});

test('a message is copied, edited, answered again, continued and deleted, by keyboard alone', async ({
  product,
  profile,
}) => {
  const { page, context, complaints } = await profile.open();
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  let answers = 0;
  const engine = await useFakeEngine(context, { answer: () => `Answer ${++answers}. It is **so**.` });
  const chat = new Chat(page);
  const message = (name: string) => chat.log.getByRole('article', { name, exact: true });
  const button = (name: string, of = message('Answer').last()) => of.getByRole('button', { name, exact: true });
  const press = async (name: string, of = message('Answer').last()) => {
    await of.focus();
    // as the Tab key finds it
    for (let steps = 0; steps < 12; steps++) {
      await page.keyboard.press('Tab');
      if (await button(name, of).evaluate((it) => it === (it.getRootNode() as ShadowRoot).activeElement)) break;
    }
    await page.keyboard.press('Enter');
  };
  await page.goto(`${product.site.origin}/?model=${TINY}`);
  await chat.ask('First?');
  await expect(button('Copy')).toBeVisible();

  await press('Copy');
  await expect(message('Answer').last()).toContainText('Copied');
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe('Answer 1. It is **so**.');

  // no voice of this device in a headless browser, and it says so
  await press('Read aloud');
  await expect(message('Answer').last()).toContainText('no voice of its own');

  await press('Details');
  await expect(chat.stat('speed')).toBeVisible();
  await expect(chat.stat('tokens')).toContainText('written');

  await press('Answer again');
  await expect(chat.log).toContainText('Answer 2');
  await expect(message('Answer').last()).toContainText('2 of 2');
  expect(engine.asked[1].options.temperature).toBeGreaterThan(0);
  await press('The one before');
  await expect(chat.log).toContainText('Answer 1');
  await expect(message('Answer').last()).toContainText('1 of 2');

  // from the answer to the question above it, which is edited
  await message('Answer').last().focus();
  await page.keyboard.press('ArrowUp');
  await expect(message('You')).toBeFocused();
  await press('Edit', message('You'));
  await expect(chat.log.getByLabel('Edited text')).toBeFocused();
  await page.keyboard.press('ControlOrMeta+A');
  await page.keyboard.type('Second?');
  await page.keyboard.press('Enter');
  await expect(chat.log).toContainText('Answer 3');
  await expect(message('You')).toContainText('2 of 2');
  expect(engine.asked[2].messages.map(({ content }) => content)).toEqual(['Second?']);

  engine.answer = () => ({ answer: 'one two three four', finish: 'length' });
  await chat.ask('Third?');
  await expect(chat.view.locator('[data-cut=length]')).toContainText('Stopped at 4 tokens');
  engine.answer = () => 'one two three four five';
  await chat.view.getByRole('button', { name: 'Continue' }).press('Enter');
  await expect(chat.log).toContainText('four five');

  await press('Delete');
  await expect(chat.log).not.toContainText('four five');
  await chat.view.getByRole('button', { name: 'Undo' }).press('Enter');
  await expect(chat.log).toContainText('four five');
  await pictures(page, 'messages-*-actions');
  await page.setViewportSize({ width: 390, height: 780 });
  await pictures(page, 'messages-phone-*-actions');
  expect(complaints).toEqual([]);
});

test('twenty turns shift nothing, make the document no longer, and what happens is said', async ({
  product,
  profile,
}) => {
  const { page, context } = await profile.open();
  const text = 'It is so, and *not* otherwise.\n\n- one\n- two\n\n';
  const engine = await useFakeEngine(context, {
    pace: 4,
    answer: (messages) => text.repeat(1 + (messages.length % 5)),
  });
  await page.addInitScript(() => {
    const shifts: number[] = [];
    Object.assign(window, { shifts });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as (PerformanceEntry & { value: number; hadRecentInput: boolean })[])
        if (!entry.hadRecentInput) shifts.push(entry.value);
    }).observe({ type: 'layout-shift', buffered: true });
  });
  const chat = new Chat(page);
  await page.goto(`${product.site.origin}/?model=${TINY}`);
  await expect(chat.view.locator('[data-stat=backend]')).toBeVisible();
  await page.evaluate(() => (window as unknown as { shifts: number[] }).shifts.splice(0));
  for (let turn = 0; turn < 20; turn++) await chat.ask(`Question ${turn}?`);
  const shift = await page.evaluate(() =>
    (window as unknown as { shifts: number[] }).shifts.reduce((sum, value) => sum + value, 0),
  );
  expect(shift).toBeLessThan(0.02);
  expect(await page.evaluate(() => document.documentElement.scrollHeight - innerHeight)).toBe(0);

  Object.assign(engine, { pace: 50, readPace: 8, answer: () => text.repeat(20) });
  await chat.question.fill(`Read this. ${'word '.repeat(600)}`);
  await chat.question.press('Enter');
  await expect(chat.log).toContainText(/Reading \d+ of 6\d\d tokens, \d+ s left/);
  await expect(chat.log).toContainText('It is so', { timeout: 30_000 });
  await chat.question.press('Escape');
  await expect(chat.view.locator('[data-cut=aborted]')).toBeVisible();
  await expect(chat.view.getByRole('status').filter({ hasText: 'The answer was stopped.' })).toHaveCount(1);

  await chat.log.press('Home');
  const list = chat.view.locator('nibble-messages');
  await expect.poll(() => list.evaluate(({ scrollTop }) => scrollTop)).toBe(0);
  await chat.view.getByRole('button', { name: 'Jump to the end' }).press('Enter');
  await expect(chat.view.locator('[data-cut=aborted]')).toBeInViewport();
});

test('right to left, in forced colours and at 200 %, nothing of a message is cut', async ({ product, profile }) => {
  const { page, context } = await profile.open({ width: 1280, height: 800 });
  await page.addInitScript(() =>
    localStorage.setItem('nibble-preferences /', JSON.stringify({ language: sessionStorage.english ? 'en' : 'ar' })),
  );
  const answer =
    'Ten.\n\n98. one\n99. two\n100. three\n\n```ts\nlet a = 1;\n```\n\nالسماء زرقاء.\n\n98. واحد\n99. اثنان';
  await useFakeEngine(context, { answer: () => ({ answer, reasoning: 'I count.' }) });
  await page.goto(`${product.site.origin}/?model=${TINY}`);
  const question = page.locator('nibble-composer textarea');
  const chat = new Chat(page);
  await question.fill('لماذا؟');
  await question.press('Enter');
  await expect(chat.log).toContainText('اثنان');
  await chat.answered();
  await expect(page.locator('html')).toHaveAttribute('dir', 'rtl');

  /** Buttons and numbers of messages, and the ring around the log, lie within what scrolls. */
  const whole = async () => {
    const cut = await chat.log.evaluate((log) => {
      const edge = (log.getRootNode() as ShadowRoot).host.getBoundingClientRect();
      const boxes = [...log.querySelectorAll('nibble-message-bar')]
        .flatMap((bar) => [...bar.shadowRoot!.querySelectorAll('button')])
        .map((button) => button.getBoundingClientRect())
        .map(({ left, right }) => [left, right]);
      const context = document.createElement('canvas').getContext('2d')!;
      const numbers = [...log.querySelectorAll('ol > li')].map((item) => {
        const { left, right } = item.getBoundingClientRect();
        const { font, direction } = getComputedStyle(item);
        context.font = font;
        const number = context.measureText('100. ').width;
        return direction === 'rtl' ? [left, right + number] : [left - number, right];
      });
      const style = getComputedStyle(log);
      const ring = Number.parseFloat(style.outlineWidth) + Number.parseFloat(style.outlineOffset);
      const { left, right } = log.getBoundingClientRect();
      return [...boxes, ...numbers, [left - ring, right + ring]].filter(
        ([start, end]) => start < edge.left - 0.5 || end > edge.right + 0.5,
      );
    });
    expect(cut).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
  };
  const states = async (name: string) => {
    await chat.log.focus();
    await page.keyboard.press('Home');
    await expect(chat.log).toHaveCSS('outline-style', 'solid');
    await pictures(page, `messages-${name}-*`);
    await whole();
    await page.emulateMedia({ forcedColors: 'active', reducedMotion: 'reduce' });
    await pictures(page, `messages-${name}-*-forced`);
    await page.emulateMedia({ forcedColors: 'none', reducedMotion: 'reduce' });
    // a browser's zoom of 200 %
    await page.setViewportSize({ width: 640, height: 400 });
    await pictures(page, `messages-${name}-*-zoom`);
    await whole();
    await page.setViewportSize({ width: 390, height: 780 });
    await pictures(page, `messages-${name}-*-phone`);
    await whole();
    await page.setViewportSize({ width: 1280, height: 800 });
  };
  await states('arabic');
  await page.evaluate(() => {
    sessionStorage.english = '1';
  });
  await page.reload();
  await expect(chat.log).toContainText('اثنان');
  await expect(page.locator('html')).toHaveAttribute('lang', 'en');
  await states('english');
});
