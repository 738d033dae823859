import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { notices, packageOf } from './licences';

test.each([
  ['/a/node_modules/lit/index.js', '/a/node_modules/lit'],
  ['/a/node_modules/lit/node_modules/@lit/x/lib/y.js', '/a/node_modules/lit/node_modules/@lit/x'],
  ['\0/a/node_modules/marked/lib/marked.js?commonjs', '/a/node_modules/marked'],
  ['/a/src/ui/markdown.ts', null],
  ['\0worker-text.js', null],
])('%j is of %s', (id, folder) => expect(packageOf(id)).toBe(folder));

test('what is bundled has its licence beside our own, or the build fails', () => {
  const text = notices(['node_modules/lit', 'node_modules/marked']);
  expect(text).toMatch(/^nibble-llm .*\(Apache-2.0\)\n\n *Apache License/);
  expect(text).toContain('Copyright (c) 2017 Google LLC');
  expect(text).toMatch(/marked [\d.]+ \(MIT\)[\s\S]*Christopher Jeffrey/);
  const folder = mkdtempSync(join(tmpdir(), 'nibble-licences-'));
  mkdirSync(join(folder, 'bare'));
  writeFileSync(join(folder, 'bare/package.json'), '{"name":"bare","version":"1.0.0","license":"MIT"}');
  expect(() => notices([join(folder, 'bare')])).toThrow(/^bare 1\.0\.0 is bundled, and .* has no licence text\.$/);
  rmSync(folder, { recursive: true });
});
