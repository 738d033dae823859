import fc from 'fast-check';
import { html, render } from 'lit';
import { describe, expect, test } from 'vitest';
import { renderMarkdown, StreamingMarkdown } from './markdown';

const TEXT = `# Rivers

Some **bold**, *thin*, ~~gone~~ and \`a < b && c\`. It's 3 > 2 & "so".
Second line.

- one

- two
  - three
- [x] done

2. first
3. second

\`\`\`js
const a = '<b>' && 1;

const b = 2;
\`\`\`

| a | b |
|---|---|
| 1 | **2** |

> quoted

Setext
======
[link](https://a.example/?a=1&b=2) The end.`;

function toHtml(blocks: unknown): string {
  const out = document.createElement('div');
  render(html`${blocks}`, out);
  return (
    out.innerHTML
      .replace(/<!--.*?-->/g, '')
      .replace(/>\s+</g, '><')
      // which has tests of its own
      .replaceAll(' dir="ltr"', '')
      .trim()
  );
}
const markdown = (text: string) => toHtml(renderMarkdown(text));

describe('markdown', () => {
  test('becomes the elements that it says', () => {
    expect(markdown(TEXT)).toBe(
      '<h3>Rivers</h3>' +
        '<p>Some <strong>bold</strong>, <em>thin</em>, <del>gone</del> and <code>a &lt; b &amp;&amp; c</code>. ' +
        'It\'s 3 &gt; 2 &amp; "so".\nSecond line.</p>' +
        '<ul><li><p>one</p></li><li><p>two</p><ul><li>three</li></ul></li><li><p>☑ done</p></li></ul>' +
        '<ol start="2"><li>first</li><li>second</li></ol>' +
        '<div class="code"><nibble-code-head></nibble-code-head>' +
        '<pre tabindex="0"><code>const a = \'&lt;b&gt;\' &amp;&amp; 1;\n\nconst b = 2;</code></pre></div>' +
        '<div class="table" role="region" tabindex="0" aria-label="a, b">' +
        '<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td>1</td><td><strong>2</strong></td></tr></tbody></table></div>' +
        '<blockquote><p>quoted</p></blockquote><h3>Setext</h3>' +
        '<p><a target="_blank" rel="noopener noreferrer" href="https://a.example/?a=1&amp;b=2">link</a> The end.</p>',
    );
  });

  test.each([
    ['<script>alert(1)</script>'],
    ['<img src=x onerror=alert(1)>'],
    ['![a](https://evil.example/x.png)'],
    ['[a](javascript:alert(1))'],
    ['[a](JaVaScRiPt&colon;alert(1))'],
    ['[a](data:text/html,x)'],
    ['[a](//evil.example)'],
    ['<a href="https://a.example" onclick="x()">a</a>'],
    ['text <iframe src="https://evil.example"></iframe>'],
    ['<p style="background:url(https://evil.example)">a</p>'],
    ['<form action="https://evil.example"><input></form>'],
    ['<svg><use href="https://evil.example#a"/></svg>'],
    ['<nibble-chat model="https://evil.example/m/"></nibble-chat>'],
  ])('%s makes no element but links to the web, and fetches nothing', (text) => {
    const out = document.createElement('div');
    render(html`${renderMarkdown(text)}`, out);
    const allowed = ['P', 'A', 'LI', 'UL', 'CODE', 'EM', 'STRONG'];
    const elements = [...out.querySelectorAll('*')];
    expect(elements.filter(({ tagName }) => !allowed.includes(tagName))).toEqual([]);
    for (const element of elements) {
      const names = element.getAttributeNames();
      expect(names.filter((name) => !['href', 'target', 'rel', 'dir'].includes(name))).toEqual([]);
      if (names.includes('href')) expect(element.getAttribute('href')).toMatch(/^https:\/\//);
    }
  });

  test.each([
    ['[a](https:///good.example)', 'https://good.example/', 'a'],
    ['[https://good.example](https://evil.example)', 'https://evil.example/', 'https://evil.example/'],
    ['see <https://\u0430pple.example/x>', 'https://xn--pple-43d.example/x', 'https://xn--pple-43d.example/x'],
    ['www.a.example', 'http://www.a.example/', 'http://www.a.example/'],
    ['![a](https://A.example)', 'https://a.example/', 'a'],
    ['[a](mailto:b@c.example)', 'mailto:b@c.example', 'a'],
    ['me@c.example', 'mailto:me@c.example', 'me@c.example'],
  ])('%s leads to %s, and says %s', (text, address, says) => {
    const out = document.createElement('div');
    render(html`${renderMarkdown(text)}`, out);
    const [link] = out.querySelectorAll('a');
    expect([link.getAttribute('href'), link.textContent?.trim()]).toEqual([address, says]);
  });

  test.each([
    '[a](http://user:pass@host.example/)',
    '[a](http://user@host.example/)',
    'http://user:pass@host.example/',
    '[a](mailto:?body=x)',
    '[a](javascript:alert(1))',
    '[a](ftp://host.example/)',
    '[a](http://)',
    '![a](https://good.example@evil.example)',
  ])('%s is text, as it was written', (text) => expect(markdown(text)).toBe(`<p>${text}</p>`));

  test('HTML in the text is shown as it was written', () => {
    const out = document.createElement('div');
    render(html`${renderMarkdown('a <b>c</b> d')}`, out);
    expect(out.textContent?.trim()).toBe('a <b>c</b> d');
  });
});

describe('StreamingMarkdown', () => {
  test('ends as the whole text would, wherever it was cut', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: TEXT.length }), { maxLength: 12 }), (cuts) => {
        const streaming = new StreamingMarkdown();
        for (const cut of [...cuts].sort((a, b) => a - b)) streaming.update(TEXT.slice(0, cut));
        expect(toHtml(streaming.update(TEXT))).toBe(markdown(TEXT));
      }),
      { numRuns: 60 },
    );
  });

  test('finished blocks are not rendered again', () => {
    const streaming = new StreamingMarkdown();
    const before = streaming.update('# Title\n\nFirst.\n\nSec');
    const after = streaming.update('# Title\n\nFirst.\n\nSecond *and*');
    expect(before.length).toBeGreaterThanOrEqual(3);
    expect(after[0]).toBe(before[0]);
    expect(after.indexOf(before[1])).toBe(1);
    expect(toHtml(after)).toContain('<em>and</em>');
  });

  test('starts over when the text is another one', () => {
    const streaming = new StreamingMarkdown();
    streaming.update('# Title\n\nFirst.\n\nSecond.');
    expect(toHtml(streaming.update('Other'))).toBe('<p>Other</p>');
    expect(streaming.update('')).toEqual([]);
  });
});
