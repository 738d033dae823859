/** The command `nibble`: which command, its options, its errors, its exit status. Flags and JSON are a contract: other programs call it. */
import type { ParseArgsConfig } from 'node:util';
import { asNibbleError } from '../errors';
import { effectiveEngineOptions } from '../worker/engine-options';
import { type Arguments, engineOptions, invalid, LORA, parse, SAMPLING } from './arguments';
import { bench } from './commands/bench';
import { chat } from './commands/chat';
import { generate } from './commands/generate';
import { inspect } from './commands/inspect';
import { logits } from './commands/logits';
import { perplexity } from './commands/perplexity';
import { plan } from './commands/plan';
import { quantize } from './commands/quantize';
import { detokenize, tokenize } from './commands/tokenize';
import { SwiftShaderChild } from './dawn';
import { write } from './terminal';

interface Command {
  run: (args: Arguments) => Promise<void>;
  usage: string;
  options: NonNullable<ParseArgsConfig['options']>;
  /** positionals at most */
  positionals: number;
}

const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;

const COMMANDS: Readonly<Record<string, Command>> = {
  generate: {
    run: generate,
    usage:
      'MODEL (--prompt TEXT | --chat TEXT | --ids 1,2,3) [--max-new-tokens N] [--temperature T] [--top-k K] [--top-p P] [--seed S] [--stop TEXT] [--ignore-eos] [--overflow error|shift] [--lora DIR …]',
    options: { prompt: text, chat: text, ids: text, ...SAMPLING, ...LORA },
    positionals: 1,
  },
  chat: {
    run: chat,
    usage: 'MODEL [--system TEXT] [--max-new-tokens N] [--overflow error|shift] [--lora DIR …] …',
    options: { system: text, ...SAMPLING, ...LORA },
    positionals: 1,
  },
  logits: {
    run: logits,
    usage: 'MODEL --ids 1,2,3 [--all] [--lora DIR …]',
    options: { ids: text, all: flag, ...LORA },
    positionals: 1,
  },
  tokenize: { run: tokenize, usage: 'MODEL --text T [--special]', options: { text, special: flag }, positionals: 1 },
  detokenize: { run: detokenize, usage: 'MODEL --ids 1,2,3', options: { ids: text }, positionals: 1 },
  plan: {
    run: plan,
    usage: 'MODEL|config.json --prompt-tokens N --max-new-tokens M',
    options: { 'prompt-tokens': text, 'max-new-tokens': text },
    positionals: 1,
  },
  bench: {
    run: bench,
    usage: '(MODEL | --random config.json) [--prompt-tokens N | --ids 1,2,3] [--new-tokens M] [--runs R] [--profile]',
    options: { 'prompt-tokens': text, 'new-tokens': text, runs: text, profile: flag, random: text, ids: text },
    positionals: 1,
  },
  perplexity: {
    run: perplexity,
    usage: 'MODEL --file TEXT [--window 1024] [--windows N]',
    options: { file: text, window: text, windows: text },
    positionals: 1,
  },
  quantize: {
    run: quantize,
    usage: 'IN OUT [--double-quant] [--keep NAME …]',
    options: { 'double-quant': flag },
    positionals: 2,
  },
  inspect: { run: inspect, usage: 'MODEL', options: {}, positionals: 1 },
};

const COMMON_USAGE = `
MODEL is a folder in Hugging Face layout, a .gguf file, a URL of either, or a Hub id (owner/name, owner/name/file.gguf; HF_TOKEN).
Common options: --json --verbose --backend auto|webgpu|cpu --weights keep|nf4|q8|f16|f32 --keep NAME … --kv f16|f32|int8
  --kv-capacity auto|full|N --max-context N --budget BYTES --chunk N --snapshots N --tune auto|off|NAME
  --limits adapter|default --features all|none --gpu NAME`;

const usage = (): string =>
  `nibble COMMAND …\n\n${Object.entries(COMMANDS)
    .map(([name, command]) => `  nibble ${name} ${command.usage}`)
    .join('\n')}\n${COMMON_USAGE}`;

/** @returns the exit status */
export async function main(argv: readonly string[]): Promise<number> {
  const [name = '--help', ...rest] = argv;
  try {
    if (name === '--help' || name === 'help') {
      await write(process.stdout, `${usage()}\n`);
      return 0;
    }
    const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
    if (!command) {
      throw invalid('command', name, `There is no command "${name}". There are: ${Object.keys(COMMANDS).join(', ')}.`);
    }
    const args = parse(name, rest, command.options, command.positionals);
    if (args.flag('help')) await write(process.stdout, `nibble ${name} ${command.usage}\n${COMMON_USAGE}\n`);
    else {
      // also where nothing is loaded: an option that cannot be is refused, not passed over
      effectiveEngineOptions(engineOptions(args));
      await command.run(args);
    }
    return 0;
  } catch (thrown) {
    if (thrown instanceof SwiftShaderChild) return thrown.run();
    const error = asNibbleError(thrown);
    if (argv.includes('--json')) await write(process.stdout, `${JSON.stringify({ error })}\n`);
    else await write(process.stderr, `${error.message}\n`);
    if (rest.includes('--verbose') && !(thrown === error))
      process.stderr.write(`${error.cause instanceof Error ? error.cause.stack : ''}\n`);
    return 1;
  }
}
