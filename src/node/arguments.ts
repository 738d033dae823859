/** What stands behind a command of `nibble`: strict, every option checked, unknown ones refused by name. */
import { readFileSync } from 'node:fs';
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { NibbleError } from '../errors';
import { ENGINE_OPTIONS } from '../options/engine';
import { REQUEST_OPTIONS } from '../options/request';
import { fromText, namedInText, type Spec, type Specs } from '../options/spec';
import type { EngineOptions, SamplingOptions } from '../protocol';
import { type Interrupt, NO_INTERRUPT } from './interrupt';
import { COMMAND, readStdin } from './terminal';

/** An option of the command line. */
export interface Flag {
  /** what stands for its value in the help; absent: it takes none */
  value?: string;
  /** it may be given several times, and all count */
  many?: boolean;
  short?: string;
  /** one sentence */
  says: string;
  /** what is in effect without it, in words */
  default?: string;
}
export type Flags = Readonly<Record<string, Flag>>;

type OptionTable = NonNullable<ParseArgsConfig['options']>;

/** Flags as node:util wants them. */
export const tableOf = (flags: Flags): OptionTable =>
  Object.fromEntries(
    Object.entries(flags).map(([name, { value, many = false, short }]) => [
      name,
      { type: value ? 'string' : 'boolean', multiple: many, ...(short ? { short } : {}) },
    ]),
  );

/** Understood by every command. */
export const COMMON: Flags = {
  json: { says: 'Prints one object of JSON on standard output, and nothing else there.' },
  verbose: { says: 'Tells on standard error what is being done.' },
  'no-cache': { says: 'Keeps nothing of what is downloaded; without it, the cache folder does (see models).' },
  revision: { value: 'NAME', says: "Branch, tag or commit of the Hub's repository.", default: 'main' },
  hub: {
    value: 'URL',
    says: 'Address of the Hub, or of what stands for it.',
    default: 'HF_ENDPOINT, else https://huggingface.co',
  },
  gpu: { value: 'NAME', says: 'The graphics adapter to use, by a part of its name.' },
  help: { short: 'h', says: 'Prints this.' },
};

/** Adapters, for the commands that run a prompt. */
export const LORA: Flags = {
  lora: { value: 'MODEL', many: true, says: 'Adds a LoRA adapter, as PEFT saves it, named as a model is.' },
};

function valueWords(spec: Spec): string | undefined {
  switch (spec.type) {
    case 'choice':
      return spec.of.join('|');
    case 'number':
      return [...(spec.words ?? []), 'N'].join('|');
    case 'flag':
      return undefined;
    case 'object':
      return spec.file ? 'FILE' : 'NAME=VALUE';
    case 'ids':
      return 'IDS';
    case 'idLists':
    case 'biases':
      return 'JSON';
    default:
      return spec.file ? 'FILE' : 'TEXT';
  }
}

/** The options of a table as flags, by the name that each has here. */
export function flagsOf<T extends object>(specs: Specs<T>): Flags {
  const flags = [...namedInText<T>(specs, 'cli')].map(([flag, name]): [string, Flag] => {
    const spec = specs[name];
    const many = spec.type === 'texts' || (spec.type === 'object' && !spec.file);
    const fallback = spec.type === 'flag' ? undefined : spec.default?.toString();
    return [flag, { value: valueWords(spec), many, says: spec.says, default: fallback }];
  });
  return Object.fromEntries(flags);
}

export const ENGINE: Flags = flagsOf<EngineOptions>(ENGINE_OPTIONS);
export const REQUEST: Flags = flagsOf<SamplingOptions>(REQUEST_OPTIONS);

type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

export class Arguments {
  /** who reads standard input, which can be read once */
  #fromStdin: string | null = null;

  constructor(
    readonly command: string,
    readonly positionals: readonly string[],
    private readonly values: Values,
    /** Ctrl-C */
    readonly interrupt: Interrupt = NO_INTERRUPT,
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
    if (value === undefined) throw invalid(name, undefined, `${COMMAND} ${this.command} needs --${name}.`);
    return value;
  }

  /**
   * The bytes that stand for `-`: of standard input, to its end.
   * @throws invalid-option when two options ask for them
   */
  stdin(name: string): Promise<Uint8Array> {
    if (this.#fromStdin !== null) {
      const text = `--${this.#fromStdin} - and --${name} - cannot both read standard input.`;
      throw invalid(name, '-', text);
    }
    this.#fromStdin = name;
    return readStdin();
  }

  /** A text; `-` is standard input, less the line end that a terminal or `echo` puts there. */
  async input(name: string): Promise<string | undefined> {
    const value = this.text(name);
    if (value !== '-') return value;
    return new TextDecoder().decode(await this.stdin(name)).replace(/\r?\n$/, '');
  }

  /** A whole number of at least `least`. */
  count(name: string, fallback: number, least = 1): number {
    const value = this.text(name);
    return value === undefined
      ? fallback
      : (fromText({ type: 'number', least, whole: true, says: '' }, name, value) as number);
  }

  /** --ids 1,2,3 */
  async ids(name = 'ids'): Promise<number[] | undefined> {
    const value = await this.input(name);
    if (value === undefined) return undefined;
    const parts = value.trim() === '' ? [] : value.split(',').map((part) => part.trim());
    const bad = parts.find((part) => !/^\d+$/.test(part));
    if (bad !== undefined) throw invalid(name, value, `--${name} must be token ids like 1,2,3; "${bad}" is none.`);
    return parts.map(Number);
  }

  /** The one positional, e.g. MODEL. */
  positional(index: number, name: string): string {
    const value = this.positionals[index];
    if (value === undefined) throw invalid(name, undefined, `${COMMAND} ${this.command} needs ${name}.`);
    return value;
  }

  /** What the options of a table were given. @throws invalid-option */
  options<T extends object>(specs: Specs<T>): Partial<T> {
    const options: Record<string, unknown> = {};
    for (const [flag, name] of namedInText<T>(specs, 'cli')) {
      const spec = specs[name];
      const texts = this.list(flag);
      const text = this.text(flag);
      // other programs know what is no number by its flag, and every other fault by the option
      const option = spec.type === 'number' && !Number.isFinite(Number(text?.trim() || 'none')) ? flag : name;
      if (spec.type === 'flag' && this.flag(flag)) options[name] = true;
      else if (spec.type === 'object' && texts.length > 0) options[name] = Object.fromEntries(texts.map(pairOf(flag)));
      else if (texts.length > 0) options[name] = texts.flatMap((each) => fromText(spec, flag, each, name) as string[]);
      else if (text !== undefined)
        options[name] = fromText(spec, flag, spec.file ? fileText(flag, text) : text, option);
    }
    return options as Partial<T>;
  }
}

/** What stands in the file that an option names. @throws invalid-option */
function fileText(flag: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw invalid(flag, path, `--${flag}: ${path} cannot be read (${(error as Error).message}).`);
  }
}

/** NAME=VALUE, where the value is JSON if it can be read as that. */
const pairOf =
  (flag: string) =>
  (text: string): [string, unknown] => {
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
    if (name === undefined) throw invalid(flag, text, `--${flag} must be NAME=VALUE, not "${text}".`);
    try {
      return [name, JSON.parse(value)];
    } catch {
      return [name, value];
    }
  };

export function invalid(option: string, value: string | undefined, message: string): NibbleError {
  return new NibbleError('invalid-option', message, { option, value: value ?? null });
}

/**
 * @param own options of this command, beside the engine's and the common ones
 * @param most positionals at most
 * @throws invalid-option for an unknown or malformed option, or a positional too many
 */
export function parse(
  command: string,
  argv: readonly string[],
  own: OptionTable,
  most: number,
  interrupt?: Interrupt,
): Arguments {
  const options = { ...own, ...tableOf({ ...ENGINE, ...COMMON }) };
  let found: { values: Values; positionals: string[] };
  try {
    found = parseArgs({ args: [...argv], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw malformed(command, Object.keys(options), error as NodeJS.ErrnoException);
  }
  const { values, positionals } = found;
  if (positionals.length > most) {
    const text = `${COMMAND} ${command} does not know what to do with "${positionals[most]}".`;
    throw invalid('arguments', positionals[most], text);
  }
  return new Arguments(command, positionals, values, interrupt);
}

/** Node's own sentences, made ours. */
function malformed(command: string, names: readonly string[], { code, message }: NodeJS.ErrnoException): NibbleError {
  const option = /'(-[^' ]*)/.exec(message)?.[1] ?? 'arguments';
  if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
    const known = names.map((name) => `--${name}`);
    const plain = (name: string) => name.toLowerCase().replace(/[-_]/g, '');
    const meant = known.find((name) => plain(name) === plain(option));
    const text = `${COMMAND} ${command} has no option ${option}. ${meant ? `Did you mean ${meant}? ` : ''}There are: ${known.join(', ')}.`;
    return new NibbleError('invalid-option', text, { option, value: null, known });
  }
  const text = message.includes('ambiguous')
    ? `a value of ${option} that begins with - is written with =, as in ${option}=-5.`
    : `${message.split(/\. |\n/)[0]}. See ${COMMAND} ${command} --help.`;
  return invalid(option, undefined, `${COMMAND} ${command}: ${text}`);
}

/** The engine's options as the library has them. @throws invalid-option */
export function engineOptions(args: Arguments): EngineOptions {
  // at a terminal a disk that is full is no reason to give no answer
  return { ...args.options<EngineOptions>(ENGINE_OPTIONS), storage: args.flag('no-cache') ? 'none' : 'if-room' };
}

/** @throws invalid-option */
export const samplingOptions = (args: Arguments): SamplingOptions => args.options<SamplingOptions>(REQUEST_OPTIONS);
