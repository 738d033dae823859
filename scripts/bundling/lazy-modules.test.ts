import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';
import { AT_ONCE, chunkName, EXECUTORS, LATER } from './lazy-modules';

const listed = [...Object.keys(LATER), ...EXECUTORS, ...AT_ONCE];

test('what the code imports lazily is listed, and nothing else', () => {
  const sources = readdirSync('src', { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !/\.test\.ts$|(^|\/)test\/|^node\//.test(path))
    .map((path) => join('src', path));
  const lazy = sources.flatMap((path) =>
    [...readFileSync(path, 'utf8').matchAll(/(?<!typeof )\bimport\('(\.[^']+)'\)/g)].map(([, to]) =>
      relative('src', join(dirname(path), to)),
    ),
  );
  expect([...new Set(lazy)].sort()).toEqual([...listed].sort());
});

test('no two are called the same in a build', () => {
  expect(new Set(listed.map(chunkName)).size).toBe(listed.length);
});
