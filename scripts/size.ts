/**
 * What a visitor downloads before any weights: the gzipped JavaScript of each entry over everything it can come to
 * import, workers included. Of the two executors one is fetched: the larger counts. Some chunks come later and count
 * apart: `text` and `answer` (what a question needs, fetched while the weights stream), `advice` (on memory, likewise),
 * `sha256-in-pieces` (for the Hub's weights, as they stream), `hub-source`, `gguf`, `lora`, `quantised` and `convert-dense`
 * (only for such a model), `stored-models` and `inspect` (for who asks what is kept, or what a model would take),
 * `saved-caches` and `kv-rows` (for who saves conversations), `kept-chat` (at a first visit, once the model is here),
 * `timestamps` (for profiles), `shift-rings` (for conversations that outgrow their context), `row-norms` (for DoRA).
 * Fails above the limits, and on wasm or code made from strings.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';

/** KB = 1,000 bytes */
export const ENTRIES = [
  { name: 'engine and worker', entry: 'dist/index.js', limitKB: 62 },
  { name: 'widget', entry: 'dist/embed/nibble-chat.js', limitKB: 98 },
  { name: 'chat page', entry: 'dist/site/index.html', limitKB: 105 },
];

/**
 * An entry and every script named by a string literal in it, transitively: imports, lazy imports, workers.
 * @param without what is not followed where it is imported lazily
 */
export function graph(entry: string, without = /^$/, seen = new Set<string>()): Set<string> {
  if (seen.has(entry)) return seen;
  seen.add(entry);
  for (const [, lazy, path] of readFileSync(entry, 'utf8').matchAll(/(\bimport\()?["'`]([^"'`\s]+\.js)["'`]/g)) {
    const file = join(dirname(entry), path);
    if (existsSync(file) && !(lazy && without.test(file))) graph(file, without, seen);
  }
  return seen;
}

/** The widget's worker asks the page for its parts, by names that no script spells out. */
function partsBeside(entry: string): string[] {
  const folder = dirname(entry);
  if (!entry.includes('/embed/')) return [];
  return readdirSync(folder).flatMap((name) => (join(folder, name) === entry ? [] : [join(folder, name)]));
}

const named = (names: string) => new RegExp(`/((${names})-[^/]+|nibble-(${names}))\\.js$`);
const LATER =
  'advice|text|answer|hub-source|gguf|lora|quantised|convert-dense|sha256-in-pieces|stored-models|saved-caches|kv-rows|inspect|timestamps|shift-rings|row-norms|kept-chat';
const EXECUTORS = 'on-cpu|on-gpu';
const NOT_FIRST = named(`${LATER}|${EXECUTORS}`);

const gzipped = (file: string) => gzipSync(readFileSync(file), { level: 9 }).length;

function forbidden(): string[] {
  const found: string[] = [];
  for (const file of readdirSync('dist', { recursive: true, encoding: 'utf8' })) {
    if (file.endsWith('.wasm')) found.push(`${file} is WebAssembly`);
    if (!file.endsWith('.js')) continue;
    const code = readFileSync(join('dist', file), 'utf8');
    for (const pattern of [/\bnew Function\b/, /(?<![\w.$])eval\(/, /\bWebAssembly\b/, /data:application\/wasm/]) {
      const match = pattern.exec(code);
      if (match)
        found.push(`${file} contains ${match[0]}: …${code.slice(Math.max(0, match.index - 60), match.index + 60)}…`);
    }
  }
  return found;
}

/** Prints the table; false when something is over its limit or forbidden. */
export function checkSizes(): boolean {
  let ok = true;
  for (const { name, entry, limitKB } of ENTRIES) {
    const files = [...graph(entry), ...partsBeside(entry)].filter((file) => file.endsWith('.js'));
    const bytes = (list: string[]) => list.reduce((sum, file) => sum + gzipped(file), 0);
    const first = graph(entry, NOT_FIRST);
    const besides = (file: string) => [...graph(file, NOT_FIRST)].filter((each) => !first.has(each));
    const executors = files.filter((file) => named(EXECUTORS).test(file)).map(besides);
    const total = bytes(files.filter((file) => first.has(file))) + Math.max(0, ...executors.map(bytes));
    const later = bytes(files.filter((file) => !first.has(file) && !executors.flat().includes(file)));
    const over = total > limitKB * 1000;
    ok &&= !over;
    console.log(
      `${name.padEnd(20)}${(total / 1000).toFixed(1).padStart(7)} KB gzipped of ${limitKB}${later ? `, ${(later / 1000).toFixed(1)} later` : ''}${over ? '  TOO MUCH' : ''}`,
    );
    for (const file of files)
      console.log(`  ${relative('dist', file).padEnd(50)}${(gzipped(file) / 1000).toFixed(1).padStart(7)} KB`);
  }
  for (const line of forbidden()) {
    ok = false;
    console.log(`FORBIDDEN: ${line}`);
  }
  return ok;
}

export async function main(): Promise<number> {
  return checkSizes() ? 0 : 1;
}
