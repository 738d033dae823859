/** Small Vite plugins of the chat page's build. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, type Plugin, type Rolldown } from 'vite';
import { digestOf, type Shell } from '../../src/pwa/shell.ts';
import { licences } from './licences.ts';

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
 * pdf.js's character maps, which it asks for by name, as `pdf/cmaps/`: in the build as files, and from the dev server.
 */
export function characterMaps(): Plugin {
  const folder = 'node_modules/pdfjs-dist/cmaps';
  const at = 'pdf/cmaps/';
  return {
    name: 'nibble:character-maps',
    generateBundle() {
      for (const name of readdirSync(folder))
        this.emitFile({ type: 'asset', fileName: at + name, source: readFileSync(join(folder, name)) });
    },
    configureServer({ middlewares }) {
      middlewares.use(`/${at}`, (request, response, next) => {
        const name = request.url?.slice(1) ?? '';
        if (!readdirSync(folder).includes(name)) return next();
        response.end(readFileSync(join(folder, name)));
      });
    },
  };
}

/** One classic script: what it shares with the page would be a chunk otherwise, which it could not import. */
async function buildServiceWorker(source: string): Promise<string> {
  const { output } = (await build({
    configFile: false,
    logLevel: 'warn',
    plugins: [licences(['site'])],
    build: { write: false, target: 'es2022', rolldownOptions: { input: source, output: { format: 'iife' } } },
  })) as Rolldown.RolldownOutput;
  const [script, ...others] = output;
  if (others.length > 0 || !script.code.includes('__SHELL__'))
    throw new Error(`${source} is more than one script, or does not mention __SHELL__.`);
  return script.code;
}

/**
 * Builds the service worker, with the list of the build's files in place of `__SHELL__`: a version (a digest over all
 * of them, so that any change is a new version), and the digest of each.
 */
export function serviceWorker(source: string, fileName: string): Plugin {
  let script = '';
  return {
    name: 'nibble:service-worker',
    apply: 'build',
    enforce: 'post',
    async buildStart() {
      script = await buildServiceWorker(source);
    },
    generateBundle: {
      order: 'post',
      async handler(_, bundle) {
        const version = createHash('sha256');
        const shell: Shell = { version: '', files: {} };
        for (const path of Object.keys(bundle).sort()) {
          const file = bundle[path];
          const content = file.type === 'chunk' ? file.code : file.source;
          version.update(path).update(content);
          shell.files[path] = await digestOf(path, Buffer.from(content));
        }
        shell.version = version.digest('hex').slice(0, 16);
        const source = script.replace('__SHELL__', () => JSON.stringify(shell));
        this.emitFile({ type: 'asset', fileName, source });
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
