import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const lines = (text: string) => text.split('\n').filter((line) => line.trim() !== '');

it('the README’s first lines of code are the example that the packaging test builds', () => {
  const [, block = ''] = /```ts\n([\s\S]*?)```/.exec(readFileSync('README.md', 'utf8')) ?? [];
  expect(lines(block)).toEqual(lines(readFileSync('examples/vanilla/main.js', 'utf8')));
});
