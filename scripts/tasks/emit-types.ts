/**
 * The declarations of what the package exports, in `dist/types/`: with imports that Node's way of resolving finds too,
 * and without those of libraries, for none of them is installed with the package.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const FOLDER = 'dist/types';
const ENTRIES = [
  'index.d.ts',
  'widget/element.d.ts',
  'remote/index.d.ts',
  'worker.d.ts',
  'shapes/openai.d.ts',
  'shapes/ai-sdk.d.ts',
  'shapes/prompt-api.d.ts',
];
const NO_COMMENT = /^(?! *(?:\*|\/)).+$/gm;
const IMPORT = /(\bfrom |\bimport\(|\bimport )(['"])([^'"]+)\2/g;

/**
 * Completes the imports of a file, './spec' to './spec.js' and './engine', a folder, to './engine/index.js', and of
 * what it imports.
 */
function complete(file: string, seen: Set<string>): void {
  if (seen.has(file)) return;
  seen.add(file);
  const completed = (_: string, how: string, quote: string, path: string) => {
    if (!path.startsWith('.')) throw new Error(`${file} needs the types of ${path}: mark what does as @internal.`);
    const target = existsSync(join(dirname(file), `${path}.d.ts`)) ? path : `${path}/index`;
    complete(join(dirname(file), `${target}.d.ts`), seen);
    return `${how}${quote}${target}.js${quote}`;
  };
  const code = readFileSync(file, 'utf8').replace(NO_COMMENT, (line) => line.replace(IMPORT, completed));
  // else a page's own TypeScript would have to be told of it
  const disposable = /\bSymbol\.(d|asyncD)ispose\b/.test(code) ? '/// <reference lib="esnext.disposable" />\n' : '';
  writeFileSync(file, disposable + code);
}

export function emitTypes(): void {
  execFileSync('npx', ['tsc', '-p', 'scripts/tsconfig.types.json'], { stdio: 'inherit' });
  // nobody calls what is in it: it is given to new Worker()
  writeFileSync(join(FOLDER, 'worker.d.ts'), 'export {};\n');
  const reached = new Set<string>();
  for (const entry of ENTRIES) complete(join(FOLDER, entry), reached);
  for (const name of readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })) {
    const file = join(FOLDER, name);
    if (name.endsWith('.d.ts') && !reached.has(file)) rmSync(file);
  }
}
