/** The declarations of what the package exports, in `dist/types/`, with imports that Node's way of resolving finds too. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const FOLDER = 'dist/types';
const RELATIVE = /(\bfrom |\bimport\(|\bimport )(['"])(\.{1,2}\/[^'"]+)\2/g;

/** './spec' becomes './spec.js', and './engine', a folder, './engine/index.js'. */
function withExtensions(file: string): string {
  return readFileSync(file, 'utf8').replace(RELATIVE, (whole, how, quote, path) => {
    if (path.endsWith('.js')) return whole;
    const target = existsSync(join(dirname(file), `${path}.d.ts`)) ? `${path}.js` : `${path}/index.js`;
    return `${how}${quote}${target}${quote}`;
  });
}

export function emitTypes(): void {
  execFileSync('npx', ['tsc', '-p', 'scripts/tsconfig.types.json'], { stdio: 'inherit' });
  for (const name of readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })) {
    if (name.endsWith('.d.ts')) writeFileSync(join(FOLDER, name), withExtensions(join(FOLDER, name)));
  }
  // nobody calls what is in it: it is given to new Worker()
  writeFileSync(join(FOLDER, 'worker.d.ts'), 'export {};\n');
}
