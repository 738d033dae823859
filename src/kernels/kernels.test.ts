/** Every kernel is one thing under one name: shaders/NAME.wgsl and src/kernels/NAME.ts, with the same bindings. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { INCLUDES } from './includes';
import type { Description } from './kernel';

const LIBRARY: Readonly<Record<string, string>> = INCLUDES;
const wgsl = (folder: string) => readdirSync(folder).flatMap((file) => /^(.*)\.wgsl$/.exec(file)?.[1] ?? []);
const names = wgsl('shaders');

const isDescription = (value: unknown): value is Description =>
  typeof value === 'object' && value !== null && 'source' in value && 'bindings' in value;

const modules = import.meta.glob<object>('./*.ts');

async function described(name: string): Promise<Description> {
  const found = Object.values(await modules[`./${name}.ts`]()).filter(isDescription);
  expect(found).toHaveLength(1);
  return found[0];
}

/** A shader and all that it may include, whatever its constants. */
function sources(source: string): string[] {
  const families: Record<string, string> = { $MATRIX: 'matrix-', $SCALING: 'scales' };
  const included = [...source.matchAll(/^#include (\S+)/gm)].flatMap(([, name]) =>
    families[name] ? Object.keys(LIBRARY).filter((one) => one.startsWith(families[name])) : [name],
  );
  return [source, ...included.flatMap((name) => sources(LIBRARY[name]))];
}

/** Bindings by name; a name has one number, and a number one name. */
function declared(source: string): Record<string, number> {
  const text = sources(source).join('\n');
  const found = [...text.matchAll(/@group\(0\) @binding\((\d+)\) var<storage, \w+> (\w+):/g)].map(
    ([, number, name]) => [name, Number(number)] as const,
  );
  expect(found).toHaveLength(text.match(/@binding/g)!.length);
  const bindings = Object.fromEntries(found);
  for (const [name, number] of found) expect([name, number]).toEqual([name, bindings[name]]);
  expect(new Set(Object.values(bindings)).size).toBe(Object.keys(bindings).length);
  return bindings;
}

describe('kernels', () => {
  it.each(names)('%s: the description has the bindings of its shader', async (name) => {
    const { source, bindings } = await described(name);
    expect(source).toBe(readFileSync(`shaders/${name}.wgsl`, 'utf8'));
    expect(bindings).toEqual(declared(source));
    expect(Object.keys(bindings)).not.toEqual([]);
    expect(
      sources(source)
        .join('\n')
        .match(/@binding/g),
    ).toHaveLength(
      sources(source)
        .join('\n')
        .match(/@group\(0\) @binding\(\d+\) var<storage, \w+> \w+:/g)!.length,
    );
  });

  it('include only what there is', () => {
    expect(Object.keys(LIBRARY).sort()).toEqual(wgsl('shaders/lib').sort());
    for (const [name, source] of Object.entries(LIBRARY))
      expect(source).toBe(readFileSync(`shaders/lib/${name}.wgsl`, 'utf8'));
  });
});
