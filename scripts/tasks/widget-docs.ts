/**
 * What `<nibble-chat>` has, read from its source by the analyzer of custom-element manifests:
 * dist/custom-elements.json, which editors read, and the tables of docs/widget.md. What each thing is for stands once,
 * in src/widget: properties, methods and events in the interfaces of element.ts, slots, parts and CSS properties in the
 * element's own docstring.
 */
import { readFileSync } from 'node:fs';
import * as analyzer from '@custom-elements-manifest/analyzer';
// @ts-expect-error the analyzer has no types of it
import { litPlugin } from '@custom-elements-manifest/analyzer/src/features/framework-plugins/lit/lit.js';
import type ts54 from '../../node_modules/@custom-elements-manifest/analyzer/node_modules/typescript/lib/typescript.d.ts';
import { ENGINE_OPTIONS } from '../../src/options/engine.ts';
import { REQUEST_OPTIONS } from '../../src/options/request.ts';
import { allowed, namedInText, type Spec, type Specs } from '../../src/options/spec.ts';
import { prose } from './docs-prose.ts';

const ELEMENT = 'src/widget/element.ts';
const CLASS = 'src/widget/nibble-chat.ts';
const PAGE = 'docs/widget.md';

/** A thing of the element, as manifests have it. */
interface Entry {
  name: string;
  description?: string;
  kind?: string;
  type?: { text: string };
  attribute?: string;
  fieldName?: string;
  default?: string;
}

interface Declaration {
  name: string;
  tagName?: string;
  members: Entry[];
  attributes: Entry[];
  events: Entry[];
  slots: Entry[];
  cssParts: Entry[];
  cssProperties: Entry[];
}

interface Module {
  path: string;
  declarations: Declaration[];
  exports: unknown[];
}

/** Its types say less than it has; it brings a TypeScript of its own, in which its sources are to be parsed. */
const { create, ts } = analyzer as unknown as {
  create(of: { modules: ts54.SourceFile[]; plugins: unknown[] }): { modules: Module[] };
  ts: typeof ts54;
};

const parsed = (path: string) => ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.ES2022, true);

/** The members of an interface, each with its docstring and its type. */
function membersOf(name: string): Entry[] {
  const source = parsed(ELEMENT);
  const found: Entry[] = [];
  for (const statement of source.statements) {
    if (!ts.isInterfaceDeclaration(statement) || statement.name.text !== name) continue;
    for (const member of statement.members) {
      const [doc] = ts.getJSDocCommentsAndTags(member);
      const isMethod = ts.isMethodSignature(member);
      const text = isMethod ? member.getText(source) : ((member as ts54.PropertySignature).type?.getText(source) ?? '');
      found.push({
        name: (member.name as ts54.Identifier | ts54.StringLiteral).text,
        kind: isMethod ? 'method' : 'field',
        description: doc ? prose(doc.getText(source)).replace(/\n/g, ' ') : '',
        type: { text: text.replace(/;$/, '').replace(/\s+/g, ' ') },
      });
    }
  }
  return found;
}

/** Attributes that are options: of the model, and of an answer. */
function optionAttributes(): Entry[] {
  const of = <T extends object>(specs: Specs<T>) =>
    [...namedInText<T>(specs, 'page')].map(([name, option]): Entry => {
      const spec = (specs as Record<string, Spec>)[option];
      const standard = spec.default === undefined || spec.default === null ? {} : { default: String(spec.default) };
      return { name, description: spec.says, type: { text: allowed(spec) }, ...standard };
    });
  return [...of(ENGINE_OPTIONS), ...of(REQUEST_OPTIONS)];
}

/** The manifest of the package. */
export function widgetManifest(): { modules: Module[] } {
  const manifest = create({ modules: [parsed(CLASS)], plugins: litPlugin() });
  const [module] = manifest.modules;
  const declaration = module.declarations.find(({ name }) => name === 'NibbleChat');
  if (!declaration) throw new Error(`${CLASS} has no class NibbleChat.`);
  const properties = membersOf('NibbleChatElement');
  const said = (name: string | undefined) => properties.find((entry) => entry.name === name)?.description ?? '';
  const attributes = declaration.attributes.map(
    ({ name, fieldName }): Entry => ({
      name,
      ...(fieldName && { fieldName }),
      type: { text: 'text' },
      description: fieldName === 'lang' ? 'BCP 47: the language of what it says. Default: English.' : said(fieldName),
    }),
  );
  const of = (name: string) => attributes.find(({ fieldName }) => fieldName === name)?.name;
  module.declarations = [
    {
      ...declaration,
      tagName: 'nibble-chat',
      members: properties.map((entry) => ({ ...entry, ...(of(entry.name) && { attribute: of(entry.name) }) })),
      attributes: [...attributes, ...optionAttributes()],
      events: membersOf('NibbleChatEvents'),
    },
  ];
  module.path = 'dist/widget.js';
  module.exports = [];
  return manifest;
}

const cell = (text = '') => text.replaceAll('|', '\\|').replace(/\s+/g, ' ').trim();
const row = (...cells: (string | undefined)[]) => `| ${cells.map(cell).join(' | ')} |`;
const table = (heads: string[], rows: string[]) =>
  [row(...heads), `|${'---|'.repeat(heads.length)}`, ...rows].join('\n');
const code = (text = '') => (text ? `\`${text}\`` : '');

/** The tables, by name. */
function tables(): Record<string, string> {
  const [{ declarations }] = widgetManifest().modules;
  const { attributes, members, events, slots, cssParts, cssProperties } = declarations[0];
  const own = attributes.filter(({ fieldName }) => fieldName);
  const plain = (entries: Entry[], head: string) =>
    table(
      [head, 'what it is'],
      entries.map(({ name, description }) => row(code(name) || '(none)', description)),
    );
  return {
    attributes: plain(own, 'attribute'),
    properties: table(
      ['property', 'type', 'what it is'],
      members
        .filter(({ kind, attribute }) => kind === 'field' && !attribute)
        .map(({ name, type, description }) => row(code(name), code(type?.text), description)),
    ),
    methods: plain(
      members.filter(({ kind }) => kind === 'method').map(({ type, ...rest }) => ({ ...rest, name: type!.text })),
      'method',
    ),
    events: table(
      ['event', '`event.detail`', 'when'],
      events.map(({ name, type, description }) =>
        row(code(name), code(type?.text.replace(/^CustomEvent<(.*)>$/, '$1')), description),
      ),
    ),
    slots: plain(slots, 'slot'),
    parts: plain(cssParts, 'part'),
    css: table(
      ['property', 'default', 'what it is'],
      cssProperties.map(({ name, default: value, description }) => row(code(name), code(value), description)),
    ),
  };
}

/** docs/widget.md as it should be: its words, and between their marks the tables. */
export function widgetPage(page = readFileSync(PAGE, 'utf8')): string {
  const made = tables();
  const used = new Set<string>();
  const whole = page.replace(
    /(<!-- made: (\w+) -->\n)[\s\S]*?(<!-- \/made -->)/g,
    (_, open: string, name: string, close: string) => {
      used.add(name);
      return `${open}\n${made[name] ?? `There is no table ${name}.`}\n\n${close}`;
    },
  );
  const missing = Object.keys(made).filter((name) => !used.has(name));
  if (missing.length > 0) throw new Error(`${PAGE} has no place for: ${missing.join(', ')}.`);
  return whole;
}

export { PAGE as WIDGET_PAGE };
