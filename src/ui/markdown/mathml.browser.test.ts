import { expect, test } from 'vitest';
import { draw } from './mathml';

test.each([
  ['x^2', 'msup'],
  ['\\frac{a}{b}', 'mfrac'],
  ['\\sqrt[3]{x}', 'mroot'],
  ['\\sum_{i=1}^n i', 'munderover'],
  ['\\begin{pmatrix} a & b \\\\ c & d \\end{pmatrix}', 'mtable'],
  ['\\begin{align} a &= b \\\\ &= c \\end{align}', 'mtable'],
  ['\\int_0^\\infty e^{-x^2}\\,dx = \\tfrac{\\sqrt\\pi}{2}', 'msubsup'],
  ['\\left(\\vec{v} \\cdot \\hat{n}\\right) \\in \\mathbb{R}', 'mover'],
  ['\\text{if } x \\neq 0', 'mtext'],
  ['\\begin{cases} 1 & x > 0 \\\\ 0 & \\text{else} \\end{cases}', 'mtable'],
  ['a \\equiv b \\pmod{n}', 'mo'],
  ['\\color{red} x', 'mi'],
])('%s is drawn with %s', (text, element) => {
  const drawn = draw(text, true);
  expect(drawn?.localName).toBe('math');
  expect(drawn?.namespaceURI).toBe('http://www.w3.org/1998/Math/MathML');
  expect(drawn?.querySelector(element)).not.toBeNull();
});

test.each([
  ['broken', '\\frac{a}{'],
  ['unknown', '\\nosuchthing{a}'],
  ['unbalanced', 'a}'],
  ['a definition', '\\def\\a{\\a\\a}\\a'],
  ['a new command', '\\newcommand{\\b}{b}\\b'],
  ['deep', `${'\\sqrt{'.repeat(200)}x${'}'.repeat(200)}`],
  ['long', 'x+'.repeat(990)],
  ['over what is before it', 'x\\kern-90em y'],
])('one that is %s stays as it was written', (_, text) => expect(draw(text, false)).toBeNull());

test('what is large is made as large as a formula is', () => {
  const drawn = draw('\\rule{500em}{500em}\\kern900em x', false);
  expect(drawn?.outerHTML).toContain('20em');
  expect(drawn?.outerHTML).not.toMatch(/[59]00em/);
});

test.each([
  '\\href{https://evil.example}{a}',
  '\\href{javascript:alert(1)}{a}',
  '\\url{https://evil.example}',
  '\\includegraphics{https://evil.example/a.png}',
  '\\class{user}{a}',
  '\\id{log}{a}',
  '\\style{position:fixed;inset:0}{a}',
  '\\data{x=y}{a}',
  '\\text{<img src=x onerror=alert(1)>}',
  '\\textcolor{url(https://evil.example)}{a}',
  '\\colorbox{red}{a}',
])('%s leads nowhere, fetches nothing and has no name of ours', (text) => {
  const drawn = draw(text, false);
  for (const element of drawn ? [drawn, ...drawn.querySelectorAll('*')] : []) {
    expect(element.namespaceURI).toBe('http://www.w3.org/1998/Math/MathML');
    expect(element.localName).toMatch(/^m/);
    for (const name of ['href', 'src', 'id', 'onerror', 'xlink:href']) expect(element.hasAttribute(name)).toBe(false);
    expect([...element.attributes].filter(({ name }) => name.startsWith('data-'))).toEqual([]);
    expect((element as MathMLElement).style.cssText).not.toMatch(/url|position/);
    expect(element.classList.contains('user')).toBe(false);
  }
});
