/**
 * What a visitor downloads: the gzipped JavaScript of each entry over everything it imports at once. The library and
 * the widget take their worker as one file, when somebody first needs it; it counts apart, for all that it can do is in
 * it. The chat page is our own build, whose worker fetches what a model needs: what comes before its first paint
 * counts, and what a first visit fetches from then to its first answer, with the larger of the two executors; the rest
 * is listed (lazy-modules.ts). Fails above the limits, on files of WebAssembly (what there is of it lies in the CPU's
 * code, and webassembly.gpu.test.ts counts that no GPU compiles it) or code made from strings, and where something
 * imports the entry of a worker, which WebKit would run again.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { minifySync, type Rolldown } from 'vite';
import { AFTER_FIRST, chunkName, EXECUTORS, FIRST_ANSWER, LATER, WITH_GPU } from '../bundling/lazy-modules.ts';

const named = (names: readonly string[]) => new RegExp(`/(${names.join('|')})(-[^/]+)?\\.js$`);
const executor = named(EXECUTORS.map(chunkName));
/** `worker-text`: the package's worker, as a module that making it imports (vite-worker.ts) */
const NOT_FIRST = named(['worker-text', ...[...Object.keys(LATER), ...EXECUTORS].map(chunkName)]);
/** the chat page's worker too is fetched when it is needed */
const LAZY = named(['worker', ...[...Object.keys(LATER), ...EXECUTORS].map(chunkName)]);

/** KB = 1,000 bytes. Where a limit is raised, the reason stands beside it. */
export const ENTRIES = [
  // 12, and 0.5 for the names and ranges of 31 options of sampling, 0.5 for embed(), rerank() and score(); 1 for tools
  // in the page (the loop itself is fetched when there are tools), clones of conversations, objects
  { name: 'library', entry: 'dist/index.js', limitKB: 14 },
  // 29, and 1 for answers of thousands of blocks, and host pages that change what all objects have; 3 for what the
  // library got
  // the engine's part that asks a server: requests, streams, errors, and the conversation that others have, too
  { name: 'remote', entry: 'dist/remote.js', limitKB: 17 },
  { name: 'widget', entry: 'dist/embed/nibble-chat.js', limitKB: 60 },
  { name: 'openai', entry: 'dist/openai.js', limitKB: 10 },
  { name: 'AI SDK', entry: 'dist/ai-sdk.js', limitKB: 4 },
  { name: 'Prompt API', entry: 'dist/prompt-api.js', limitKB: 6 },
  // 125, and 5 for Jinja as a whole (methods, filters, tests, numbers), 5 for answers: reasoning apart, what was typed
  // as text, roles and parts of messages, what generation_config asks; 4 for adapters that bring whole tensors and
  // folders as people have them; 3 for files that change while they download; 2 for servers that are silent, busy,
  // endless or wrong, limits of small files and headers, databases that others hold, and stores that are full; 2 for
  // the SHA-256 of @noble/hashes, which takes little more than half the time that our own took; 1 for loading in stages
  // and a store in parts; 5 for the CPU's WebAssembly, and for masks, biases and drafts of
  // decode(); 2 for products of 16 bits and activations in WebAssembly, 3 for threads; 1 for what is fetched ahead by
  // how much is missing, and written without waiting; 1 for chunks that are lent, and their checksum; 19 for kernels of
  // real GPUs (attention and products in tiles, subgroups, scales of two levels, a sampler of many workgroups), for
  // choosing among them (6), and for steps ahead; 1 for activations of int8 on request; 8 for sampling: every rule that
  // transformers and llama.cpp have, in both executors (5), log-probabilities (1), the options (1), and bytes of
  // tokens; 7 for embeddings (the files of sentence-transformers, pooling), reranking and how likely a text is; 12 for
  // tools (forms of calls, their parser and grammars, prompts with tools); 23 for answers under a constraint; 6 for
  // several answers at once, and texts that share passes, in both executors
  { name: 'their worker', entry: 'dist/worker.js', limitKB: 236 },
];

/** The chat page's, in KB; `answer`: what there was before the page got conversations, files and settings. */
const PAGE = { entry: 'dist/site/index.html', paintKB: 60, answerKB: 178.3 };

/**
 * An entry and every script named by a string literal in it, transitively: imports, lazy imports, workers.
 * @param without what is not followed where it is imported lazily
 */
export function graph(entry: string, without = /^$/, seen = new Set<string>()): Set<string> {
  if (seen.has(entry)) return seen;
  seen.add(entry);
  const names = /(\bimport\(|\bnew URL\(|\b(?:from|import)\s*|)["'`]([^"'`\s]+\.js)["'`]/g;
  // what a lazy module takes with it stands in its own imports, too
  const code = readFileSync(entry, 'utf8').replace(/^const __vite__mapDeps=.*$/m, '');
  for (const [, how, path] of code.matchAll(names)) {
    const file = join(dirname(entry), path);
    // the same worker as a file
    if (how === 'new URL(' && /^dist\/(embed\/)?worker\.js$/.test(file)) continue;
    const isStatic = /^(from|import)\s*$/.test(how);
    if (existsSync(file) && (isStatic || !without.test(file))) graph(file, without, seen);
  }
  return seen;
}

const gzipped = (data: string | Buffer) => gzipSync(data, { level: 9 }).length;
const size = (file: string) => gzipped(readFileSync(file));
const line = (name: string, bytes: number) => `  ${name.padEnd(50)}${(bytes / 1000).toFixed(1).padStart(7)} KB`;

/**
 * A file of one piece, by folder of src/ (or library): what each would take by itself, scaled to what all take
 * together.
 */
export function byFolder({ code, modules }: Rolldown.OutputChunk): string[] {
  const texts = new Map<string, string>();
  for (const [id, module] of Object.entries(modules)) {
    const [, folder] = /(?:\/src\/|.*\/node_modules\/)((?:@[^/]+\/)?[^/]+)/.exec(id) ?? [
      null,
      id.includes('/shaders/') ? 'shaders' : 'other',
    ];
    texts.set(folder, (texts.get(folder) ?? '') + (module.code ?? ''));
  }
  const alone = [...texts].map(([folder, text]) => ({ folder, bytes: gzipped(minifySync('a.js', text).code) }));
  const scale = gzipped(code) / alone.reduce((sum, { bytes }) => sum + bytes, 0);
  return alone.sort((a, b) => b.bytes - a.bytes).map(({ folder, bytes }) => line(`  ${folder}`, bytes * scale));
}

function forbidden(): string[] {
  const found: string[] = [];
  for (const file of readdirSync('dist', { recursive: true, encoding: 'utf8' })) {
    if (file.endsWith('.wasm')) found.push(`${file} is WebAssembly`);
    if (!file.endsWith('.js')) continue;
    const code = readFileSync(join('dist', file), 'utf8');
    if (file.startsWith('site/') && /(\bfrom|\bimport\(?)\s*["'`]\.\/worker-/.test(code))
      found.push(`${file} imports the worker's entry: see vite.config.ts`);
    for (const pattern of [/\bnew Function\b/, /(?<![\w.$])eval\(/, /data:application\/wasm/]) {
      const match = pattern.exec(code);
      if (match)
        found.push(`${file} contains ${match[0]}: …${code.slice(Math.max(0, match.index - 60), match.index + 60)}…`);
    }
  }
  return found;
}

/** The chat page's scripts: to its first paint, from there to its first answer (by executor), and the others. */
export function pageScripts(): { paint: string[]; answer: Record<string, string[]>; after: string[]; later: string[] } {
  const { entry } = PAGE;
  const scripts = (...sets: Iterable<string>[]) =>
    [...new Set(sets.flatMap((set) => [...set]))].filter((file) => file.endsWith('.js'));
  const all = scripts(graph(entry));
  const paint = scripts(graph(entry, LAZY));
  const reached = (pattern: RegExp) => all.filter((file) => pattern.test(file)).map((file) => [...graph(file, LAZY)]);
  const besides = (files: string[], ...others: string[][]) => files.filter((file) => !others.flat().includes(file));
  const shared = besides(scripts(...reached(named(['worker', ...FIRST_ANSWER.map(chunkName)]))), paint);
  const answer: Record<string, string[]> = {};
  for (const name of EXECUTORS.map(chunkName)) {
    const own = reached(named([name, ...(name === 'on-gpu' ? WITH_GPU.map(chunkName) : [])]));
    answer[name] = besides(scripts(shared, ...own), paint);
  }
  const after = besides(scripts(...reached(named(AFTER_FIRST.map(chunkName)))), paint, ...Object.values(answer));
  return { paint, answer, after, later: besides(all, paint, ...Object.values(answer)) };
}

/** What a first visit fetches of the page. @returns whether it is within its limits */
function checkPage(): boolean {
  const { paint, answer, later } = pageScripts();
  const bytes = (files: string[]) => files.reduce((sum, file) => sum + size(file), 0);
  const largest = Object.values(answer).sort((a, b) => bytes(b) - bytes(a))[0];
  const part = (name: string, files: string[], limitKB: number) => {
    const over = bytes(files) > limitKB * 1000;
    console.log(
      `${name.padEnd(34)}${(bytes(files) / 1000).toFixed(1).padStart(7)} KB gzipped${limitKB < Number.POSITIVE_INFINITY ? ` of ${limitKB}` : ''}${over ? '  TOO MUCH' : ''}`,
    );
    for (const file of files) console.log(line(relative('dist', file), size(file)));
    return !over;
  };
  const fits = [
    part('chat page, to its first paint', paint, PAGE.paintKB),
    part('from there to its first answer', largest, PAGE.answerKB),
  ];
  part('what it fetches as it is needed', later, Number.POSITIVE_INFINITY);
  return fits.every(Boolean);
}

/**
 * Prints the table; false when something is over its limit or forbidden.
 * @param folders of the worker's file, as lines
 */
export function checkSizes(folders: string[] = []): boolean {
  let ok = true;
  for (const { name, entry, limitKB } of ENTRIES) {
    const files = [...graph(entry)].filter((file) => file.endsWith('.js'));
    const bytes = (list: string[]) => list.reduce((sum, file) => sum + size(file), 0);
    const first = graph(entry, NOT_FIRST);
    const besides = (file: string) => [...graph(file, NOT_FIRST)].filter((each) => !first.has(each));
    const executors = files.filter((file) => executor.test(file)).map(besides);
    const total = bytes(files.filter((file) => first.has(file))) + Math.max(0, ...executors.map(bytes));
    const later = bytes(files.filter((file) => !first.has(file) && !executors.flat().includes(file)));
    const over = total > limitKB * 1000;
    ok &&= !over;
    console.log(
      `${name.padEnd(20)}${(total / 1000).toFixed(1).padStart(7)} KB gzipped of ${limitKB}${later ? `, ${(later / 1000).toFixed(1)} later` : ''}${over ? '  TOO MUCH' : ''}`,
    );
    for (const file of files) console.log(line(relative('dist', file), size(file)));
    if (entry === 'dist/worker.js') for (const folder of folders) console.log(folder);
  }
  ok = checkPage() && ok;
  for (const line of forbidden()) {
    ok = false;
    console.log(`FORBIDDEN: ${line}`);
  }
  return ok;
}

export async function main(): Promise<number> {
  return checkSizes() ? 0 : 1;
}
