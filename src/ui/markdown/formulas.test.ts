import { describe, expect, test } from 'vitest';
import { seen } from '../test/rendered';
import { BoundedLexer } from './bounded-lexer';
import { formulaAt, withFormulas } from './formulas';
import { renderMarkdown, StreamingMarkdown } from './markdown';
import { DEEPEST } from './render-tokens';

/** The formulas of a text: $ before what stands in a line, $$ before what stands by itself. */
function formulas(text: string): string[] {
  const found: string[] = [];
  const look = (part: unknown): void => {
    if (Array.isArray(part)) part.forEach(look);
    else if (part && typeof part === 'object') {
      const { type, text, display } = part as Record<string, unknown>;
      if (type === 'formula') found.push(`${display ? '$$' : '$'}${text}`);
      else Object.values(part).forEach(look);
    }
  };
  look([...withFormulas(new BoundedLexer(DEEPEST)).lex(text)]);
  return found;
}

describe('a formula is found', () => {
  test.each([
    ['so $x^2$ is', ['$x^2$'.slice(0, -1)]],
    ['so \\(x^2\\) is', ['$x^2']],
    ['so $$x^2$$ is', ['$$x^2']],
    ['\\[\nx_1 * y_1 * z\n\\]', ['$$x_1 * y_1 * z']],
    ['$$\na\n\n+ b\n- c\n$$\n\nand $d$', ['$$a\n\n+ b\n- c', '$d']],
    ['where\n$$\na\n$$\nand', ['$$a']],
    ['- one $a$\n- two **$b$**', ['$a', '$b']],
    ['| a | b |\n|---|---|\n| $x$ | \\(y\\) |', ['$x', '$y']],
    ['> $$q$$\n> end', ['$$q']],
    ['$a_1$ and $a_2$', ['$a_1', '$a_2']],
    ['函数$f(x)$在', ['$f(x)']],
    ['$5$', ['$5']],
    ['$5 \\text{ and } 6$', ['$5 \\text{ and } 6']],
    ['# About $e$', ['$e']],
  ])('in %j', (text, expected) => expect(formulas(text)).toEqual(expected));
});

describe('what only looks like one stays text', () => {
  test.each([
    'It costs $5 and $6.',
    'between $5 and 6$ a day',
    'US$5 and A$6, or $7',
    '$100/month or $200/month',
    '$5-$6, $1,000-$2,000',
    '$HOME and $PATH, $HOME/bin:$PATH',
    '`$a$` and `\\(b\\)`',
    '\\$a\\$',
    '$ a $',
    '$$$$',
    '$a',
    '\\(a',
    '$a\nb$',
    '```sh\necho $a $b$\n```',
    `$${'x'.repeat(1001)}$`,
  ])('%j', (text) => expect(formulas(text)).toEqual([]));

  test('and loses no character', () => {
    expect(seen(renderMarkdown('It costs $5 and $6, or \\(.')).text).toBe('It costs $5 and $6, or (.');
    expect(seen(renderMarkdown('so $x^2$ is')).text).toBe('so $x^2$ is');
  });
});

test('a text that grows has the formulas of the whole one', () => {
  const text = 'so $x^2$, and\n\n$$\na\n$$\n\nthen \\(b\\) for $5.';
  const streaming = new StreamingMarkdown();
  for (let end = 1; end < text.length; end++) streaming.update(text.slice(0, end));
  expect(seen(streaming.update(text)).text).toBe(seen(renderMarkdown(text)).text);
});

test.each(['$a ', '$$a ', '\\( ', '\\[ ', '$', '\\(', '\\\\['])(
  'the end of %j is looked for no further than the next beginning',
  (piece) => {
    const text = piece.repeat(100_000 / piece.length);
    const before = performance.now();
    for (let at = 0; at < text.length; at += piece.length) formulaAt(text.slice(at, at + 4000));
    // a hundred times what it takes, and far less than the square of the text takes
    expect(performance.now() - before).toBeLessThan(10_000);
  },
);
