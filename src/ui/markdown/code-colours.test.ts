import { expect, test } from 'vitest';
import { piecesOfCode } from './code-block';
import { coloured, languageOf, type Run } from './code-colours';

const kindsOf = (runs: Run[], kind: string) => runs.filter((run) => run[1] === kind).map(([text]) => text.trim());

test('languages go by their names and by others, in any case', () => {
  expect(['py', 'Python', 'JS', 'c++', 'c#', 'html', 'toml', 'sh'].map(languageOf)).toEqual([
    'python',
    'python',
    'javascript',
    'cpp',
    'csharp',
    'xml',
    'ini',
    'bash',
  ]);
  expect(['', 'klingon', '__proto__', 'constructor'].map(languageOf)).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});

test('words are told apart, and none is lost', async () => {
  const code = 'def f(a: int = 3):  # why\n    return "x" + str(a)\n';
  const [runs] = await coloured([code], 'python');
  expect(runs.map(([text]) => text).join('')).toBe(code);
  expect(kindsOf(runs, 'keyword')).toEqual(['def', 'return']);
  expect(kindsOf(runs, 'comment')).toEqual(['# why']);
  expect(kindsOf(runs, 'string')).toEqual(['"x"']);
  expect(kindsOf(runs, 'number')).toEqual(['3']);
});

test('what goes on in the next piece keeps its colour', async () => {
  const lines = Array.from({ length: 300 }, (_, i) => `   it goes on as "${i}" for a while`).join('\n');
  const code = `/* a comment\n${lines}\n*/\nlet x = \`a\n$\{lines}\`; if (y) { return; }\n`;
  const pieces = piecesOfCode(code);
  expect(pieces.length).toBeGreaterThan(4);
  expect(pieces.join('')).toBe(code);
  const all = await coloured(pieces, 'javascript');
  expect(
    all
      .flat()
      .map(([text]) => text)
      .join(''),
  ).toBe(code);
  for (const runs of all.slice(0, -1)) expect(runs.map(([, kind]) => kind)).toEqual(['comment']);
  expect(kindsOf(all.at(-1)!, 'keyword')).toEqual(['let', 'if', 'return']);
});

test('what stands in another language has its colours', async () => {
  const [runs] = await coloured(['<p class="a">x</p><script>const a = 1;</script>'], 'xml');
  expect(kindsOf(runs, 'keyword')).toContain('const');
  expect(kindsOf(runs, 'number')).toEqual(['1']);
});
