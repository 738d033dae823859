/**
 * `import source from './kernel.wgsl'` (or `.wgsl?raw`) gives the shader's text. A build drops comments and spare
 * blanks; the dev server and the tests keep the file as it is, so that a compile error's line is the file's line.
 */
import { readFile } from 'node:fs/promises';
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

export function wgsl(): Plugin {
  let build = false;
  return {
    name: 'nibble:wgsl',
    enforce: 'pre',
    configResolved(config) {
      build = config.command === 'build';
    },
    load: {
      filter: { id: /\.wgsl(\?raw)?$/ },
      async handler(id) {
        const path = id.replace(/\?raw$/, '');
        this.addWatchFile(path);
        const source = await readFile(path, 'utf8');
        return { code: `export default ${JSON.stringify(build ? minifyWgsl(source) : source)};`, map: null };
      },
    },
  };
}
