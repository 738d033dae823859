/**
 * What files and servers that mean ill cost: seconds, resident memory above that before, bytes asked for, and how it
 * ends. Each case in a process of its own.
 *
 *   node scripts/run.mjs ../bench/hostile-files [--only TEXT]
 */
import { spawnSync } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { openSafetensorsFolder } from '../src/formats/folder';
import { readHeader } from '../src/formats/safetensors';
import { createHttpSource } from '../src/sources/http-source';
import { createMemorySource } from '../src/sources/memory-source';
import { readManifest } from '../src/store/manifest';
import { fromHere, resident } from './resident';

const safetensors = (text: string): Uint8Array => {
  const bytes = new Uint8Array(8 + text.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  Buffer.from(bytes.buffer).write(text, 8, 'latin1');
  return bytes;
};
const header = (text: string) => async () => {
  const bytes = safetensors(text);
  return () => readHeader('m', async (_, start, end) => bytes.slice(start, end), bytes.length);
};
const folder = (path: string, text: string) => async () => {
  const bytes = new Uint8Array(Buffer.from(text, 'latin1'));
  const size = async (name: string) => (name === path ? bytes.length : null);
  return () => openSafetensorsFolder(async (_, start, end) => bytes.slice(start, end), size);
};
const tensor = '{"dtype":"F32","shape":[0],"data_offsets":[0,0]}';
const many = (n: number) => `{${Array.from({ length: n }, (_, i) => `"t${i}":${tensor}`).join(',')}}`;

/** A server whose every answer goes on for ever. */
const endless = (status: number, headers: Record<string, string>, path: string) => async () => {
  const piece = Buffer.alloc(1 << 16, 32);
  const server = createServer((_, response) => {
    response.writeHead(status, headers);
    const more = () => {
      while (!response.destroyed && response.write(piece));
    };
    response.on('drain', more);
    more();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const source = createHttpSource(`http://127.0.0.1:${(server.address() as AddressInfo).port}/m/`);
  return async () => {
    try {
      if (path === 'manifest.json') return await readManifest(source, null);
      return await source.size(path);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  };
};

const CASES: Record<string, () => Promise<() => Promise<unknown>>> = {
  'nothing (the process itself)': async () => async () => {},
  'safetensors, header of 99 MB of [': header(`{"a":${'['.repeat(99e6 - 5)}`),
  'safetensors, header of 16 MB of [': header(`{"a":${'['.repeat(16e6 - 5)}`),
  'safetensors, header of 16 MB of [],': header(`{"__metadata__":{"a":[${'[],'.repeat(5.3e6)}0]}}`),
  'safetensors, 1,048,000 values': header(`{"__metadata__":{"a":[${'{},'.repeat(524e3)}0]}}`),
  'safetensors, 1,000,000 tensors': header(many(1e6)),
  'safetensors, 65,536 tensors': header(many(65536)),
  'safetensors, a name of 15 MB in escapes': header(`{"${'\\u0000'.repeat(2.5e6)}":${tensor}}`),
  'config.json of 200 MB': folder('config.json', `{"a":[${'[],'.repeat(66e6)}[]]}`),
  'config.json of 260,000 distinct keys': folder(
    'config.json',
    `{${Array.from({ length: 26e4 }, (_, i) => `"key${i}":{}`).join(',')}}`,
  ),
  'tokenizer.json of 4,190,000 values': async () => {
    const bytes = new Uint8Array(Buffer.from(`{"a":[${'{},'.repeat(2.095e6)}0]}`));
    const files = new Map([
      ['config.json', new Uint8Array(Buffer.from('{}'))],
      ['tokenizer.json', bytes],
    ]);
    const size = async (name: string) => files.get(name)?.length ?? null;
    return () => openSafetensorsFolder(async (name, start, end) => files.get(name)!.slice(start, end), size);
  },
  'manifest.json of 200 MB': async () => {
    const bytes = new Uint8Array(200e6);
    const source = createMemorySource('m', new Map([['manifest.json', bytes]]));
    return () => readManifest(source, null);
  },
  'manifest.json said to have 8 GB': endless(206, { 'Content-Range': 'bytes 0-1/8000000000' }, 'manifest.json'),
  'manifest.json without a length or an end': endless(200, {}, 'manifest.json'),
  'tokenizer.json without a length or an end': endless(200, {}, 'tokenizer.json'),
};

async function measure(name: string): Promise<void> {
  const run = await CASES[name]();
  globalThis.gc?.();
  const before = fromHere();
  const start = performance.now();
  const end = await run().then(
    () => 'read',
    (error) => `${error.code}: ${error.message}`,
  );
  const seconds = (performance.now() - start) / 1000;
  const mib = (resident('VmHWM') - before) / 2 ** 20;
  console.log(`| ${name} | ${seconds.toFixed(2)} | ${mib.toFixed(0)} | ${end.slice(0, 140)} |`);
}

export async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { only: { type: 'string' }, case: { type: 'string' } } });
  if (values.case !== undefined) {
    await measure(values.case);
    return 0;
  }
  console.log('| case | seconds | MiB above the input | ends in |\n|---|---|---|---|');
  for (const name of Object.keys(CASES).filter((each) => each.includes(values.only ?? ''))) {
    const child = ['scripts/run.mjs', '../bench/hostile-files', '--case', name];
    spawnSync(process.execPath, ['--expose-gc', ...child], { stdio: 'inherit', timeout: 120_000 });
  }
  return 0;
}
