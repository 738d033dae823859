/**
 * The pages of docs/ that are made: api.md from the docstrings of what the package exports, options.md from the schema
 * in src/options, and the tables of widget.md (widget-docs.ts). `node scripts/run.mjs docs` writes them; the build
 * fails where api.md is not as it would be written, or where a public name has no docstring, and
 * scripts/tasks/docs.test.ts where the others are not.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ENGINE_OPTIONS } from '../../src/options/engine.ts';
import { TOOL_OPTIONS } from '../../src/options/load.ts';
import { EMBED_OPTIONS, RERANK_OPTIONS } from '../../src/options/reading.ts';
import { REQUEST_OPTIONS } from '../../src/options/request.ts';
import { SERVE_OPTIONS } from '../../src/options/serve.ts';
import { allowed, namedInText, type Spec, type Specs } from '../../src/options/spec.ts';
import { prose } from './docs-prose.ts';
import { emitTypes } from './emit-types.ts';
import { WIDGET_PAGE, widgetPage } from './widget-docs.ts';

const API = 'docs/api.md';
const OPTIONS = 'docs/options.md';
const MADE = '<!-- Made by `node scripts/run.mjs docs`: change the sources and run it again. -->';

/** An entry of the package: its name, and its declarations. */
const ENTRIES = [
  { name: 'nibble-llm', types: 'dist/types/index.d.ts' },
  { name: 'nibble-llm/widget', types: 'dist/types/widget/element.d.ts' },
  { name: 'nibble-llm/remote', types: 'dist/types/remote/index.d.ts' },
  { name: 'nibble-llm/openai', types: 'dist/types/shapes/openai.d.ts' },
  { name: 'nibble-llm/ai-sdk', types: 'dist/types/shapes/ai-sdk.d.ts' },
  { name: 'nibble-llm/prompt-api', types: 'dist/types/shapes/prompt-api.d.ts' },
] as const;

/** What api-extractor writes of a name, as far as it is used here. */
export interface ApiItem {
  kind: string;
  name?: string;
  docComment?: string;
  excerptTokens?: { text: string }[];
  members?: ApiItem[];
}

/** The names that an entry exports, with their members. */
async function exportsOf(types: string): Promise<ApiItem[]> {
  const { Extractor, ExtractorConfig } = await import('@microsoft/api-extractor');
  const folder = mkdtempSync(join(tmpdir(), 'nibble-api-'));
  const apiJsonFilePath = join(folder, 'api.json');
  const compilerOptions = {
    // the stage packaging checks the declarations themselves
    ...{ target: 'es2022', module: 'esnext', moduleResolution: 'bundler', strict: true, types: [], skipLibCheck: true },
    lib: ['es2022', 'dom', 'dom.iterable', 'dom.asynciterable', 'esnext.disposable'],
  };
  try {
    const config = ExtractorConfig.prepare({
      configObjectFullPath: undefined,
      packageJsonFullPath: resolve('package.json'),
      configObject: {
        projectFolder: resolve('.'),
        mainEntryPointFilePath: resolve(types),
        compiler: { overrideTsconfig: { compilerOptions, files: [types] } },
        apiReport: { enabled: false },
        docModel: { enabled: true, apiJsonFilePath, includeForgottenExports: true },
        dtsRollup: { enabled: false },
        tsdocMetadata: { enabled: false },
      },
    });
    const problems: string[] = [];
    Extractor.invoke(config, {
      localBuild: true,
      messageCallback(message) {
        message.handled = true;
        if (message.category === 'Compiler') problems.push(message.text);
      },
    });
    if (problems.length > 0) throw new Error(`${types}: ${problems.join('\n')}`);
    const { members }: ApiItem = JSON.parse(readFileSync(apiJsonFilePath, 'utf8'));
    return members?.[0]?.members ?? [];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Names without a docstring, members as `Type.member`. */
export function undocumented(items: readonly ApiItem[], of = ''): string[] {
  return items.flatMap(({ kind, name = kind, docComment, members = [] }) => [
    ...(docComment ? [] : [of + name]),
    ...undocumented(members, `${of}${name}.`),
  ]);
}

const signature = ({ excerptTokens = [] }: ApiItem) =>
  excerptTokens
    .map(({ text }) => text)
    .join('')
    .replace(/^export (declare )?/, '')
    .replace(/\s+/g, ' ')
    .replace(/;? *$/, '');

/** Lines as paragraphs, but for lists. */
const paragraphs = (text: string) => text.replace(/\n(?!- )/g, '\n\n').replace(/^(?!- )(.*)\n(?=- )/gm, '$1\n\n');

function describe(item: ApiItem): string[] {
  const { kind, name = kind, docComment = '', members = [] } = item;
  // a name that the browser has too is numbered
  const title = name.replace(/_\d+$/, '') + (kind === 'Function' ? '()' : '');
  const lines = [`### ${title}`, '', '```ts', signature(item), '```', '', paragraphs(prose(docComment))];
  if (members.length > 0) lines.push('');
  for (const member of members)
    lines.push(`- \`${signature(member)}\`: ${prose(member.docComment ?? '').replace(/\n/g, ' ')}`);
  return [...lines, ''];
}

const GROUPS = [
  ['Functions', /^Function$/],
  ['Classes', /^Class$/],
  ['Types', /^(Interface|TypeAlias|Variable)$/],
] as const;

function apiPage(entries: readonly { name: string; items: readonly ApiItem[] }[]): string {
  const lines = ['# API reference', '', MADE, ''];
  for (const { name, items } of entries) {
    lines.push(
      `What \`import … from '${name}'\` gives. A type that another mentions without being exported stands here, too.`,
      '',
    );
    for (const [title, kinds] of GROUPS) {
      const some = items.filter(({ kind }) => kinds.test(kind));
      if (some.length > 0) lines.push(`## ${title} of ${name}`, '', ...some.flatMap(describe));
    }
  }
  return `${lines.join('\n').trimEnd()}\n`;
}

function optionTable<T extends object>(specs: Specs<T>): string[] {
  const [cli, page] = (['cli', 'page'] as const).map(
    (where) => new Map([...namedInText<T>(specs, where)].map(([text, name]) => [name, text])),
  );
  const rows = Object.entries<Spec>(specs).map(([name, spec]) => {
    const flag = cli.get(name as keyof T & string);
    const attribute = page.get(name as keyof T & string);
    const standard = spec.default === undefined || spec.default === null ? '' : `\`${spec.default}\``;
    const cells = [
      `\`${name}\``,
      flag && `\`--${flag}\``,
      attribute && `\`${attribute}\``,
      allowed(spec),
      standard,
      spec.says,
    ];
    return `| ${cells.map((cell) => (cell || '').replaceAll('|', '\\|')).join(' | ')} |`;
  });
  return [
    '| option | command line | attribute, query | may be | default | what it is for |',
    '|---|---|---|---|---|---|',
    ...rows,
  ];
}

/** docs/options.md, from the schema. */
export function optionsPage(): string {
  return [
    '# Options',
    '',
    MADE,
    '',
    'The same options in the library, on the command line, as attributes of `<nibble-chat>` and in the query of the chat',
    "page's address. An empty cell: it cannot be named there. Without a default, the model or the device decides.",
    '',
    '## Of a model: `load()`, `inspectModel()`',
    '',
    ...optionTable(ENGINE_OPTIONS),
    '',
    '## Of an answer: `chat()`, `generate()`, `ask()`',
    '',
    ...optionTable({ ...REQUEST_OPTIONS, ...TOOL_OPTIONS }),
    '',
    '## Of vectors and rankings: `embed()`, `rerank()`',
    '',
    ...optionTable({ ...EMBED_OPTIONS, ...RERANK_OPTIONS }),
    '',
    '## Of a server: `nibble serve`',
    '',
    ...optionTable(SERVE_OPTIONS),
    '',
  ].join('\n');
}

/**
 * Reads dist/types, which emitTypes() writes.
 * @returns docs/api.md as it should be, and the public names that have no docstring
 */
async function readApi(): Promise<{ page: string; missing: string[] }> {
  const entries: { name: string; items: ApiItem[] }[] = [];
  const before = new Set<string>();
  for (const { name, types } of ENTRIES) {
    // what an entry before it has, too, stands there alone
    const items = (await exportsOf(types)).filter((item) => !before.has(describe(item).join('\n')));
    for (const item of items) before.add(describe(item).join('\n'));
    entries.push({ name, items });
  }
  return { page: apiPage(entries), missing: entries.flatMap(({ items }) => undocumented(items)) };
}

/** What is wrong with docstrings and docs/api.md, as sentences: nothing, if the list is empty. */
export async function checkApi(): Promise<string[]> {
  const { page, missing } = await readApi();
  const faults = missing.map((name) => `${name} is public and has no docstring.`);
  if (readFileSync(API, 'utf8') !== page)
    faults.push(`${API} is not up to date: \`node scripts/run.mjs docs\` writes it.`);
  return faults;
}

export async function main(): Promise<number> {
  emitTypes();
  const { page, missing } = await readApi();
  writeFileSync(API, page);
  writeFileSync(OPTIONS, optionsPage());
  writeFileSync(WIDGET_PAGE, widgetPage());
  for (const name of missing) console.log(`${name} has no docstring.`);
  console.log(`Wrote ${API}, ${OPTIONS} and the tables of ${WIDGET_PAGE}.`);
  return missing.length === 0 ? 0 : 1;
}
