/** The floor plan of the house (CONTRIBUTING.md), enforced: which folder may import from which. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, expect, test } from 'vitest';

const SRC = 'src';
const PURE = ['model', 'text', 'formats', 'memory', 'lora'];

/** Direct neighbours below each room; a room may import from everything under it. Pure rooms may use each other. */
const BELOW: Record<string, string[]> = {
  chat: ['pwa', 'ui'],
  widget: ['ui'],
  pwa: ['ui'],
  adapters: ['engine'],
  ui: ['engine'],
  engine: [],
  node: ['worker', 'index.ts'],
  worker: ['generate'],
  generate: ['execute'],
  execute: ['kernels', 'memory', 'weights'],
  kernels: ['gpu', ...PURE],
  weights: PURE,
  gpu: [],
  ...Object.fromEntries(PURE.map((room) => [room, PURE.filter((other) => other !== room)])),
  // the library's face
  'index.ts': ['engine', 'adapters', ...PURE],
};

/** Everyone may import these; they import nothing but the types below. */
const HALL = ['protocol.ts', 'errors.ts', 'options'];
/** Types that a message or an option carries, which live where they are explained. */
const TYPE_ONLY: Record<string, string[]> = { 'protocol.ts': ['weights'], engine: ['weights'], model: ['weights'] };

function reachable(room: string, seen = new Set<string>([room])): Set<string> {
  for (const next of BELOW[room] ?? []) {
    if (!seen.has(next)) reachable(next, seen.add(next));
  }
  return seen;
}

const roomOf = (path: string) => relative(SRC, path).split('/')[0];
const withoutComments = (code: string) => code.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:'"`])\/\/.*$/gm, '$1');

/** What is wrong with the imports of one file, as sentences. */
function wrongImports(path: string, code: string): string[] {
  const room = roomOf(path);
  if (!HALL.includes(room) && !(room in BELOW)) return [`${path}: src/imports.test.ts knows no room "${room}"`];
  const wrong: string[] = [];
  const pattern = /\b(?:(import|export)(\s+type)?\b[^'"`;()]*?(?:\bfrom\s*|\s)|import\s*\(\s*)['"]([^'"]+)['"]/g;
  for (const [, , type, target] of withoutComments(code).matchAll(pattern)) {
    if (!target.startsWith('.')) continue;
    let to = roomOf(normalize(join(dirname(path), target)));
    if (to.startsWith('..')) {
      // Out of src: shaders belong to the kernels.
      if (/\.wgsl(\?raw)?$/.test(target) && ['kernels', 'gpu', 'execute'].includes(room)) continue;
      wrong.push(`${path} imports ${target}, outside src/`);
      continue;
    }
    if (HALL.includes(`${to}.ts`) || `${to}.ts` in BELOW) to = `${to}.ts`;
    if (HALL.includes(to) || reachable(room).has(to)) continue;
    if (type && TYPE_ONLY[room]?.includes(to)) continue;
    wrong.push(`${path} imports ${target}: ${room} may not know ${to}`);
  }
  return wrong;
}

const sources = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !/\.(test|d)\.ts$|(^|\/)test(ing)?\//.test(path))
  .map((path) => join(SRC, path));

describe('imports point one way', () => {
  test('in every file of src/', () => {
    expect(sources.length).toBeGreaterThan(10);
    expect(sources.flatMap((path) => wrongImports(path, readFileSync(path, 'utf8')))).toEqual([]);
  });

  test.each([
    ['src/gpu/a.ts', "import { b } from '../model/b';", 'gpu may not know model'],
    ['src/model/a.ts', "import type { b } from '../gpu/b';", 'model may not know gpu'],
    ['src/engine/a.ts', "import { b } from '../worker/b';", 'engine may not know worker'],
    ['src/engine/a.ts', "import { b } from '../weights/source';", 'engine may not know weights'],
    ['src/worker/a.ts', "const b = await import('../engine/b');", 'worker may not know engine'],
    ['src/ui/a.ts', "export * from '../chat/b';", 'ui may not know chat'],
    ['src/formats/a.ts', "import '../weights/b';", 'formats may not know weights'],
    ['src/chat/a.ts', "import {\n  b,\n  c,\n} from '../worker/b';", 'chat may not know worker'],
    ['src/cellar/a.ts', '', 'knows no room'],
    ['src/ui/a.ts', "import x from '../../reference/x.json';", 'outside src/'],
  ])('%s with %s is refused', (path, code, reason) => {
    expect(wrongImports(path, code).join()).toContain(reason);
  });

  test.each([
    ['src/chat/a.ts', "import { b } from '../engine/b';"],
    ['src/worker/a.ts', "import { b } from '../gpu/b'; import { c } from '../errors';"],
    ['src/engine/a.ts', "import type { b } from '../weights/source'; import type { c } from '../protocol';"],
    ['src/kernels/a.ts', "import shader from '../../shaders/a.wgsl';"],
    ['src/ui/a.ts', "// import { b } from '../chat/b';\nimport { html } from 'lit';"],
  ])('%s with %s is fine', (path, code) => {
    expect(wrongImports(path, code)).toEqual([]);
  });
});

describe('pure rooms', () => {
  const BROWSER =
    /\b(?:(?:navigator|document|window|self|caches)\.|indexedDB|localStorage|GPU[A-Z]\w+|fetch\(|postMessage)/;

  test('use no browser API and no GPU', () => {
    const pure = sources.filter((path) => PURE.includes(roomOf(path)));
    const found = pure.flatMap((path) => {
      const match = BROWSER.exec(withoutComments(readFileSync(path, 'utf8')));
      return match ? [`${path} uses ${match[0]}`] : [];
    });
    expect(pure.length).toBeGreaterThan(3);
    expect(found).toEqual([]);
  });
});
