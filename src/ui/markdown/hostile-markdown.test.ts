/**
 * What takes a reader of Markdown far too long, or its stack: texts made of the pieces that Markdown is made of, again
 * and again. `NIBBLE_HOSTILE=2000` makes as many of them; a failure prints the seed.
 */
import { Lexer } from 'marked';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { RUNS, SEED } from '../../formats/test/hostile';
import { hostileMarkdown } from '../test/hostile-markdown';
import { type Seen, seen } from '../test/rendered';
import { BoundedLexer } from './bounded-lexer';
import { PIECE } from './long-text';
import { renderMarkdown, StreamingMarkdown } from './markdown';
import { DEEPEST } from './render-tokens';

/** Far more than thirty thousand characters take, in ms: for those that never end. */
const NEVER = 20_000;

afterEach(() => vi.restoreAllMocks());

/** Characters that marked is given while `work` runs. A spy would keep all that it made of them. */
function given(work: () => void): number {
  const { prototype } = BoundedLexer;
  const { lex } = prototype;
  let characters = 0;
  prototype.lex = function (text) {
    characters += text.length;
    return lex.call(this, text);
  };
  try {
    work();
  } finally {
    prototype.lex = lex;
  }
  return characters;
}

const repeated = (piece: string, length: number) => piece.repeat(Math.ceil(length / piece.length)).slice(0, length);

function stream(text: string, step: number): StreamingMarkdown {
  const markdown = new StreamingMarkdown();
  for (let end = step; end < text.length + step; end += step) markdown.update(text.slice(0, end));
  return markdown;
}

const ENDLESS = {
  'a list': '- one and two\n',
  'a loose list': '- one\n\n  two\n\n',
  'a table': `| a | b |\n|---|---|\n${'| 1 | 2 |\n'.repeat(30_000)}`,
  'a fence': `\`\`\`js\n${'const a = 1;\n'.repeat(30_000)}`,
  'a quote': '> one and two\n',
  'one word': 'a',
  'one line': 'one *two* `three` [four](https://a.example) ',
  definitions: '[a]: https://a.example\n\n[a]\n\n',
  prose: 'One and two.\nThree.\n\n',
};

describe.each(Object.entries(ENDLESS))('%s without an end', (_, piece) => {
  test('gives marked no more than twice as much where it is twice as long, piece by piece', () => {
    const work = (length: number) => given(() => void stream(repeated(piece, length), 100));
    const half = work(8000);
    expect(work(16_000)).toBeLessThanOrEqual(2.5 * half);
  });

  test('and is read about once as a whole', () => {
    expect(given(() => void renderMarkdown(repeated(piece, 50_000)))).toBeLessThanOrEqual(125_000);
  });
});

describe('runs of one kind', () => {
  test.each(['>', '> ', '- ', '1. ', '> - ', '> 1. ', '- > ', '**a ', '*a **', '[', '[[a](b)', '_a *b '])(
    '3,000 times %j goes no deeper than is allowed, and loses no letter',
    (piece) => {
      const { text, depth } = seen(renderMarkdown(`${piece.repeat(3000)}end`));
      expect(depth).toBeLessThanOrEqual(2 * DEEPEST + 2);
      expect(text).toMatch(/end$/);
    },
  );

  test('a level is a level up to the last one', () => {
    const quoted = (levels: number) => seen(renderMarkdown(`${'>'.repeat(levels)} end`));
    expect([quoted(50).depth, quoted(50).text]).toEqual([51, 'end']);
    expect(quoted(DEEPEST - 1).text).toBe('end');
    expect(quoted(DEEPEST + 50).text).toMatch(/^>{49,52} end$/);
  });

  test.each(['a', 'a.', '!', 'a@', 'a@b', 'a-', 'www.', 'http://a.', '![', '[a](', 'a_', '&', '<a@', '\\'])(
    '30,000 characters of %j end, in the middle of a word and before an @',
    (piece) => {
      const text = repeated(piece, 30_000);
      const before = performance.now();
      for (const hostile of [text, `${text}@b`, `${text}@b.example end`]) renderMarkdown(hostile);
      expect(performance.now() - before).toBeLessThan(NEVER);
    },
  );

  test('for an address, marked looks no further than one goes', () => {
    const { text, url } = Lexer.rules.inline.gfm;
    expect([text.source, url.source].join()).not.toMatch(/\]\+\(?@/);
    const hrefs = (local: string) => seen(renderMarkdown(`to ${local}@b.example now`)).hrefs;
    expect(hrefs('a'.repeat(64))).toEqual([`mailto:${'a'.repeat(64)}@b.example`]);
    expect(hrefs(`${'a'.repeat(300)}`).join()).not.toContain('a'.repeat(65));
  });
});

test('what marked gives up, and what cannot be drawn, is shown as it was written, and the rest as ever', () => {
  const text = `# One\n\n${'> a\n'.repeat(PIECE / 4)}\n\n# Two`;
  const lex = vi.spyOn(BoundedLexer.prototype, 'lex').mockImplementationOnce(() => {
    throw new RangeError('Maximum call stack size exceeded');
  });
  const shown = seen(renderMarkdown(text));
  expect(lex).toHaveBeenCalled();
  expect(shown.text).toContain('# One\n\n> a\n> a');
  expect(shown.text).toMatch(/Two$/);
  lex.mockImplementationOnce(() => [{ type: 'list', raw: 'as it was' }] as never);
  expect(seen(renderMarkdown('as it was')).text).toBe('as it was');
});

test('code and tables that are longer than a piece go on as what they are', () => {
  const code = Array.from({ length: 3000 }, (_, i) => `# line ${i} *a*`).join('\n');
  const all = seen(renderMarkdown(`\`\`\`\`py\n${code}\n\`\`\`\`\n\nThe *end*.`));
  expect([...all.tags].sort()).toEqual(['code', 'div', 'em', 'nibble-code-head', 'p', 'pre', 'span']);
  expect(all.text.replaceAll('\n', '')).toBe(`${code.replaceAll('\n', '')}The end.`);
  const rows = seen(renderMarkdown(`| a | b |\n|---|---|\n${'| 1 | *2* |\n'.repeat(2000)}\nThe end.`));
  expect(rows.text).not.toContain('|');
  expect(rows.text.match(/12/g)).toHaveLength(2000);
});

test('with leave for a piece at a time a long text comes piece by piece, in order', () => {
  const text = repeated('One *two*.\n\n', 10 * PIECE);
  const markdown = new StreamingMarkdown();
  let turns = 0;
  let before = '';
  do {
    const { text: shown } = seen(markdown.update(text, { left: PIECE }));
    expect(shown.startsWith(before)).toBe(true);
    before = shown;
  } while (markdown.behind && ++turns < 1000);
  expect(turns).toBeGreaterThan(8);
  expect(before).toBe(seen(renderMarkdown(text)).text);
});

const TAGS =
  'h3 h4 h5 ol ul li table thead tbody tr th td p pre code blockquote hr br strong em del a div span nibble-code-head'.split(
    ' ',
  );

test(`${RUNS} texts of Markdown's own pieces are read, piece by piece and as a whole, from the seed ${SEED}`, () => {
  for (const [i, { said, text, take }] of hostileMarkdown(SEED, RUNS).entries()) {
    const before = process.cpuUsage().user;
    const whole = given(() => {
      const { hrefs, tags, depth } = take() as Seen;
      for (const href of hrefs) expect(href, said).toMatch(/^(https?:\/\/[^/@]+|mailto:[^/]+@.)/);
      expect(
        [...tags].filter((tag) => !TAGS.includes(tag)),
        said,
      ).toEqual([]);
      expect(depth, said).toBeLessThanOrEqual(2 * DEEPEST + 2);
    });
    expect(whole, said).toBeLessThanOrEqual(4 * text.length + PIECE);
    const pieces = 2 + (i % 19);
    const step = Math.ceil(text.length / pieces);
    expect(
      given(() => void stream(text, step)),
      said,
    ).toBeLessThanOrEqual(4 * text.length + 2 * (pieces + 1) * PIECE);
    expect((process.cpuUsage().user - before) / 1000, said).toBeLessThan(NEVER);
  }
});
