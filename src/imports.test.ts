/** The floor plan of the house (CONTRIBUTING.md), enforced: which folder may import from which. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, expect, test } from 'vitest';

const SRC = 'src';
const PURE = ['model', 'text', 'formats', 'memory', 'lora', 'constraint'];

/** Direct neighbours below each room; a room may import from everything under it. Pure rooms may use each other. */
const BELOW: Record<string, string[]> = {
  chat: ['remote', 'tabs'],
  tabs: ['pwa'],
  widget: ['ui'],
  pwa: ['ui'],
  remote: ['engine', 'sources'],
  ui: ['engine'],
  engine: [],
  shapes: [],
  node: ['runtime', 'index.ts', 'shapes'],
  worker: ['runtime'],
  runtime: ['generate'],
  generate: ['execute'],
  execute: ['kernels', 'memory', 'checkpoint'],
  kernels: ['gpu', ...PURE],
  checkpoint: ['store'],
  store: ['sources'],
  sources: PURE,
  gpu: [],
  ...Object.fromEntries(PURE.map((room) => [room, PURE.filter((other) => other !== room)])),
  // the library's face
  'index.ts': ['remote', ...PURE],
};

/** Everyone may import these; they import nothing but each other and the types below. */
const HALL = ['protocol.ts', 'errors.ts', 'options', 'platform'];
/** Types that a message or an option carries, which live where they are explained. */
const TYPE_ONLY: Record<string, string[]> = {
  'protocol.ts': ['sources'],
  engine: ['sources', 'store'],
  shapes: ['index.ts'],
};

function reachable(room: string, seen = new Set<string>([room])): Set<string> {
  for (const next of BELOW[room] ?? []) {
    if (!seen.has(next)) reachable(next, seen.add(next));
  }
  return seen;
}

const roomOf = (path: string) => relative(SRC, path).split('/')[0];
const withoutComments = (code: string) => code.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:'"`])\/\/.*$/gm, '$1');

interface Import {
  /** of types alone */
  type: boolean;
  target: string;
}

/** All relative imports of a file: static and lazy ones, exports, types. */
function importsOf(code: string): Import[] {
  const pattern = /\b(?:(import|export)(\s+type)?\b[^'"`;()]*?(?:\bfrom\s*|\s)|import\s*\(\s*)['"](\.[^'"]+)['"]/g;
  return [...withoutComments(code).matchAll(pattern)].map(([, , type, target]) => ({ type: Boolean(type), target }));
}

/** What is wrong with the imports of one file, as sentences. */
function wrongImports(path: string, code: string): string[] {
  const room = roomOf(path);
  if (!HALL.includes(room) && !Object.hasOwn(BELOW, room))
    return [`${path}: src/imports.test.ts knows no room "${room}"`];
  const wrong: string[] = [];
  for (const { type, target } of importsOf(code)) {
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

/** Circles of files that import each other, each from where it is entered first. */
function circles(files: ReadonlyMap<string, string>): string[] {
  const targets = (path: string) =>
    importsOf(files.get(path)!)
      .map(({ target }) => normalize(join(dirname(path), target)))
      .flatMap((to) => [to, `${to}.ts`, `${to}/index.ts`].filter((file) => files.has(file)));
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, way: string[]): void => {
    const at = way.indexOf(path);
    if (at >= 0) found.push([...way.slice(at), path].join(' -> '));
    if (at >= 0 || done.has(path)) return;
    for (const to of targets(path)) visit(to, [...way, path]);
    done.add(path);
  };
  for (const path of files.keys()) visit(path, []);
  return found;
}

const sources = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !/\.(test|d)\.ts$|(^|\/)test(ing)?\//.test(path))
  .map((path) => join(SRC, path));

describe('imports point one way', () => {
  test('in every file of src/', () => {
    expect(sources.length).toBeGreaterThan(10);
    expect(sources.flatMap((path) => wrongImports(path, readFileSync(path, 'utf8')))).toEqual([]);
  });

  test('in no circle of files, whether of types or lazy', () => {
    expect(circles(new Map(sources.map((path) => [path, readFileSync(path, 'utf8')])))).toEqual([]);
    const circle = new Map([
      ['src/a/b.ts', "import type { c } from './c';"],
      ['src/a/c.ts', "const d = () => import('../d');"],
      ['src/d/index.ts', "export * from '../a/b';"],
      ['src/e.ts', "import './a/b';"],
    ]);
    expect(circles(circle)).toEqual(['src/a/b.ts -> src/a/c.ts -> src/d/index.ts -> src/a/b.ts']);
  });

  test('between rooms that there are', () => {
    const named = [...Object.entries(BELOW).flat(2), ...HALL, ...Object.entries(TYPE_ONLY).flat(2)];
    expect([...new Set(named)].sort()).toEqual([...new Set(sources.map(roomOf))].sort());
  });

  test.each([
    ['src/gpu/a.ts', "import { b } from '../model/b';", 'gpu may not know model'],
    ['src/model/a.ts', "import type { b } from '../gpu/b';", 'model may not know gpu'],
    ['src/engine/a.ts', "import { b } from '../worker/b';", 'engine may not know worker'],
    ['src/engine/a.ts', "import { b } from '../sources/source';", 'engine may not know sources'],
    ['src/worker/a.ts', "const b = await import('../engine/b');", 'worker may not know engine'],
    ['src/ui/a.ts', "export * from '../chat/b';", 'ui may not know chat'],
    ['src/formats/a.ts', "import '../store/b';", 'formats may not know store'],
    ['src/chat/a.ts', "import {\n  b,\n  c,\n} from '../worker/b';", 'chat may not know worker'],
    ['src/cellar/a.ts', '', 'knows no room'],
    ['src/ui/a.ts', "import x from '../../reference/x.json';", 'outside src/'],
  ])('%s with %s is refused', (path, code, reason) => {
    expect(wrongImports(path, code).join()).toContain(reason);
  });

  test.each([
    ['src/chat/a.ts', "import { b } from '../engine/b';"],
    ['src/worker/a.ts', "import { b } from '../gpu/b'; import { c } from '../errors';"],
    ['src/engine/a.ts', "import type { b } from '../sources/source'; import type { c } from '../protocol';"],
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
