/** The command line of `nibble`: strict, every option checked, unknown ones refused by name. */

import { readFileSync } from 'node:fs';
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { NibbleError } from '../errors';
import type { EngineOptions, SamplingOptions } from '../protocol';

type OptionTable = NonNullable<ParseArgsConfig['options']>;

const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;

/** Accepted by every command. */
export const COMMON: OptionTable = {
  json: flag,
  verbose: flag,
  help: flag,
  weights: text,
  keep: { ...text, multiple: true },
  kv: text,
  'kv-capacity': text,
  'max-context': text,
  budget: text,
  snapshots: text,
  backend: text,
  tune: text,
  limits: text,
  features: text,
  gpu: text,
  chunk: text,
  'chat-template': text,
};

export class Arguments {
  constructor(
    readonly command: string,
    readonly positionals: readonly string[],
    private readonly values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>,
  ) {}

  flag(name: string): boolean {
    return this.values[name] === true;
  }

  text(name: string): string | undefined {
    const value = this.values[name];
    return typeof value === 'string' ? value : undefined;
  }

  list(name: string): string[] {
    const value = this.values[name];
    return Array.isArray(value) ? value.map(String) : [];
  }

  required(name: string): string {
    const value = this.text(name);
    if (value === undefined) throw invalid(name, undefined, `nibble ${this.command} needs --${name}.`);
    return value;
  }

  number(name: string): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const number = Number(value);
    if (value.trim() === '' || !Number.isFinite(number))
      throw invalid(name, value, `--${name} must be a number, not "${value}".`);
    return number;
  }

  /** A whole number of at least `least`. */
  count(name: string, fallback: number, least = 1): number {
    const value = this.number(name) ?? fallback;
    if (!Number.isSafeInteger(value) || value < least) {
      throw invalid(name, String(value), `--${name} must be a whole number of at least ${least}, not ${value}.`);
    }
    return value;
  }

  /** --ids 1,2,3 */
  ids(name = 'ids'): number[] | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const parts = value.trim() === '' ? [] : value.split(',').map((part) => part.trim());
    const bad = parts.find((part) => !/^\d+$/.test(part));
    if (bad !== undefined) throw invalid(name, value, `--${name} must be token ids like 1,2,3; "${bad}" is none.`);
    return parts.map(Number);
  }

  /** The one positional, e.g. MODEL. */
  positional(index: number, name: string): string {
    const value = this.positionals[index];
    if (value === undefined) throw invalid(name, undefined, `nibble ${this.command} needs ${name}.`);
    return value;
  }
}

export function invalid(option: string, value: string | undefined, message: string): NibbleError {
  return new NibbleError('invalid-option', message, { option, value: value ?? null });
}

/**
 * @param own options of this command beside the common ones
 * @param most positionals at most
 * @throws invalid-option for an unknown or malformed option, or a positional too many
 */
export function parse(command: string, argv: readonly string[], own: OptionTable, most: number): Arguments {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      options: { ...COMMON, ...own },
      allowPositionals: true,
      strict: true,
    });
    if (positionals.length > most) {
      throw invalid(
        'arguments',
        positionals[most],
        `nibble ${command} does not know what to do with "${positionals[most]}".`,
      );
    }
    return new Arguments(command, positionals, values);
  } catch (error) {
    if (error instanceof NibbleError) throw error;
    const message = error instanceof Error ? error.message.split('. ')[0] : String(error);
    throw invalid(
      /'(-[^']*)'/.exec(message)?.[1] ?? 'arguments',
      undefined,
      `nibble ${command}: ${message}. See nibble ${command} --help.`,
    );
  }
}

/** The engine's options as the library has them; their values are checked where the library's are. */
export function engineOptions(args: Arguments): EngineOptions {
  const capacity = args.text('kv-capacity');
  return {
    backend: args.text('backend') as EngineOptions['backend'],
    weights: args.text('weights') as EngineOptions['weights'],
    keep: args.list('keep'),
    kv: args.text('kv') as EngineOptions['kv'],
    kvCapacity: capacity === 'auto' || capacity === 'full' ? capacity : args.number('kv-capacity'),
    maxContext: args.number('max-context'),
    memoryBudget: args.number('budget'),
    snapshots: args.number('snapshots'),
    chunk: args.number('chunk'),
    chatTemplate: fileText('chat-template', args.text('chat-template')),
    tune: args.text('tune'),
    limits: args.text('limits') as EngineOptions['limits'],
    features: args.text('features') as EngineOptions['features'],
    storage: 'none',
  };
}

/** What stands in the file that an option names. */
function fileText(name: string, path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw invalid(name, path, `--${name}: ${path} cannot be read (${(error as Error).message}).`);
  }
}

/** NAME=VALUE, where the value is JSON if it can be read as that. */
function pair(flag: string, text: string): [name: string, value: unknown] {
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (name === undefined) throw invalid(flag, text, `--${flag} must be NAME=VALUE, not "${text}".`);
  try {
    return [name, JSON.parse(value)];
  } catch {
    return [name, value];
  }
}

/** Adapters, for the commands that run a prompt. */
export const LORA: OptionTable = { lora: { ...text, multiple: true } };

export const SAMPLING: OptionTable = {
  'max-new-tokens': text,
  temperature: text,
  'top-k': text,
  'top-p': text,
  seed: text,
  stop: { ...text, multiple: true },
  'ignore-eos': flag,
  overflow: text,
  'template-option': { ...text, multiple: true },
  'parse-special': flag,
};

export function samplingOptions(args: Arguments): SamplingOptions {
  const stop = args.list('stop');
  const variables = args.list('template-option');
  return {
    maxNewTokens: args.number('max-new-tokens'),
    temperature: args.number('temperature'),
    topK: args.number('top-k'),
    topP: args.number('top-p'),
    seed: args.number('seed'),
    stop: stop.length > 0 ? stop : undefined,
    ignoreEos: args.flag('ignore-eos') || undefined,
    overflow: args.text('overflow') as SamplingOptions['overflow'],
    templateOptions:
      variables.length > 0 ? Object.fromEntries(variables.map((text) => pair('template-option', text))) : undefined,
    parseSpecial: args.flag('parse-special') || undefined,
  };
}
