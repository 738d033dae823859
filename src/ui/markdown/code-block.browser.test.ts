import { html, render } from 'lit';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { page } from 'vitest/browser';
import { MOST_COLOURED } from './code-block';
import { StreamingMarkdown } from './markdown';

let out: HTMLElement;
beforeEach(() => {
  out = document.createElement('div');
  document.body.append(out);
});
afterEach(() => {
  out.remove();
  vi.restoreAllMocks();
});

const streaming = () => {
  const markdown = new StreamingMarkdown();
  return (text: string) => render(html`${markdown.update(text)}`, out);
};
const coloured = (box: ParentNode = out) => box.querySelectorAll('code span[class]:not(.lines)').length;
const codeOf = (lines: number) => Array.from({ length: lines }, (_, i) => `const a${i} = "${i}"; // ${i}`).join('\n');

test('colours come when the code ends, a piece at a time', async () => {
  const show = streaming();
  const code = codeOf(400);
  show(`\`\`\`js\n${code}\n`);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(coloured()).toBe(0);
  const counts: number[] = [];
  new MutationObserver(() => counts.push(coloured())).observe(out, { childList: true, subtree: true });
  show(`\`\`\`js\n${code}\n\`\`\`\n\nEnd.`);
  await expect.poll(() => coloured(), { timeout: 5000 }).toBe(1200);
  expect(new Set(counts).size).toBeGreaterThan(3);
  expect(out.querySelector('code')!.textContent).toBe(code);
});

test('code that has colours keeps them when it is shown again, at once', async () => {
  const text = `\`\`\`js\n${codeOf(90)}\n\`\`\`\n`;
  streaming()(text);
  await expect.poll(() => coloured(), { timeout: 5000 }).toBe(270);
  render(html``, out);
  streaming()(text);
  expect(coloured()).toBe(270);
});

test.each([
  ['more than 20,000 characters', 'js', `${'a = 1;\n'.repeat(MOST_COLOURED / 7 + 1)}`],
  ['a language that is not known', 'klingon', 'a = 1;\n'],
  ['none', '', 'a = 1;\n'],
])('code of %s has no colours', async (_, language, code) => {
  streaming()(`\`\`\`${language}\n${code}\`\`\`\n\nEnd.`);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(coloured()).toBe(0);
});

test('the button copies all of the code, from every box, and says so', async () => {
  const written = vi.spyOn(navigator.clipboard, 'writeText').mockResolvedValue();
  const long = codeOf(2000);
  streaming()(`\`\`\`python\none\n\n  two\n\`\`\`\n\n\`\`\`ts\n${long}\n\`\`\`\n\n\`\`\`\nlast\n\`\`\`\n`);
  expect(out.querySelectorAll('.more').length).toBeGreaterThan(1);
  await expect.element(page.getByText('python')).toBeVisible();
  const buttons = page.getByRole('button', { name: 'Copy code' });
  const copy = async (index: number) => {
    (buttons.nth(index).element() as HTMLElement).focus();
    (buttons.nth(index).element() as HTMLElement).click();
    await expect.poll(() => written.mock.calls.length).toBe(1);
    return written.mock.calls.pop()![0];
  };
  expect(await copy(0)).toBe('one\n\n  two');
  await expect.element(page.getByRole('status').first()).toHaveTextContent('Copied');
  await expect.poll(() => buttons.all().length, { timeout: 4000 }).toBe(3);
  expect(await copy(1)).toBe(long);
  await expect.poll(() => buttons.all().length, { timeout: 4000 }).toBe(3);
  expect(await copy(2)).toBe('last');
  written.mockRejectedValue(new Error('denied'));
  await expect.poll(() => buttons.all().length, { timeout: 4000 }).toBe(3);
  await copy(0);
  await expect.element(page.getByRole('status').first()).toHaveTextContent('Not copied');
});

test('formulas are drawn when they close, and broken ones stay as they were written', async () => {
  const show = streaming();
  show('So $x^2');
  expect(out.textContent).toBe('So $x^2');
  show('So $x^2$ and $\\frac{a$ cost $5 or $6.\n\n$$\n\\sum_i i\n$$\n\nEnd.');
  await expect.poll(() => out.querySelectorAll('math').length, { timeout: 5000 }).toBe(2);
  expect(out.querySelector('p')!.textContent).toContain(' and $\\frac{a$ cost $5 or $6.');
  expect(out.querySelector('.formula math')!.getAttribute('display')).toBe('block');
});

test('a token changes the nodes of the last block alone: code, tables and formulas stay as they are', async () => {
  const show = streaming();
  const blocks = `\`\`\`js\n${codeOf(100)}\n\`\`\`\n\n| a | b |\n|:--|--:|\n| $x$ | \`y\` |\n\n$$\nz\n$$\n\n> a $q$ quote\n\n`;
  show(`${blocks}The`);
  await expect.poll(() => coloured(), { timeout: 5000 }).toBe(300);
  await expect.poll(() => out.querySelectorAll('math').length).toBe(3);
  const changed = new Set<Node>();
  const observer = new MutationObserver((records) => {
    for (const { target } of records) changed.add(target);
  });
  observer.observe(out, { childList: true, characterData: true, subtree: true, attributes: true });
  let text = `${blocks}The`;
  for (const token of ' end *of* it is `near`, and here is $a+b$ and more.'.match(/\s?\S/g)!) {
    text += token;
    show(text);
  }
  await expect.poll(() => out.querySelectorAll('math').length).toBe(4);
  for (const record of observer.takeRecords()) changed.add(record.target);
  const last = out.lastElementChild!;
  expect(last.textContent).toContain('The end of it');
  const outside = [...changed].filter((node) => !last.contains(node) && node !== out && node.isConnected);
  expect(outside).toEqual([]);
  expect(changed.size).toBeLessThan(40);
});

test('code that grows changes its last piece alone', async () => {
  const show = streaming();
  const code = codeOf(300);
  show(`\`\`\`js\n${code}`);
  const observer = new MutationObserver(() => {});
  observer.observe(out, { childList: true, characterData: true, subtree: true, attributes: true });
  for (let i = 0; i < 20; i++) show(`\`\`\`js\n${code}${' more'.repeat(i)}`);
  const pieces = [...out.querySelectorAll('.lines')];
  expect(pieces.length).toBeGreaterThan(3);
  for (const { target } of observer.takeRecords()) expect(pieces.at(-1)!.contains(target)).toBe(true);
});

test('each block has the direction of its own text, and code its own', () => {
  streaming()(
    '\u05e9\u05dc\u05d5\u05dd\n\nHello\n\n- \u0645\u0631\u062d\u0628\u0627\n- one\n\n`x` \u05d0\n\n| a | \u05d0 |\n|---|---|\n| 1 | \u05d1 |\n\n> \u05d0 b\n\n```\n\u05d0\n```\n\n# \u05d0',
  );
  const found = [...out.querySelectorAll('[dir]')].map(
    (element) => `${element.localName} ${element.getAttribute('dir')}`,
  );
  expect(found).toEqual([
    'p rtl',
    'p ltr',
    'ul rtl',
    'li rtl',
    'li ltr',
    'p rtl',
    'code ltr',
    'table ltr',
    'th ltr',
    'th rtl',
    'td ltr',
    'td rtl',
    'blockquote rtl',
    'p rtl',
    'div ltr',
    'h3 rtl',
  ]);
});

test('a table is a region with a name, and its columns are aligned as they say', () => {
  streaming()('| Name | Price |\n|:-:|--:|\n| one | 2 |\n\nEnd.');
  const region = out.querySelector('.table')!;
  expect([region.getAttribute('role'), region.getAttribute('aria-label'), (region as HTMLElement).tabIndex]).toEqual([
    'region',
    'Name, Price',
    0,
  ]);
  expect([...out.querySelectorAll('th, td')].map(({ className }) => className)).toEqual(
    'center right center right'.split(' '),
  );
});
