/**
 * The notices that the licences of what is bundled ask for: which packages are in what is shipped is what the bundler
 * says, and their texts are those that they come with.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Plugin } from 'vite';

/** What is shipped by itself. A worker belongs to whatever carries it. */
export type Shipped = 'site' | 'embed' | 'package';

// Each of Vite's configurations has a copy of this module, and a process has one of this.
const shared = globalThis as { nibbleBundled?: Record<Shipped, Set<string>> };
shared.nibbleBundled ??= { site: new Set(), embed: new Set(), package: new Set() };
const found = shared.nibbleBundled;

/** The folder of the package that a module is from; null for our own. */
export const packageOf = (id: string): string | null =>
  /^\0?(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(id.replaceAll('\\', '/'))?.[1] ?? null;

const isNotice = (name: string) => /^(licen[cs]e|copying|notice)/i.test(name);

/** A package's name, version and licence, and the text of it. @throws Error where it comes without one */
function noticeOf(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const texts = readdirSync(folder)
    .filter(isNotice)
    .map((file) => readFileSync(join(folder, file), 'utf8').trim());
  if (texts.join('') === '') throw new Error(`${name} ${version} is bundled, and ${folder} has no licence text.`);
  return `${name} ${version} (${license})\n\n${texts.join('\n\n')}`;
}

/**
 * What is shipped as LICENSES.txt: Nibble's own licence, and those of the packages in these folders.
 * @throws Error where one of them comes without a licence text
 */
export function notices(folders: Iterable<string>): string {
  const parts = [...folders].map(noticeOf).sort();
  return `${[noticeOf('.'), ...parts].join(`\n\n${'-'.repeat(80)}\n\n`)}\n`;
}

/** LICENSES.txt of what has been built so far. @throws Error as notices() does */
export const noticesOf = (shipped: Shipped): string => notices(found[shipped]);

/** Notes which packages are in a build. @param writes the build is all that is shipped: it gets its LICENSES.txt */
export function licences(shipped: Shipped[], writes = false): Plugin {
  return {
    name: 'nibble:licences',
    apply: 'build',
    generateBundle(_, bundle) {
      for (const chunk of Object.values(bundle)) {
        if (chunk.type !== 'chunk') continue;
        for (const [id, { renderedLength }] of Object.entries(chunk.modules)) {
          const folder = packageOf(id);
          if (!folder || renderedLength === 0 || !existsSync(join(folder, 'package.json'))) continue;
          for (const each of shipped) found[each].add(folder);
        }
      }
      if (writes) this.emitFile({ type: 'asset', fileName: 'LICENSES.txt', source: noticesOf(shipped[0]) });
    },
  };
}
