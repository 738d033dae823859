/** What `nibble --help` and `nibble COMMAND --help` print. */
import { COMMON, ENGINE, type Flags, LORA, REQUEST } from './arguments';
import { cacheFolder } from './cache-folder';
import type { Command } from './commands';
import { COMMAND } from './terminal';

const WIDTH = 100;

/** Text in lines of at most WIDTH, each after the first further in. */
function wrapped(text: string, indent: number): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines[lines.length - 1];
    if (line && indent + line.length + word.length + 1 > WIDTH) lines.push(word);
    else lines[lines.length - 1] = line ? `${line} ${word}` : word;
  }
  return lines.join(`\n${' '.repeat(indent)}`);
}

const COLUMN = 28;

function listed(title: string, flags: Flags): string {
  const lines = Object.entries(flags).map(([name, { value, many, short, says, default: fallback }]) => {
    const written = `  ${short ? `-${short}, ` : ''}--${name}${value ? ` ${value}` : ''}${many ? ' …' : ''}`;
    const gap = written.length < COLUMN ? written.padEnd(COLUMN) : `${written}\n${' '.repeat(COLUMN)}`;
    return gap + wrapped(`${says}${fallback ? ` Default: ${fallback}.` : ''}`, COLUMN);
  });
  return lines.length > 0 ? `\n${title}:\n${lines.join('\n')}\n` : '';
}

const MODEL = wrapped(
  'MODEL is a folder in Hugging Face layout, a .gguf file, the address of either, or a Hub id (owner/name, owner/name/file.gguf; HF_TOKEN is the token). What is downloaded is kept in',
  0,
);

/** The flags of a command, in the order of its help. */
export const flagsOf = ({ flags, lora, request }: Command): Flags => ({
  ...flags,
  ...(lora ? LORA : {}),
  ...(request ? REQUEST : {}),
});

export function helpOf(name: string, command: Command): string {
  const { says, usage, flags, lora, request, engine, example } = command;
  return [
    `${says}\n`,
    `  ${COMMAND} ${name} ${usage}\n`,
    `Example:\n  ${COMMAND} ${name} ${example}`,
    listed('Options', { ...flags, ...(lora ? LORA : {}) }),
    request ? listed('Of the answer', REQUEST) : '',
    engine ? listed('Of the model', ENGINE) : '',
    listed('Of every command', COMMON),
    `${MODEL} ${cacheFolder()}.`,
  ]
    .filter(Boolean)
    .join('\n')
    .replace(/\n{3,}/g, '\n\n');
}

export function help(commands: Readonly<Record<string, Command>>): string {
  const lines = Object.entries(commands).map(([name, { says, usage }]) => {
    const short = usage.replace(/ \[.*/, ' …');
    return `  ${COMMAND} ${name} ${short}\n      ${says}`;
  });
  return [
    '4-bit language models at the terminal.\n',
    `  ${COMMAND} COMMAND …      ${COMMAND} COMMAND --help      ${COMMAND} --version\n`,
    ...lines,
    `\n${MODEL} ${cacheFolder()}.`,
  ].join('\n');
}
