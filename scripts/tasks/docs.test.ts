import { existsSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../src/node/commands';
import { pages } from './commands';
import { optionsPage, undocumented } from './docs';
import { prose } from './docs-prose';
import { widgetPage } from './widget-docs';

it('docs/options.md is what the schema says: else run `node scripts/run.mjs docs`', () => {
  expect(readFileSync('docs/options.md', 'utf8')).toBe(optionsPage());
});

it('the tables of docs/widget.md are what the element has: else run `node scripts/run.mjs docs`', () => {
  expect(readFileSync('docs/widget.md', 'utf8')).toBe(widgetPage());
});

it('public names without a docstring are found, members too', () => {
  const docComment = '/**\n * It is said.\n */\n';
  const items = [
    { kind: 'Interface', name: 'A', docComment, members: [{ kind: 'PropertySignature', name: 'b', docComment: '' }] },
    { kind: 'Class', name: 'C', members: [{ kind: 'Method', name: 'd', docComment }] },
    { kind: 'Function', name: 'e', docComment },
  ];
  expect(undocumented(items)).toEqual(['A.b', 'C']);
});

describe('a docstring becomes prose', () => {
  it.each([
    ['/**\n * Two lines\n * are one.\n */\n', 'Two lines are one.'],
    [
      '/**\n * Words.\n *\n * @param a - the first\n *\n * @returns nothing\n */',
      'Words.\n`a`: the first.\nReturns nothing.',
    ],
    ['/**\n * Words. @throws this, that\n */', 'Words.\nThrows this, that.'],
    ['/**\n * @deprecated\n *\n * another name.\n */', 'Deprecated: another name.'],
    ['/**\n * A list.\n * - one\n *   and more\n * - two\n */', 'A list.\n- one and more\n- two'],
  ])('%j', (comment, text) => expect(prose(comment)).toBe(text));
});

/** The names under which GitHub finds a page's headings. */
const anchors = (text: string) =>
  [...text.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
    title
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );

it.each(pages())('links of $page lead somewhere', ({ page, text }) => {
  const links = [...text.matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)];
  for (const [whole, path, anchor] of links) {
    const target = path ? posix.join(posix.dirname(page), path) : page;
    expect(existsSync(target), whole).toBe(true);
    if (anchor) expect(anchors(readFileSync(target, 'utf8')), whole).toContain(anchor);
  }
});

const scenarios = pages().flatMap(({ page, text }) =>
  [...text.matchAll(/`(e2e\/[\w-]+\.spec\.ts) › ([^`]+)`/g)].map(([, spec, title]) => ({ page, spec, title })),
);

it('a page names scenarios', () => expect(scenarios.length).toBeGreaterThan(10));

it.each(scenarios)('$page: $spec has “$title”', ({ spec, title }) => {
  const tests = readFileSync(spec, 'utf8').matchAll(/\btest\(\s*(['`])(.*?)\1,/gs);
  expect([...tests].map(([, , named]) => named)).toContain(title);
});

/** What a pattern finds in a file of src/: its first group, or a list in it. */
const namesIn = (file: string, pattern: RegExp) =>
  [...readFileSync(`src/${file}`, 'utf8').matchAll(pattern)].flatMap(([, names]) =>
    names.split(/[,'\s]+/).filter(Boolean),
  );

it.each([
  ['docs/widget.md', 'attributes', namesIn('widget/attributes.ts', /const OWN = \[([^\]]*)\]/g)],
  ['docs/widget.md', 'events', namesIn('widget/frame/messages.ts', /const EVENTS = \[([^\]]*)\]/g)],
  ['docs/widget.md', 'parts', namesIn('widget/nibble-chat.ts', /\b(?:export)?parts?="([^"]*)"/g)],
  ['docs/widget.md', 'custom properties', namesIn('ui/theme.ts', /var\((--nibble-[\w-]+)/g)],
  ['docs/widget.md', "the panel's properties", namesIn('widget/panel-styles.ts', /var\((--nibble-[\w-]+)/g)],
])('%s has all %s', (page, _, names) => {
  const text = readFileSync(page, 'utf8');
  expect(names.length).toBeGreaterThan(3);
  for (const name of names) expect(text).toContain(`\`${name}\``);
});

it('docs/cli.md has all commands', () => {
  const text = readFileSync('docs/cli.md', 'utf8');
  for (const name of Object.keys(COMMANDS)) expect(text).toContain(`| \`npx nibble ${name} `.trimEnd());
});
