import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { COMMANDS, commandsIn, nameOf, pages } from './commands';

it.each(pages())('knows every command that $page names', ({ text }) => {
  for (const command of commandsIn(text)) expect(Object.keys(COMMANDS)).toContain(nameOf(command));
});

it('has no command that no page names', () => {
  const named = new Set(pages().flatMap(({ text }) => commandsIn(text).map(nameOf)));
  // the part that its own page names
  for (const name of Object.keys(COMMANDS)) expect([...named]).toContain(name);
});

it('names files that are there', () => {
  for (const name of Object.keys(COMMANDS)) {
    const script = /^(?:python (\S+)|node scripts\/run\.mjs \.\.\/(\S+))$/.exec(name);
    if (script) expect(existsSync(script[1] ?? `${script[2]}.ts`), name).toBe(true);
  }
});

it('finds commands in blocks, after indents and between backticks, and takes nothing else for one', () => {
  const page = [
    'Text with `npx nibble plan MODEL` and `engine.plan()` and `node_modules` and `a long',
    'name`, and `VK=x node scripts/run.mjs ../bench/a --b`.',
    '',
    '    npm run build && node scripts/run.mjs ../bench/c 1   # why',
    '    FILES=1 A_B=2 python reference/x.py',
    '',
    '```sh',
    'npm ci && npm start -- --ask "x"',
    '```',
    '',
    '```ts',
    "import { load } from 'npm';",
    '```',
  ].join('\n');
  expect(commandsIn(page).map(nameOf).sort()).toEqual([
    'node scripts/run.mjs ../bench/a',
    'node scripts/run.mjs ../bench/c',
    'npm ci',
    'npm run build',
    'npm start',
    'npx nibble',
    'python reference/x.py',
  ]);
});

it.each([
  ['npx nibble generate|logits MODEL', 'npx nibble'],
  ['npx nibble-llm generate', 'npx nibble'],
  ['npx nibble bench --random x', 'npx nibble bench'],
  ['npm start -- --ask x', 'npm start'],
  ['npm run build', 'npm run build'],
  ['pip install torch==1', 'pip install'],
])('calls %s %s', (command, name) => {
  expect(nameOf(command)).toBe(name);
});
