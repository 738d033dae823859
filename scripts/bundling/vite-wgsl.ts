/**
 * `import source from './kernel.wgsl'` (or `.wgsl?raw`) gives the shader's text. A build drops comments and spare
 * blanks, and has short names; the dev server and the tests keep the file as it is, so that a compile error's line is
 * the file's line.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'vite';

const SHADERS = fileURLToPath(new URL('../../shaders', import.meta.url));

/** Every shader, by its path in shaders/, without what separates nothing. */
export async function minifiedShaders(): Promise<Map<string, string>> {
  const files = (await readdir(SHADERS, { recursive: true })).filter((file) => file.endsWith('.wgsl')).sort();
  return new Map(
    await Promise.all(
      files.map(
        async (file) => [join(SHADERS, file), minifyWgsl(await readFile(join(SHADERS, file), 'utf8'))] as const,
      ),
    ),
  );
}

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

/** What declares a name: a keyword before it, or its type behind it. */
const DECLARED = /\b(?:let|var|const|fn|struct|alias)(?:<[^>]*>)? ([A-Za-z]\w*)|(?<=[({,)]\s?)([A-Za-z]\w*)(?=:)/g;
/** A constant of the preprocessor, which is kept, or a name, without the index that it may end with. */
const NAME = /\$\w+|(?<!\w)[A-Za-z](?:\w*[A-Za-z])?/g;
const INDEX = /[\d_]+$/;
/** What WGSL itself calls so: the entry point that pipelines look for, parts of a vector, functions, attributes. */
const KEPT = /^(main|[xyzw]+|[rgba]+|read|step|mix|round|size|length|sign|distance|normalize|select|group)$/;
const BUILTIN = /@builtin\((\w+)\)/g;

/**
 * A short name for each that the shaders declare, the same in all of them, as they include each other. They begin with
 * a capital, as nothing of WGSL does. Test: every shader is valid with them (kernels/alone.gpu.test.ts).
 * @param sources minified
 */
export function shortNames(sources: Iterable<string>): Map<string, string> {
  const all = [...sources].join('\n');
  const builtins = new Set([...all.matchAll(BUILTIN)].map(([, name]) => name));
  const uses = new Map<string, number>();
  for (const [, keyword, typed] of all.matchAll(DECLARED)) {
    const name = (keyword ?? typed).replace(INDEX, '');
    if (name.length > 2 && !KEPT.test(name) && !builtins.has(name)) uses.set(name, 0);
  }
  const taken = new Set<string>();
  for (const [name] of all.matchAll(NAME)) {
    const count = uses.get(name);
    if (count === undefined) taken.add(name);
    else uses.set(name, count + 1);
  }
  const capitals = Array.from({ length: 26 }, (_, i) => String.fromCharCode(65 + i));
  const free = [...capitals, ...capitals.flatMap((a) => capitals.map((b) => a + b.toLowerCase()))].filter(
    (name) => !taken.has(name),
  );
  // the most used first; of the same number by the alphabet, so that a build is the same again
  const names = [...uses].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  return new Map(names.slice(0, free.length).map(([name], i) => [name, free[i]]));
}

/** The text with these names, but for the preprocessor's lines. */
export const withNames = (source: string, names: ReadonlyMap<string, string>): string =>
  source
    .split('\n')
    .map((line) => (line.startsWith('#') ? line : line.replace(NAME, (name) => names.get(name) ?? name)))
    .join('\n');

/** The module that has all shaders, where they stand together. */
const ALL = 'nibble:shaders';

/**
 * @param options together: a build of one file has all shaders in one place, and before all else, as gzip looks 32 KiB
 * back: it finds what they share, and what the code around them does. 2 KB less of the worker
 */
export function wgsl({ together = false } = {}): Plugin {
  let build = false;
  /** of a build, by path */
  let texts: Promise<Map<string, string>> | undefined;
  const shortened = async () => {
    const sources = await minifiedShaders();
    const names = shortNames(sources.values());
    return new Map([...sources].map(([path, source]) => [path, withNames(source, names)]));
  };
  return {
    name: 'nibble:wgsl',
    enforce: 'pre',
    configResolved(config) {
      build = config.command === 'build';
    },
    resolveId: {
      filter: { id: /^nibble:shaders$/ },
      handler: () => `\0${ALL}`,
    },
    transform(code, id) {
      if (!together || !build || !this.getModuleInfo(id)?.isEntry) return null;
      return { code: `import '${ALL}';${code}`, map: null };
    },
    load: {
      filter: { id: /\.wgsl(\?raw)?$|^\0nibble:shaders$/ },
      async handler(id) {
        texts ??= build ? shortened() : undefined;
        const all = await texts;
        if (id === `\0${ALL}`) {
          const lines = [...all!.values()].map((text, i) => `export const shader${i} = ${JSON.stringify(text)};`);
          return { code: lines.join('\n'), map: null };
        }
        const path = id.replace(/\?raw$/, '');
        this.addWatchFile(path);
        if (all && together) {
          const at = [...all.keys()].indexOf(path);
          return { code: `export { shader${at} as default } from '${ALL}';`, map: null };
        }
        const source = all?.get(path) ?? (await readFile(path, 'utf8'));
        return { code: `export default ${JSON.stringify(source)};`, map: null };
      },
    },
  };
}
