/** What a composer does beyond a field: files, long pastes, drafts, earlier questions, saved prompts; by keyboard. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Page } from '@playwright/test';
import { useFakeEngine } from './fake-engine';
import { dress, picture, pictures } from './picture';
import { Chat, expect, TINY, test } from './product';

const PDF = 'reference/fixtures/pdf';

const chips = (page: Page) => page.getByRole('list', { name: 'Attached files' }).getByRole('listitem');

const NOTES = {
  name: 'notes.md',
  mimeType: 'text/markdown',
  buffer: Buffer.from('The key lies under the third stone.'),
};

/** By the dialog of the browser, from the keyboard. @param files paths, or files */
async function attach(page: Page, files: (string | typeof NOTES)[]) {
  const chooser = page.waitForEvent('filechooser');
  await page.getByRole('button', { name: 'Attach files' }).press('Enter');
  const asFile = (path: string) => ({ name: basename(path), mimeType: '', buffer: readFileSync(path) });
  await (await chooser).setFiles(files.map((file) => (typeof file === 'string' ? asFile(file) : file)));
}

const paste = (page: Page, text: string) =>
  page.getByLabel('Your question').evaluate((field, pasted) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData('text/plain', pasted);
    field.dispatchEvent(
      new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true, composed: true }),
    );
  }, text);

test('files: read under the page’s policy, counted, refused with a sentence, and sent', async ({
  product,
  profile,
}) => {
  const { page, context, requests, complaints } = await profile.open();
  const engine = await useFakeEngine(context, { answer: () => 'Noted.' });
  const chat = new Chat(page);
  await page.goto(`${product.site.origin}/?model=${TINY}&max-context=2048`);
  await expect(chat.question).toBeVisible();
  await attach(page, [
    `${PDF}/latex.pdf`,
    `${PDF}/chinese.pdf`,
    `${PDF}/encrypted.pdf`,
    `${PDF}/picture.pdf`,
    'public/icon-192.png',
    NOTES,
  ]);
  await expect(chips(page)).toHaveText(
    [
      /latex\.pdf\s*2 pages, [\d,]+ tokens/,
      /chinese\.pdf\s*2 pages, [\d,]+ tokens/,
      /encrypted\.pdf asks for a password/,
      /picture\.pdf has no text in its pages/,
      /icon-192\.png is a picture.*Nibble cannot show pictures/,
      /notes\.md\s*[\d,]+ tokens/,
    ],
    { timeout: 30_000 },
  );
  expect(requests.some((url) => url.endsWith('.bcmap'))).toBe(true);
  await pictures(page, 'composer-desktop-*-chips');
  await page.setViewportSize({ width: 390, height: 780 });
  await picture(page, 'composer-phone-dark-chips');
  await page.setViewportSize({ width: 1280, height: 800 });
  for (const name of ['encrypted.pdf', 'picture.pdf', 'icon-192.png', 'latex.pdf'])
    await page.getByRole('button', { name: `Remove ${name}` }).press('Enter');
  await chat.question.fill('When does the library open, and where is the key?');
  await chat.question.press('Enter');
  await expect(chat.log).toContainText('Noted.');
  const sent = engine.asked[0].messages.at(-1)?.content as string;
  expect(sent).toMatch(/^File "chinese\.pdf":\n图书馆每天早上九点开门[\s\S]*File "notes\.md":\nThe key lies under/);
  expect(sent.endsWith('\n\nWhen does the library open, and where is the key?')).toBe(true);
  await expect(chips(page)).toHaveCount(0);

  await expect(chat.log).not.toContainText('third stone');
  await expect(page.getByRole('list', { name: 'Files sent' })).toContainText('chinese.pdf');

  // longer than the context: searched
  await attach(page, [`bench/texts/prose.txt`]);
  await expect(chips(page)).toHaveText([/prose\.txt.*tokens/]);
  await chat.question.fill('Do cosmic rays that flip a bit get noticed?');
  await chat.question.press('Enter');
  await chat.answered();
  await expect.poll(() => engine.asked.length).toBe(2);
  const searched = engine.asked[1].messages.at(-1)?.content as string;
  expect(searched).toMatch(/^Passages of "prose\.txt":\n[\s\S]*caused by cosmic rays, thermal noise/);
  expect(searched.length).toBeLessThan(readFileSync('bench/texts/prose.txt', 'utf8').length / 4);
  await expect(page.getByText(/thermal noise/)).toBeHidden();
  const used = page.getByText(/^\d passages of prose\.txt$/);
  await used.press('Enter');
  await expect(page.getByText(/thermal noise/)).toBeVisible();
  await pictures(page, 'composer-desktop-*-passages');
  await dress(page, 'light');
  expect(complaints).toEqual([]);
});

test('a long paste, a draft, earlier questions, saved prompts', async ({ product, profile }) => {
  const { page, context, complaints } = await profile.open();
  const engine = await useFakeEngine(context, { answer: () => 'Yes.' });
  const chat = new Chat(page);
  await page.goto(`${product.site.origin}/?model=${TINY}`);
  await chat.question.fill('What is this? ');
  const long = 'Words and words. '.repeat(400);
  await paste(page, long);
  await expect(chips(page)).toHaveText([/Pasted text.*tokens/]);
  await expect(chat.question).toHaveValue('What is this? ');
  await page.getByRole('button', { name: 'Undo' }).press('Enter');
  await expect(chips(page)).toHaveCount(0);
  await expect(chat.question).toHaveValue(`What is this? ${long}`);
  await paste(page, long);
  await expect(chips(page)).toHaveCount(1);
  await chat.question.fill('Summarise it.');
  await chat.question.press('Enter');
  await expect(chat.log).toContainText('Yes.');
  expect(engine.asked[0].messages.at(-1)?.content).toMatch(/^File "Pasted text":\nWords and words/);

  await chat.question.press('ArrowUp');
  await expect(chat.question).toHaveValue('Summarise it.');
  await chat.question.press('ArrowDown');
  await expect(chat.question).toHaveValue('');

  await chat.question.fill('Explain it to a child.');
  await page.getByRole('button', { name: 'Saved prompts' }).press('Enter');
  const dialog = page.getByRole('dialog', { name: 'Saved prompts' });
  await dialog.getByLabel('Name', { exact: true }).fill('child');
  await page.keyboard.press('Enter');
  await expect(dialog.getByRole('listitem')).toContainText('/child');
  await pictures(page, 'composer-desktop-*-prompts');
  await page.keyboard.press('Escape');
  await expect(chat.question).toBeFocused();
  await chat.question.fill('/ch');
  await expect(page.getByRole('option', { selected: true })).toContainText('/child');
  await pictures(page, 'composer-desktop-*-slash');
  await dress(page, 'light');
  await chat.question.press('Tab');
  await expect(chat.question).toHaveValue('Explain it to a child.');
  await chat.question.press('Enter');
  await expect.poll(() => engine.asked.length).toBe(2);
  expect(complaints).toEqual([]);
});
