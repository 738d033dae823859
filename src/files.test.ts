/** How files are written: none is long without a reason, and comments fit a screen. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const FOLDERS = ['src', 'scripts', 'e2e', 'bench', 'shaders', 'examples'];
const LINES = 400;
const COLUMNS = 120;
const REASON = 'It is long because';

const files = [
  ...readdirSync('.').filter((path) => /\.(ts|js)$/.test(path)),
  ...FOLDERS.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.(ts|mjs|js|wgsl)$/.test(path) && !path.includes('node_modules'))
      .map((path) => join(folder, path)),
  ),
];
const textOf = (path: string) => readFileSync(path, 'utf8');

/** The comment at the head of a file, as one line. */
const headOf = (text: string) =>
  /^(?:\/\*\*[\s\S]*?\*\/|(?:\/\/.*\n)+)/.exec(text)?.[0].replace(/\s*\n[ *]*(?:\/\/)?\s*/g, ' ') ?? '';

const tooLong = (text: string) => text.split('\n').length - 1 > LINES && !headOf(text).includes(REASON);

/** Numbers of lines with a comment that is too wide; a comment behind code counts, a text in code does not. */
const tooWide = (text: string) =>
  text
    .split('\n')
    .flatMap((line, i) =>
      line.length > COLUMNS && /^\s*(\/\*|\*|\/\/)|\s\/\/ |\/\*\*/.test(line.replace(/(['"`]).*?\1/g, ''))
        ? [i + 1]
        : [],
    );

test(`a file of more than ${LINES} lines says why at its head: "${REASON} …"`, () => {
  expect(files.length).toBeGreaterThan(500);
  expect(files.filter((path) => tooLong(textOf(path)))).toEqual([]);
  const lines = '1;\n'.repeat(LINES);
  expect(tooLong(lines)).toBe(false);
  expect(tooLong(`1;\n${lines}`)).toBe(true);
  expect(tooLong(`/**\n * A list. It is\n * long because it is one.\n */\n${lines}`)).toBe(false);
  expect(tooLong(`// A list. It is long because it is one.\n${lines}`)).toBe(false);
  expect(tooLong(`${lines}/** It is long because it is one. */\n`)).toBe(true);
});

test(`no comment is wider than ${COLUMNS} columns`, () => {
  expect(files.flatMap((path) => tooWide(textOf(path)).map((line) => `${path}:${line}`))).toEqual([]);
  const wide = 'x'.repeat(COLUMNS);
  expect(tooWide(`// ${wide}\n/** ${wide} */\n * ${wide}\nf(); // ${wide}\nf('// ${wide}');\n// x`)).toEqual([
    1, 2, 3, 4,
  ]);
});
