/**
 * `import source from './kernel.wgsl'` (or `.wgsl?raw`) gives the shader's text. A build drops comments and spare
 * blanks and shortens names; the dev server and the tests keep the file as it is, so that a compile error's line is the
 * file's line.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'vite';

/**
 * WGSL without comments (block comments nest) and without blanks that separate nothing. Lines that start with # stay
 * lines.
 */
export function minifyWgsl(source: string): string {
  let text = '';
  let depth = 0;
  for (let i = 0; i < source.length; i++) {
    const two = source.slice(i, i + 2);
    if (two === '/*') {
      depth++;
      i++;
    } else if (depth > 0) {
      if (two === '*/') {
        depth--;
        i++;
        if (depth === 0) text += ' ';
      }
    } else if (two === '//') {
      while (i + 1 < source.length && source[i + 1] !== '\n') i++;
    } else {
      text += source[i];
    }
  }
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) =>
      line.startsWith('#')
        ? line
        : line
            .replace(/\s+/g, ' ')
            // products and the like of `a += b`: a pointer's star has no blank behind it
            .replace(/(?<=[\w)\]]) (?:\* (?=[\w($])|([-+*|])=)/g, (op, assigned) => (assigned ? op.trim() : '*'))
            .replace(/ ?([{}()[\];:,=<>!|&^%?]) ?/g, '$1'),
    )
    .join('\n');
}

/** Words of WGSL that a name may be, too: address spaces, access modes, and the entry point that pipelines ask for. */
const KEPT = ['workgroup', 'storage', 'private', 'uniform', 'function', 'read', 'write', 'read_write', 'main'];
/** Two letters that are words of WGSL. */
const WORDS = /^(as|do|fn|if|in|is|of)$/;
/** What declares a name, of a #repeat the part before its index: sum$h_$r is a sum. */
const DECLARED =
  /\b(?:fn|let|const|alias|struct|var(?:<[^>]*>)?) ?([A-Za-z_]+)|[({,]([a-z][A-Za-z_]+)(?=(?:\$\w|\d|_)*:)/g;
/** A word, but no constant ($ROWS), attribute or type of a number. */
const WORD = /(?<![\w$@])[A-Za-z_]+/g;

/**
 * A name of one or two letters for each that shaders declare, the most frequent ones first: the same in all, as they
 * include each other. What is called and nowhere declared as a function is WGSL's own and keeps its name.
 * @param sources minified
 */
export function shortNames(sources: readonly string[]): Map<string, string> {
  const text = sources.join('\n').replace(/^#.*$/gm, '');
  const functions = new Set([...text.matchAll(/\bfn ([A-Za-z_]+)/g)].map(([, name]) => name));
  const called = new Set([...text.matchAll(/([A-Za-z_]+)\(/g)].map(([, name]) => name));
  const declared = new Set([...text.matchAll(DECLARED)].map(([, name, parameter]) => name ?? parameter));
  const counts = new Map<string, number>();
  for (const [word] of text.matchAll(WORD)) counts.set(word, (counts.get(word) ?? 0) + 1);
  const renamed = [...declared]
    .filter((name) => name.length > 2 && !KEPT.includes(name) && (functions.has(name) || !called.has(name)))
    .sort((a, b) => (counts.get(b) ?? 0) - (counts.get(a) ?? 0) || (a < b ? -1 : 1));
  const letters = [...'abcdefghijklmnopqrstuvwxyz'];
  const free = [
    ...letters.map((one) => one.toUpperCase()),
    ...letters.flatMap((one) => letters.map((two) => one + two)),
  ].filter((name) => !WORDS.test(name) && !counts.has(name));
  return new Map(renamed.slice(0, free.length).map((name, i) => [name, free[i]]));
}

/** A minified shader with the short names. */
export const withShortNames = (source: string, names: ReadonlyMap<string, string>): string =>
  source
    .split('\n')
    .map((line) => (line.startsWith('#') ? line : line.replace(WORD, (word) => names.get(word) ?? word)))
    .join('\n');

const SHADERS = fileURLToPath(new URL('../../shaders', import.meta.url));

/** The names of all shaders there are. */
export const namesOfAll = (): Map<string, string> =>
  shortNames(
    (readdirSync(SHADERS, { recursive: true }) as string[])
      .filter((file) => file.endsWith('.wgsl'))
      .sort()
      .map((file) => minifyWgsl(readFileSync(join(SHADERS, file), 'utf8'))),
  );

export function wgsl(): Plugin {
  let names: Map<string, string> | null = null;
  return {
    name: 'nibble:wgsl',
    enforce: 'pre',
    configResolved(config) {
      if (config.command === 'build') names = namesOfAll();
    },
    load: {
      filter: { id: /\.wgsl(\?raw)?$/ },
      handler(id) {
        const path = id.replace(/\?raw$/, '');
        this.addWatchFile(path);
        const source = readFileSync(path, 'utf8');
        const text = names ? withShortNames(minifyWgsl(source), names) : source;
        return { code: `export default ${JSON.stringify(text)};`, map: null };
      },
    },
  };
}
