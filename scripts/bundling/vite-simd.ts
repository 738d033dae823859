/**
 * `import wasm from './simd.as.ts?wasm'` gives the bytes of an AssemblyScript file's WebAssembly, compiled here and
 * inlined in hexadecimal digits: longer than base64, but gzipped, as it travels, a quarter shorter; and, as `limits`,
 * which of its bytes tells what memory it takes: 1, or 3 for one that is shared. The compiler takes seconds to start,
 * so what it made is kept in node_modules/.cache by the digest of the source: tests and the several builds of one `npm
 * run build` compile once.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'vite';

const CACHE = fileURLToPath(new URL('../../node_modules/.cache/nibble-simd/', import.meta.url));
/** No runtime and no memory of its own: an instance is bound to the memory that it is given. */
const OPTIONS = {
  optimizeLevel: 3,
  shrinkLevel: 0,
  converge: true,
  runtime: 'stub',
  importMemory: true,
  // pages: as much as 32 bits reach
  maximumMemory: 65536,
  enable: ['simd'],
  noAssert: true,
  noExportMemory: true,
};

/** @throws with the compiler's message */
async function compile(source: string): Promise<Uint8Array> {
  const asc = await import('assemblyscript/asc');
  const { error, stderr, binary } = await asc.compileString(source, OPTIONS);
  // a warning is a mistake, too
  if (error || !binary || String(stderr) !== '')
    throw new Error(`${error?.message ?? 'AssemblyScript warns.'}\n${stderr}`);
  return binary;
}

/** The import of `memory` from `env`, up to the flags of its limits (WebAssembly 2.0, 5.5.5). */
const MEMORY = Buffer.from('\x03env\x06memory\x02', 'latin1').toString('hex');

/** The WebAssembly of a file of AssemblyScript. @throws with the compiler's message */
export async function compiledSimd(path: string): Promise<Uint8Array> {
  const source = await readFile(path, 'utf8');
  const { version } = JSON.parse(
    await readFile(new URL('../../node_modules/assemblyscript/package.json', import.meta.url), 'utf8'),
  );
  const digest = createHash('sha256')
    .update(JSON.stringify([source, version, OPTIONS]))
    .digest('hex');
  const file = `${CACHE}${digest.slice(0, 32)}.wasm`;
  try {
    return await readFile(file);
  } catch {
    const binary = await compile(source);
    await mkdir(CACHE, { recursive: true });
    // whole or not at all: several processes may do this at once
    await writeFile(`${file}.${process.pid}`, binary);
    await rename(`${file}.${process.pid}`, file);
    return binary;
  }
}

export function simd(): Plugin {
  return {
    name: 'nibble:simd',
    enforce: 'pre',
    load: {
      filter: { id: /\.as\.ts\?wasm$/ },
      async handler(id) {
        const path = id.replace(/\?wasm$/, '');
        this.addWatchFile(path);
        const hex = Buffer.from(await compiledSimd(path)).toString('hex');
        return {
          code:
            `export default Uint8Array.from('${hex}'.match(/../g), (byte) => parseInt(byte, 16));` +
            `export const limits = ${hex.indexOf(MEMORY) / 2 + MEMORY.length / 2};`,
          map: null,
        };
      },
    },
  };
}
