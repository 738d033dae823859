import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { renderMarkdown, StreamingMarkdown } from './markdown';

const TEXT = `# Rivers

Some **bold**, *thin* and \`code\`.

- one

- two
  - three

1. first
2. second

\`\`\`js
const a = 1;

const b = '<b>';
\`\`\`

| a | b |
|---|---|
| 1 | 2 |

> quoted

Setext
======
The end.`;

/** Compared as text without blanks between tags: the renderer puts a line break after each block. */
const plain = (html: string) => html.replace(/>\s+</g, '><').trim();

describe('StreamingMarkdown', () => {
  test('ends as the whole text would, wherever it was cut', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: TEXT.length }), { maxLength: 12 }), (cuts) => {
        const markdown = new StreamingMarkdown();
        for (const cut of [...cuts].sort((a, b) => a - b)) markdown.update(TEXT.slice(0, cut));
        expect(plain(markdown.update(TEXT).join(''))).toBe(plain(renderMarkdown(TEXT)));
      }),
      { numRuns: 60 },
    );
  });

  test('finished blocks keep their identity', () => {
    const markdown = new StreamingMarkdown();
    const before = markdown.update('# Title\n\nFirst.\n\nSec');
    const after = markdown.update('# Title\n\nFirst.\n\nSecond *and*');
    expect(before).toHaveLength(3);
    expect(after.slice(0, 2)).toEqual(before.slice(0, 2));
    expect(after[2]).toContain('<em>and</em>');
  });

  test('starts over when the text is another one', () => {
    const markdown = new StreamingMarkdown();
    markdown.update('# Title\n\nFirst.\n\nSecond.');
    expect(markdown.update('Other').join('')).toBe(renderMarkdown('Other'));
  });
});

describe('what a model writes is not trusted', () => {
  test.each([
    ['<script>alert(1)</script>', /script/],
    ['<img src=x onerror=alert(1)>', /img|onerror/],
    ['![a](https://evil.example/x.png)', /img|src/],
    ['[a](javascript:alert(1))', /javascript/],
    ['[a](data:text/html,x)', /data:/],
    ['<a href="https://a.example" onclick="x()">a</a>', /onclick/],
    ['<iframe src="https://evil.example"></iframe>', /iframe/],
    ['<p style="background:url(https://evil.example)">a</p>', /style|evil/],
    ['<form action="https://evil.example"><input></form>', /form|input/],
    ['<svg><use href="https://evil.example#a"/></svg>', /svg|use/],
    ['<nibble-chat model="https://evil.example/m/"></nibble-chat>', /nibble/],
  ])('%s', (text, forbidden) => {
    expect(renderMarkdown(text)).not.toMatch(forbidden);
  });

  test('links open elsewhere, and tell nothing', () => {
    const html = renderMarkdown('[a](https://a.example/)');
    expect(html).toContain('href="https://a.example/"');
    expect(html).toContain('rel="noopener noreferrer"');
    expect(html).toContain('target="_blank"');
  });
});
