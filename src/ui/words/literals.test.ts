/** No element says anything in English by itself: what a person reads comes from the words of the language. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAst } from 'vite';
import { expect, test } from 'vitest';

/** Names and examples, which are the same in every language. */
const SAME = new Set(['Nibble', 'summary', 'main', 'hf_…', 'org/name, https://…', 'https://host/v1']);

/** Attributes that are read or heard. */
const SAID =
  /(?:^|\s)(?:aria-label|aria-description|aria-valuetext|aria-roledescription|placeholder|title|label|alt)="([^"]*)"/g;

/** Stands for an expression. */
const PUT = '\u0000';

/** A node of ESTree, as far as it is looked at. */
interface Node {
  type?: string;
  tag?: { name?: string };
  quasi?: { quasis: { value: { cooked: string } }[] };
}

/** What a template says that is no expression: the texts between its tags, and attributes that are read. */
function saidBy(parts: readonly string[]): string[] {
  const text = parts.join(PUT).replace(/<(svg|style)\b[\s\S]*?<\/\1>/g, '');
  const texts = text.replace(/<[^>]*>/g, PUT).split(PUT);
  const attributes = [...text.matchAll(SAID)].flatMap(([, value]) => value.split(PUT));
  return [...texts, ...attributes].map((each) => each.trim()).filter((each) => /\p{L}{2}/u.test(each));
}

/** All that the html`` templates of a file say by themselves. */
function literalsOf(code: string): string[] {
  const found: string[] = [];
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    const { type, tag, quasi } = node as Node;
    if (type === 'TaggedTemplateExpression' && tag?.name === 'html')
      found.push(...saidBy(quasi!.quasis.map(({ value }) => value.cooked)));
    for (const child of Object.values(node)) visit(child);
  };
  visit(parseAst(code, { lang: 'ts' }));
  return found.filter((text) => !SAME.has(text));
}

const files = ['src/ui', 'src/chat', 'src/widget'].flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !/\.test\.ts$|(^|\/)(test|demo)\//.test(path))
    .map((path) => join(folder, path)),
);

test('no element has words of its own', () => {
  expect(files.length).toBeGreaterThan(50);
  expect(files.flatMap((path) => literalsOf(readFileSync(path, 'utf8')).map((text) => `${path}: ${text}`))).toEqual([]);
});

test.each([
  ['<p>Hello $</p>', ['Hello']],
  ['<button aria-label="Close it" @click=$>✕</button>', ['Close it']],
  ['<input placeholder="Name of $" />', ['Name of']],
  ['<b>$</b><svg><path d="M1 2abc" /></svg> Nibble', []],
])('%s says %j', (template, said) => {
  // what is put in: an expression
  const code = ['html`', template.replaceAll('$', '$'.concat('{it}')), '`'].join('');
  expect(literalsOf(code)).toEqual(said);
});
