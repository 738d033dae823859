import { expect, it } from 'vitest';
import { fixture, readJson } from '../formats/test/files';
import { compile } from './pattern';
import { publishedSplit } from './published-splits';

/** Made by reference/fixtures_regex.py from Rust's tokenizers: patterns, and the lengths of the pieces of each text. */
const { texts, altered } = readJson(fixture('tokenizer/regex.json')) as {
  texts: string[];
  altered: [name: string, pattern: string, ...lengths: string[]][];
};

function pieces(pattern: object, text: string): string[] {
  const cuts = [0];
  for (const found = compile(pattern)(text); found.next(); ) cuts.push(found.start, found.end);
  cuts.push(text.length);
  return cuts.flatMap((cut, i) => (i && cut > cuts[i - 1] ? [text.slice(cuts[i - 1], cut)] : []));
}

it("published patterns on the browser's engine give Rust's pieces", () => {
  const published = altered.filter(([, pattern]) => publishedSplit(pattern) !== null);
  expect(published.map(([name]) => name)).toEqual(
    expect.arrayContaining(['GPT-2', 'cl100k, Llama 3', 'Qwen 2 and 3', 'Qwen 3.5', 'o200k', 'Tekken', 'DeepSeek V3']),
  );
  for (const [name, Regex, ...want] of published) {
    const lengths = texts.map((text) =>
      pieces({ Regex }, text)
        .map((piece) => [...piece].length)
        .map((n) => (n < 36 ? n.toString(36) : `(${n})`))
        .join(''),
    );
    expect([name, ...lengths]).toEqual([name, ...want]);
  }
});

it('a pattern that is a text stands for itself', () => {
  expect(pieces({ String: ' ' }, 'a b  c')).toEqual(['a', ' ', 'b', ' ', ' ', 'c']);
  expect(pieces({ String: 'a.[' }, 'xa.[a.[y a+[')).toEqual(['x', 'a.[', 'a.[', 'y a+[']);
  expect(pieces({ String: '😀' }, '😀😁😀')).toEqual(['😀', '😁', '😀']);
});
