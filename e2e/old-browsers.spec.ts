/** A browser that cannot read the page's script shows no blank page, but which browsers can. */
import { readFileSync } from 'node:fs';
import { Chat, expect, TINY, test } from './product';

const SENTENCE = 'It needs Safari 16.4, Chrome or Edge 111, Firefox 119';

test.describe('where the script is of a later time', () => {
  test.use({
    serverOptions: {
      intercept(_, response, path) {
        if (!/^\/assets\/page-.*\.js$/.test(path)) return false;
        // as a class with a static block is to Safari 16.3
        response.writeHead(200, { 'Content-Type': 'text/javascript' }).end('class A { static future { } }');
        return true;
      },
    },
  });
  test('the page says which browsers it needs', async ({ product, profile }) => {
    const { page } = await profile.open();
    await page.goto(product.site.origin);
    await expect(page.getByRole('alert')).toContainText(SENTENCE);
  });
});

test('a browser that lacks what the page asks for is told so above it, one that has it is not', async ({
  product,
  profile,
}) => {
  const { page, complaints } = await profile.open();
  await page.goto(`${product.site.origin}/?model=${TINY}`);
  await expect(new Chat(page).load).toBeVisible();
  await expect(page.getByText(SENTENCE)).toHaveCount(0);
  await page.addInitScript('delete String.prototype.toWellFormed;');
  await page.reload();
  await expect(page.getByText(SENTENCE)).toBeVisible();
  expect(complaints).toEqual([]);
});

test('the script that says so is written as browsers of 2012 read it', () => {
  const code = readFileSync('public/old-browsers.js', 'utf8').replace(/^\s*\/\/.*$|'[^']*'/gm, '');
  expect(code).not.toMatch(/=>|`|\b(const|let|class|async|import|of)\b|\?\.|\?\?|\.\.\./);
});
