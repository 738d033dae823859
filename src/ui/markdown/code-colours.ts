/**
 * Colours of code. highlight.js says which words are what, a piece of the text at a time, so that no task is long; its
 * markup is not used, and what it says becomes elements with a class each. Each language is fetched when it is met.
 */
import type { Emitter, LanguageFn } from 'highlight.js';
import core from 'highlight.js/lib/core';
import { inTurn } from './in-turn';

/** The languages, by the names that a fence has for them. */
const FETCH: Readonly<Record<string, () => Promise<{ default: LanguageFn }>>> = {
  bash: () => import('highlight.js/lib/languages/bash'),
  c: () => import('highlight.js/lib/languages/c'),
  cpp: () => import('highlight.js/lib/languages/cpp'),
  csharp: () => import('highlight.js/lib/languages/csharp'),
  css: () => import('highlight.js/lib/languages/css'),
  diff: () => import('highlight.js/lib/languages/diff'),
  dockerfile: () => import('highlight.js/lib/languages/dockerfile'),
  go: () => import('highlight.js/lib/languages/go'),
  ini: () => import('highlight.js/lib/languages/ini'),
  java: () => import('highlight.js/lib/languages/java'),
  javascript: () => import('highlight.js/lib/languages/javascript'),
  json: () => import('highlight.js/lib/languages/json'),
  kotlin: () => import('highlight.js/lib/languages/kotlin'),
  lua: () => import('highlight.js/lib/languages/lua'),
  markdown: () => import('highlight.js/lib/languages/markdown'),
  perl: () => import('highlight.js/lib/languages/perl'),
  php: () => import('highlight.js/lib/languages/php'),
  powershell: () => import('highlight.js/lib/languages/powershell'),
  python: () => import('highlight.js/lib/languages/python'),
  r: () => import('highlight.js/lib/languages/r'),
  ruby: () => import('highlight.js/lib/languages/ruby'),
  rust: () => import('highlight.js/lib/languages/rust'),
  scss: () => import('highlight.js/lib/languages/scss'),
  sql: () => import('highlight.js/lib/languages/sql'),
  swift: () => import('highlight.js/lib/languages/swift'),
  typescript: () => import('highlight.js/lib/languages/typescript'),
  xml: () => import('highlight.js/lib/languages/xml'),
  yaml: () => import('highlight.js/lib/languages/yaml'),
};

/** Other names of them. */
const ALIASES: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries({
    bash: 'sh shell zsh console shellsession',
    c: 'h',
    cpp: 'c++ cc cxx hpp hh cuda wgsl glsl hlsl metal',
    csharp: 'cs c#',
    diff: 'patch',
    dockerfile: 'docker',
    go: 'golang',
    ini: 'toml conf cfg properties dotenv env',
    javascript: 'js jsx mjs cjs node',
    json: 'jsonc json5 jsonl ndjson',
    kotlin: 'kt kts',
    markdown: 'md mdx',
    perl: 'pl pm',
    powershell: 'ps1 pwsh ps',
    python: 'py python3 py3 ipython gyp',
    ruby: 'rb',
    rust: 'rs',
    scss: 'sass less',
    sql: 'postgresql postgres mysql sqlite plsql',
    typescript: 'ts tsx mts cts',
    xml: 'html xhtml svg vue svelte rss plist',
    yaml: 'yml',
  }).flatMap(([name, aliases]) => aliases.split(' ').map((alias) => [alias, name])),
);

/** What stands in another language. */
const INSIDE: Readonly<Record<string, readonly string[]>> = {
  xml: ['css', 'javascript'],
  php: ['xml', 'css', 'javascript'],
  markdown: ['xml'],
};

/** The kinds that have a colour, by the beginning of highlight.js's scope; `''`: as the text around. */
const KINDS: readonly [RegExp, string][] = [
  [/^(comment|quote)/, 'comment'],
  [/^(string|regexp|char|symbol|code|link)/, 'string'],
  [/^(keyword|literal|operator\.|selector-tag|tag|name|section|doctag)/, 'keyword'],
  [/^(number|bullet)/, 'number'],
  [/^(title|function)/, 'title'],
  [/^(type|built_in|class|selector-)/, 'type'],
  [/^(attr|property|variable|params|template-variable)/, 'name'],
  [/^(meta)/, 'meta'],
  [/^addition/, 'addition'],
  [/^deletion/, 'deletion'],
  [/^subst/, ''],
];

/** A part of a text, and its kind. */
export type Run = [text: string, kind: string];

/** What highlight.js says, as runs, and what was begun and did not end. */
class Runs implements Emitter {
  readonly runs: Run[] = [];
  /** the beginnings of what is open, in characters, and their kinds */
  readonly open: [from: number, kind: string][] = [];
  #length = 0;

  addText(text: string): void {
    const kind = this.open.at(-1)?.[1] ?? '';
    const last = this.runs.at(-1);
    if (last?.[1] === kind) last[0] += text;
    else if (text) this.runs.push([text, kind]);
    this.#length += text.length;
  }
  startScope(scope: string): void {
    const around = this.open.at(-1)?.[1] ?? '';
    this.open.push([this.#length, KINDS.find(([begins]) => begins.test(scope))?.[1] ?? around]);
  }
  endScope(): void {
    this.open.pop();
  }
  openNode(scope: string): void {
    this.startScope(scope);
  }
  closeNode(): void {
    this.endScope();
  }
  __addSublanguage({ runs }: Runs): void {
    const kind = this.open.at(-1)?.[1] ?? '';
    for (const [text, own] of runs) {
      this.runs.push([text, own || kind]);
      this.#length += text.length;
    }
  }
  finalize(): void {}
  toHTML(): string {
    return '';
  }
}

const highlighter = core.newInstance();
highlighter.configure({ __emitter: Runs as never });

/** @returns the name of the language that is meant, if it is one of those */
export function languageOf(name: string): string | undefined {
  const small = name.toLowerCase();
  const known = Object.hasOwn(ALIASES, small) ? ALIASES[small] : small;
  return Object.hasOwn(FETCH, known) ? known : undefined;
}

/** Fetches a language, and what stands in it. */
async function fetchLanguage(name: string): Promise<void> {
  const missing = [name, ...(INSIDE[name] ?? [])].filter((each) => !highlighter.getLanguage(each));
  for (const each of missing) highlighter.registerLanguage(each, (await FETCH[each]()).default);
}

/** Characters of the first line of what goes on in the next piece, a comment for one. */
const OPENING = 100;

/**
 * @param opening how that begins in which the piece stands: it is read before it
 * @returns the runs of the piece, and the opening of the next one
 */
function runsOf(piece: string, language: string, opening: string): { runs: Run[]; opening: string } {
  const text = opening + piece;
  const { _emitter } = highlighter.highlight(text, { language, ignoreIllegals: true });
  const { runs, open } = _emitter as unknown as Runs;
  let skip = opening.length;
  const shown: Run[] = [];
  for (const [part, kind] of runs) {
    if (part.length > skip) shown.push([part.slice(skip), kind]);
    skip = Math.max(0, skip - part.length);
  }
  const from = open.find(([, kind]) => kind === 'comment' || kind === 'string')?.[0];
  const first = from === undefined ? '' : text.slice(from, from + OPENING).split('\n')[0];
  return { runs: shown, opening: first && `${first}\n` };
}

/** All runs of a text in pieces, in one go. @throws what fetching a language does */
export async function coloured(pieces: readonly string[], name: string): Promise<Run[][]> {
  await fetchLanguage(name);
  let opening = '';
  return pieces.map((piece) => {
    const read = runsOf(piece, name, opening);
    opening = read.opening;
    return read.runs;
  });
}

function elementOf(runs: readonly Run[]): HTMLElement {
  const lines = document.createElement('span');
  lines.className = 'lines';
  for (const [text, kind] of runs) {
    if (!kind) lines.append(text);
    else {
      const word = document.createElement('span');
      word.className = kind;
      word.textContent = text;
      lines.append(word);
    }
  }
  return lines;
}

/** After so many ms of work a text's other pieces have no colours. */
const TOO_LONG = 300;

/** Coloured texts, for when they are shown again: the oldest go first. */
const kept = new Map<string, (HTMLElement | string)[]>();
const MOST_KEPT = 100;

/**
 * Colours a text in pieces.
 * @param pieces of lines
 * @param show is called for each, with all pieces as they are then
 * @returns what was coloured before
 */
export function colour(
  pieces: readonly string[],
  name: string,
  show: (pieces: readonly unknown[]) => void,
): unknown[] | undefined {
  const language = languageOf(name);
  if (!language) return undefined;
  const key = `${language}\n${pieces.join('')}`;
  const before = kept.get(key);
  if (before) return before.map((piece) => (typeof piece === 'string' ? piece : piece.cloneNode(true)));
  const shown: (HTMLElement | string)[] = [...pieces];
  let opening = '';
  let spent = 0;
  const next = (index: number) => {
    if (index === pieces.length) {
      kept.set(
        key,
        shown.map((piece) => (typeof piece === 'string' ? piece : (piece.cloneNode(true) as HTMLElement))),
      );
      if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value!);
      return;
    }
    const begun = performance.now();
    const read = runsOf(pieces[index], language, opening);
    opening = read.opening;
    shown[index] = elementOf(read.runs);
    show([...shown]);
    spent += performance.now() - begun;
    if (spent < TOO_LONG) inTurn(() => next(index + 1));
  };
  void fetchLanguage(language).then(
    () => {
      // its rules are made into expressions when it is first asked
      inTurn(() => void runsOf('', language, ''));
      inTurn(() => next(0));
    },
    // without colours, which the next code asks for again
    () => {},
  );
  return undefined;
}
