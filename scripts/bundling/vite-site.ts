/** Small Vite plugins of the chat page's build. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Plugin } from 'vite';
import { digestOf, type Shell } from '../../src/pwa/shell.ts';

/** Copies `public/` into the build, without the folders in `except`: the models are served from where they are. */
export function copyPublic(folder: string, except: string[]): Plugin {
  return {
    name: 'nibble:public',
    apply: 'build',
    generateBundle() {
      for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
        const path = join(entry.parentPath, entry.name);
        const fileName = path.slice(folder.length + 1);
        if (!entry.isFile() || except.some((name) => fileName.startsWith(`${name}/`))) continue;
        this.emitFile({ type: 'asset', fileName, source: readFileSync(path) });
      }
    },
  };
}

/**
 * Writes the list of the build's files into the service worker, in place of `__SHELL__`: a version (a digest over all
 * of them, so that any change is a new version), and the digest of each.
 */
export function serviceWorker(fileName: string): Plugin {
  return {
    name: 'nibble:service-worker',
    apply: 'build',
    enforce: 'post',
    generateBundle: {
      order: 'post',
      async handler(_, bundle) {
        const version = createHash('sha256');
        const shell: Shell = { version: '', files: {} };
        for (const path of Object.keys(bundle).sort()) {
          const file = bundle[path];
          if (path === fileName) continue;
          const content = file.type === 'chunk' ? file.code : file.source;
          version.update(path).update(content);
          shell.files[path] = await digestOf(path, Buffer.from(content));
        }
        shell.version = version.digest('hex').slice(0, 16);
        const worker = bundle[fileName];
        if (worker?.type !== 'chunk' || !worker.code.includes('__SHELL__')) {
          this.error(`${fileName} does not mention __SHELL__.`);
        }
        worker.code = worker.code.replace('__SHELL__', JSON.stringify(shell));
      },
    },
  };
}

/**
 * Writes a Content-Security-Policy into the built pages, for servers that send none. The dev server has scripts inline.
 */
export function policy(csp: string): Plugin {
  return {
    name: 'nibble:policy',
    apply: 'build',
    transformIndexHtml: () => [
      { tag: 'meta', attrs: { 'http-equiv': 'Content-Security-Policy', content: csp }, injectTo: 'head-prepend' },
    ],
  };
}
