/** What answers look like: code, tables, formulas and the direction of each block, on a fake engine, by keyboard. */
import { useFakeEngine } from './fake-engine';
import { pictures } from './picture';
import { Chat, expect, TINY, test } from './product';

const CODE = 'def greet(name: str) -> str:\n    # says "hello"\n    return f"hello {name}" * 2';

const ANSWER = `Here is **how**, for $5 and $6:

\`\`\`python
${CODE}
\`\`\`

| Name | Price | Note about it |
|:-----|------:|:-------------:|
| pneumonoultramicroscopicsilicovolcanoconiosis | 12.50 | \`a\` |
| tea | 3 | internationalisation, incomprehensibilities and counterrevolutionaries |

Its length is $\\lambda^{-4}$, and in all:

$$
I = I_0 \\frac{8\\pi^4 N\\alpha^2}{\\lambda^4 R^2}(1 + \\cos^2\\theta)
$$

\u05e9\u05dc\u05d5\u05dd \`x = 1\` \u05d5\u05db\u05df \u05d4\u05dc\u05d0\u05d4.

- \u0645\u0631\u062d\u0628\u0627 $x$
- and one in English

Broken: $\\frac{a$ is as it was.`;

test('code, tables, formulas and directions of an answer', async ({ product, profile }) => {
  const { page, context, complaints } = await profile.open();
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await useFakeEngine(context, { answer: () => ANSWER });
  const chat = new Chat(page);
  await page.goto(`${product.site.origin}/?model=${TINY}`);
  await chat.question.fill('Show me.');
  await chat.question.press('Enter');
  await expect(chat.log).toContainText('is as it was.');
  await chat.answered();

  // code: its language, its colours, and a button that the keyboard reaches
  const code = chat.log.locator('.code');
  await expect(code).toContainText('python');
  await expect(code.locator('.keyword')).toHaveText(['def', 'return']);
  await expect(code.locator('.comment')).toHaveText('# says "hello"');
  const colours = await code
    .locator('span[class]:not(.lines)')
    .evaluateAll((words) => new Set(words.map((word) => getComputedStyle(word).color)).size);
  expect(colours).toBeGreaterThan(2);
  const copy = code.getByRole('button', { name: 'Copy code' });
  await copy.focus();
  await page.keyboard.press('Enter');
  await expect(code.getByRole('status')).toHaveText('Copied');
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(CODE);

  // a table: a region that scrolls, its words whole, its columns as they say
  const table = page.getByRole('region', { name: 'Name, Price, Note about it' });
  await expect(table.locator('td').nth(1)).toHaveCSS('text-align', 'right');
  await expect(table.locator('td').nth(2)).toHaveCSS('text-align', 'center');

  // formulas as MathML; prices and what is broken as they were written
  await expect(chat.log.locator('math')).toHaveCount(3);
  await expect(chat.log.locator('.formula math mfrac')).toHaveCount(1);
  await expect(chat.log).toContainText('for $5 and $6:');
  await expect(chat.log).toContainText('Broken: $\\frac{a$');

  // each block has the direction of its own text, and code is left to right in any
  const paragraph = chat.log.locator('p', { hasText: '\u05e9\u05dc\u05d5\u05dd' });
  await expect(paragraph).toHaveCSS('direction', 'rtl');
  await expect(paragraph.locator('code')).toHaveCSS('direction', 'ltr');
  await expect(chat.log.locator('li').first()).toHaveCSS('direction', 'rtl');
  await expect(chat.log.locator('li').last()).toHaveCSS('direction', 'ltr');

  await chat.log.locator('.code').scrollIntoViewIfNeeded();
  await pictures(page, 'markdown-desktop-*');
  await page.setViewportSize({ width: 390, height: 780 });
  await table.scrollIntoViewIfNeeded();
  await pictures(page, 'markdown-phone-*');
  const narrow = await table.evaluate(({ scrollWidth, clientWidth }) => ({ scrollWidth, clientWidth }));
  expect(narrow.scrollWidth).toBeGreaterThan(narrow.clientWidth);
  const lines = await table
    .locator('td')
    .first()
    .evaluate((cell) => {
      const range = document.createRange();
      range.selectNodeContents(cell);
      return new Set([...range.getClientRects()].map(({ top }) => Math.round(top))).size;
    });
  expect(lines).toBe(1);
  await table.focus();
  await page.keyboard.press('ArrowRight');
  await expect.poll(() => table.evaluate(({ scrollLeft }) => scrollLeft)).toBeGreaterThan(0);
  expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
  expect(complaints).toEqual([]);
});
