/** Commands, keys, settings and languages of the chat page, on an engine that loads nothing, by the keyboard alone. */
import type { Page } from '@playwright/test';
import { useFakeEngine } from './fake-engine';
import { dress, picture, pictures } from './picture';
import { Chat, expect, TINY, test } from './product';

/** What has the focus, however deep. */
const focused = (page: Page) =>
  page.evaluate(() => {
    let element = document.activeElement;
    while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
    return element?.id || element?.localName;
  });

test('commands are found and run by their keys, and the focus is never lost', async ({ product, profile }) => {
  const { page } = await profile.open({ width: 1280, height: 800 });
  const engine = await useFakeEngine(page.context(), { pace: 50, answer: () => 'word '.repeat(200) });
  await page.goto(`${product.site.origin}/?model=${TINY}`);
  const chat = new Chat(page);
  await expect(chat.question).toBeVisible();
  const palette = page.getByRole('dialog', { name: 'Commands' });
  // "/" is a letter in a field, and a command elsewhere
  await page.getByRole('button', { name: 'Settings' }).focus();
  await page.keyboard.press('/');
  expect(await focused(page)).toBe('textarea');
  await page.keyboard.press('?');
  await expect(chat.question).toHaveValue('?');
  await page.keyboard.press('Backspace');
  await page.keyboard.press('Control+k');
  await expect(palette.getByRole('combobox')).toBeFocused();
  await pictures(page, 'palette-*');
  await page.keyboard.type('dark');
  await expect(palette.getByRole('option', { selected: true })).toHaveText(/light and dark/);
  await page.keyboard.press('Escape');
  await expect(palette).toBeHidden();
  expect(await focused(page)).toBe('textarea');
  // a command that opens something: its focus comes back to where the palette was called from
  await page.keyboard.press('Control+k');
  await page.keyboard.type('shortcuts');
  await page.keyboard.press('Enter');
  const keys = page.getByRole('dialog', { name: 'Keyboard shortcuts' });
  await expect(keys).toContainText('New chat');
  await pictures(page, 'shortcuts-*');
  await page.keyboard.press('Escape');
  await expect(keys).toBeHidden();
  expect(await focused(page)).toBe('textarea');
  // where that is gone, the composer has it
  await page.evaluate(() => {
    const button = document.createElement('button');
    button.id = 'gone';
    document.body.append(button);
    button.focus();
  });
  await page.keyboard.press('Control+k');
  await expect(palette).toBeVisible();
  await page.evaluate(() => document.querySelector('#gone')!.remove());
  await page.keyboard.press('Escape');
  await expect.poll(() => focused(page)).toBe('textarea');
  // Escape stops, wherever the focus is
  await page.keyboard.type('Hello');
  await page.keyboard.press('Enter');
  await expect(chat.log).toContainText('word word');
  await page.getByRole('button', { name: 'Settings' }).focus();
  await page.keyboard.press('Escape');
  await expect(chat.view).toContainText(/stopped/i);
  // what can be done with the answer, by its keys and by its name
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  // their code comes after the first answer
  await expect(async () => {
    await page.keyboard.press('Control+Shift+C');
    await expect(page.getByText('The answer is copied.')).toBeVisible({ timeout: 1000 });
  }).toPass({ timeout: 20_000 });
  expect(await page.evaluate(() => navigator.clipboard.readText())).toMatch(/^(word ?)+$/);
  await pictures(page, 'command-told-*');
  Object.assign(engine, { pace: 0, answer: () => 'one more word' });
  await page.keyboard.press('Control+Shift+Enter');
  await expect(chat.view).not.toContainText(/stopped/i);
  const runByName = async (typed: string) => {
    await page.keyboard.press('Control+k');
    await expect(palette.getByRole('combobox')).toBeFocused();
    await page.keyboard.type(typed);
    await page.keyboard.press('Enter');
    await expect(palette).toBeHidden();
  };
  await runByName('answer the last');
  await expect(chat.log).toContainText('2 of 2');
  // the model out of memory, and back in it with the next question
  await runByName('unload');
  await expect(chat.view).toContainText('Your next question loads it again.');
  await pictures(page, 'model-unloaded-*');
  expect(engine.loads).toBe(1);
  await chat.question.focus();
  await page.keyboard.type('Are you there?');
  await page.keyboard.press('Enter');
  await expect.poll(() => engine.asked.at(-1)?.messages.at(-1)?.content).toBe('Are you there?');
  expect(engine.loads).toBe(2);
  await page.keyboard.press('Control+Shift+O');
  await expect(chat.log).toBeHidden();
  expect(await focused(page)).toBe('textarea');
});

test('settings count for the next answer, and for new conversations', async ({ product, profile }) => {
  const { page } = await profile.open({ width: 1280, height: 800 });
  const engine = await useFakeEngine(page.context());
  await page.goto(`${product.site.origin}/?model=${TINY}`);
  const chat = new Chat(page);
  await expect(chat.question).toBeVisible();
  const dialog = page.getByRole('dialog', { name: 'Settings' });
  await page.keyboard.press('Control+,');
  await expect(dialog.getByRole('tab', { name: 'This conversation' })).toBeFocused();
  await dialog.getByRole('button', { name: 'Brief' }).press('Enter');
  await expect(dialog.getByLabel('System prompt')).toHaveValue(/^Answer briefly/);
  await dialog.getByLabel('Temperature').fill('0.7');
  await dialog.getByLabel('Top-p').fill('3');
  await dialog.getByLabel('Seed').focus();
  await expect(dialog.getByRole('alert')).toHaveText('A number from 0 to 1');
  await pictures(page, 'settings-*-conversation');
  await dialog.getByLabel('Top-p').fill('');
  await dialog.getByLabel('Thinking').selectOption('off');
  await dialog.getByRole('button', { name: 'Use for new conversations' }).press('Enter');
  await page.keyboard.press('Escape');
  await chat.ask('Hello');
  const [first] = engine.asked;
  expect(first.messages[0]).toMatchObject({ role: 'system', content: /^Answer briefly/ });
  expect(first.options).toMatchObject({ temperature: 0.7, templateOptions: { enable_thinking: false } });
  expect(first.options.topP).toBeUndefined();
  await page.keyboard.press('Control+Shift+O');
  await chat.ask('Again');
  expect(engine.asked.at(-1)!.options).toMatchObject({ temperature: 0.7 });
  // the model is loaded again with another context
  await page.keyboard.press('Control+,');
  await expect(dialog.getByRole('tab', { name: 'This conversation' })).toBeFocused();
  await page.keyboard.press('ArrowDown');
  await expect(dialog.getByRole('tab', { name: 'Model' })).toBeFocused();
  await pictures(page, 'settings-*-model');
  await dialog.getByLabel('Cache type').selectOption('int8');
  const { loads } = engine;
  await dialog.getByRole('button', { name: 'Load again' }).press('Enter');
  await expect.poll(() => engine.loads).toBe(loads + 1);
  await dialog.getByRole('tab', { name: 'Model' }).press('End');
  const report = dialog.getByRole('region', { name: 'Report' });
  await expect(report).toContainText('"userAgent"');
  await expect(report).not.toContainText('Answer briefly');
  await pictures(page, 'settings-*-diagnostics');
  await page.keyboard.press('ArrowUp');
  await expect(dialog.locator('[data-part=models]')).toBeVisible();
  await expect(dialog.locator('[data-protected]')).toBeVisible();
  await dialog.getByRole('button', { name: 'Delete everything…' }).press('Enter');
  await expect(dialog.getByRole('button', { name: 'Cancel' })).toBeFocused();
  await pictures(page, 'settings-*-storage');
  await page.keyboard.press('Enter');
  await expect(dialog.getByRole('button', { name: 'Delete everything…' })).toBeFocused();
});

test('theme, text size and language, in all tabs, right to left too', async ({ product, profile }) => {
  const { page } = await profile.open({ width: 390, height: 780 });
  await useFakeEngine(page.context());
  await page.goto(`${product.site.origin}/?model=${TINY}`);
  await expect(new Chat(page).question).toBeVisible();
  const other = await page.context().newPage();
  await other.goto(`${product.site.origin}/?model=${TINY}`);
  await page.bringToFront();
  const html = page.locator('html');
  const dialog = page.getByRole('dialog');
  // on a phone, what has no room in the bar is behind its last button
  await page.getByRole('button', { name: 'More' }).press('Enter');
  const menu = page.getByRole('dialog', { name: 'More' });
  await expect(menu).toContainText(/CPU · 85.8 MiB/);
  await pictures(page, 'menu-phone-*');
  await menu.getByRole('button', { name: 'Choose a model' }).focus();
  await page.keyboard.press('ArrowUp');
  await expect(menu.getByRole('button', { name: 'Search commands' })).toBeFocused();
  await page.keyboard.press('Escape');
  await expect(page.getByRole('button', { name: 'More' })).toBeFocused();
  await page.keyboard.press('Enter');
  await menu.getByRole('button', { name: 'Open settings' }).press('Enter');
  await expect(dialog.getByRole('tab', { name: 'This conversation' })).toBeFocused();
  await page.keyboard.press('Escape');
  await page.keyboard.press('Control+,');
  await expect(dialog.getByRole('tab', { name: 'This conversation' })).toBeFocused();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  await dialog.getByRole('radio', { name: 'Dark' }).press('Space');
  await dialog.getByRole('radio', { name: 'Large', exact: true }).press('Space');
  await pictures(page, 'settings-phone-*-appearance');
  await expect(html).toHaveCSS('color-scheme', 'dark');
  await expect(html).toHaveCSS('font-size', '19px');
  await expect(other.locator('html')).toHaveCSS('color-scheme', 'dark');
  await dialog.getByLabel('Language').selectOption('ar');
  await expect(html).toHaveAttribute('dir', 'rtl');
  await expect(html).toHaveAttribute('lang', 'ar');
  await expect(other.locator('html')).toHaveAttribute('lang', 'ar');
  await picture(page, 'settings-phone-dark-arabic');
  await page.keyboard.press('Escape');
  await picture(page, 'page-phone-dark-arabic');
  await page.locator('nibble-page .more').click();
  await expect(page.locator('nibble-bar-menu button').first()).toBeVisible();
  await picture(page, 'menu-phone-dark-arabic');
  await page.keyboard.press('Escape');
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(wide).toBeLessThanOrEqual(0);
  await page.reload();
  await expect(html).toHaveAttribute('lang', 'ar');
  await page.setViewportSize({ width: 1280, height: 800 });
  await picture(page, 'page-desktop-dark-arabic');
});

test('forced colours, and text of twice the size', async ({ product, profile }) => {
  const { page } = await profile.open({ width: 1280, height: 800 });
  await useFakeEngine(page.context());
  await page.goto(`${product.site.origin}/?model=${TINY}`);
  const chat = new Chat(page);
  await expect(chat.question).toBeVisible();
  await chat.ask('Hello');
  await page.emulateMedia({ forcedColors: 'active', reducedMotion: 'reduce' });
  await picture(page, 'forced-colors-answer');
  await page.keyboard.press('Control+,');
  await picture(page, 'forced-colors-settings');
  await page.keyboard.press('Escape');
  await page.emulateMedia({ forcedColors: 'none' });
  await dress(page, 'light');
  // a browser's zoom of 200 %: half as many pixels of CSS
  await page.setViewportSize({ width: 640, height: 400 });
  await picture(page, 'zoom-200-answer');
  await page.keyboard.press('Control+,');
  await picture(page, 'zoom-200-settings');
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(wide).toBeLessThanOrEqual(0);
});
