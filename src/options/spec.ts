/**
 * What an option may be. One table says it for each set of options (engine.ts, request.ts, load.ts); arguments of the
 * library, flags and help of the command line, query parameters of the chat page and attributes of the widget are read
 * from those tables.
 */
import { type ErrorDetails, NibbleError } from '../errors';

interface Described {
  /** what it is for, one sentence */
  says: string;
  /** what is in effect when nobody says anything; absent: the model or the device decides */
  default?: string | number | boolean | null;
  /** its name in text, where that is not the option's own name with dashes */
  flag?: string;
  /** where it is named in text: `cli` flags, `page` query parameters and attributes, nowhere; absent: everywhere */
  only?: 'cli' | 'page' | 'code';
  /** on the command line it is named by the file that holds it */
  file?: boolean;
  /** plan() may suppose another value than the model was loaded with */
  planned?: boolean;
  /** its name in a model's generation_config.json, which is followed */
  generationConfig?: string;
  /** only a draw heeds it, and not who takes the likeliest: it asks for drawing, and a model's own counts only there */
  draws?: boolean;
}

export type Spec = Described &
  (
    | { type: 'choice'; of: readonly string[] }
    | {
        type: 'number';
        least: number;
        most?: number;
        whole?: boolean;
        /** words that stand for a number */
        words?: readonly string[];
        /** true and false are values, too */
        orFlag?: boolean;
      }
    | { type: 'flag' }
    /** `empty`: it may be */
    | { type: 'text'; empty?: boolean }
    /** `one`: a single text counts as a list of one */
    | { type: 'texts'; one?: boolean }
    /** numbers of tokens; lists of them; numbers by them, `most` at most and as much below 0 */
    | { type: 'ids' | 'idLists' }
    | { type: 'biases'; most: number }
    /** `address`: a text or a URL; `any` is checked where it is used */
    | { type: 'list' | 'object' | 'function' | 'signal' | 'address' | 'any' }
  );

/** A table: every name of an options object, and nothing else. */
export type Specs<T = Record<string, unknown>> = Readonly<Record<keyof T & string, Spec>>;

/** A value as a sentence shows it. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return `"${value.length > 80 ? `${value.slice(0, 80)}…` : value}"`;
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'function') return 'a function';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

/** @param name as whoever gave it writes it @throws invalid-option: what was given, and what it must be */
export function refuse(option: string, value: unknown, allowed: string, name = option): never {
  const given = typeof value === 'string' ? value : shown(value);
  const details: ErrorDetails = { option, value: typeof value === 'number' ? value : given.slice(0, 200) };
  throw new NibbleError('invalid-option', `${name} is ${shown(value)}; it must be ${allowed}.`, details);
}

/** What a value of this option must be, in words. */
export function allowed(spec: Spec): string {
  switch (spec.type) {
    case 'choice':
      return `one of ${spec.of.join(', ')}`;
    case 'number': {
      const { least, most, whole, words = [], orFlag } = spec;
      const range = most === undefined ? `of at least ${least}` : `from ${least} to ${most}`;
      return [...(orFlag ? ['true or false'] : words), `a ${whole ? 'whole ' : ''}number ${range}`].join(' or ');
    }
    case 'flag':
      return 'true or false';
    case 'text':
      return spec.empty ? 'a text' : 'a text that is not empty';
    case 'texts':
      return `${spec.one ? 'a text or ' : ''}a list of texts, none of them empty`;
    case 'ids':
      return 'a list of token ids';
    case 'idLists':
      return 'a list of lists of token ids, none of them empty';
    case 'biases':
      return `an object of numbers from ${-spec.most} to ${spec.most} by token id`;
    case 'signal':
      return 'an AbortSignal';
    case 'address':
      return 'an address: a text or a URL';
    default:
      return `${spec.type === 'object' ? 'an' : 'a'} ${spec.type}`;
  }
}

const isText = (value: unknown) => typeof value === 'string' && value !== '';
/** Whether it exists depends on the model. */
const isId = (value: unknown) => Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 31;
const isIds = (value: unknown): value is unknown[] => Array.isArray(value) && value.every(isId);
export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Whether a value is one that the option may have. */
export function fits(spec: Spec, value: unknown): boolean {
  switch (spec.type) {
    case 'choice':
      return spec.of.includes(value as string);
    case 'number': {
      const { least, most = Number.MAX_SAFE_INTEGER, whole, words = [], orFlag = false } = spec;
      if (typeof value === 'boolean') return orFlag;
      if (typeof value !== 'number') return words.includes(value as string);
      return value >= least && value <= most && (!whole || Number.isInteger(value));
    }
    case 'flag':
      return typeof value === 'boolean';
    case 'text':
      return typeof value === 'string' && (value !== '' || spec.empty === true);
    case 'texts':
      return (spec.one && isText(value)) || (Array.isArray(value) && value.every(isText));
    case 'list':
      return Array.isArray(value);
    case 'object':
      return isObject(value);
    case 'ids':
      return isIds(value);
    case 'idLists':
      return Array.isArray(value) && value.every((ids) => isIds(ids) && ids.length > 0);
    case 'biases':
      return (
        isObject(value) &&
        Object.entries(value as object).every(
          ([id, by]) => /^\d+$/.test(id) && isId(Number(id)) && typeof by === 'number' && Math.abs(by) <= spec.most,
        )
      );
    case 'function':
      return typeof value === 'function';
    case 'address':
      return isText(value) || value instanceof URL;
    case 'any':
      return true;
    case 'signal':
      return typeof (value as AbortSignal | null)?.addEventListener === 'function';
  }
}

/** @throws invalid-option, with the names that exist */
function unknown(option: string, names: readonly string[]): never {
  const plain = (name: string) => name.toLowerCase().replace(/[-_]/g, '');
  const meant = names.find((name) => plain(name) === plain(option));
  throw new NibbleError(
    'invalid-option',
    `There is no option ${option.slice(0, 200)}. ${meant ? `Did you mean ${meant}? ` : ''}There are: ${names.join(', ')}.`,
    { option: option.slice(0, 200), known: names },
  );
}

/** A framework's watched list, or object, could not be sent to the worker. */
function copied(spec: Spec, value: unknown): unknown {
  if (spec.type === 'biases') return { ...(value as object) };
  if (!Array.isArray(value)) return value;
  return spec.type === 'idLists' ? value.map((ids) => [...ids]) : [...value];
}

/**
 * Options as an application gives them; own properties count, and null is as good as absent.
 * @returns those that say something
 * @throws invalid-option for an unknown name or a value that it may not have
 */
export function checkOptions<T extends object>(specs: Specs<NoInfer<T>>, given: T | null | undefined): Partial<T> {
  if (given === undefined || given === null) given = {} as T;
  if (typeof given !== 'object' || Array.isArray(given)) refuse('options', given, 'an object');
  // without a prototype: a page may have added anything to Object.prototype, and what is not said must be absent
  const checked: Record<string, unknown> = Object.create(null);
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(specs, name)) unknown(name, Object.keys(specs));
    if (value === undefined || value === null) continue;
    const spec = specs[name as keyof T & string];
    if (!fits(spec, value)) refuse(name, value, allowed(spec));
    checked[name] = copied(spec, value);
  }
  return checked as Partial<T>;
}

/** One object's options, and over them another's that say something: null is as good as absent. Has no prototype. */
export function over<T extends object>(always: T, given: T | null | undefined): T {
  const said = Object.entries(given ?? {}).filter(([, value]) => value !== undefined && value !== null);
  return Object.assign(Object.create(null), always, Object.fromEntries(said));
}

type Defaults<S> = {
  [K in keyof S as S[K] extends { default: unknown } ? K : never]: S[K] extends { default: infer D } ? D : never;
};

/** Those options of a table that have a value where nothing is said, whatever the model. */
export function defaultsOf<S extends object>(specs: S): Defaults<S> {
  const own = Object.entries<Spec>(specs as Specs).filter(([, spec]) => spec.default !== undefined);
  return Object.fromEntries(own.map(([name, spec]) => [name, spec.default])) as Defaults<S>;
}

/** An option's name in flags, queries and attributes: kvCapacity is kv-capacity. */
export const flagOf = (name: string, { flag }: Spec): string =>
  flag ?? name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** The options of a table that can be named in text, by that name. */
export function namedInText<T extends object>(specs: Specs<T>, where: 'cli' | 'page'): Map<string, keyof T & string> {
  const entries = Object.entries<Spec>(specs) as [keyof T & string, Spec][];
  return new Map(
    entries
      .filter(([, { only = where }]) => only === where)
      .map(([name, spec]) => [where === 'cli' ? flagOf(name, spec) : flagOf(name, { ...spec, flag: undefined }), name]),
  );
}

/**
 * A value from a flag, a query or an attribute.
 * @param name as the text names it
 * @param option as the table names it
 * @throws invalid-option
 */
export function fromText(spec: Spec, name: string, text: string, option = name): unknown {
  const value = parsed(spec, text);
  return value !== undefined && fits(spec, value) ? value : refuse(option, text, allowed(spec), name);
}

function parsed(spec: Spec, text: string): unknown {
  switch (spec.type) {
    case 'number': {
      if (spec.words?.includes(text)) return text;
      if (spec.orFlag && /^(true|false)$/.test(text)) return text === 'true';
      const written = spec.whole ? /^\d+$/ : /^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
      return written.test(text) ? Number(text) : undefined;
    }
    case 'flag':
      // <nibble-chat ignore-eos> and ?ignore-eos
      return { '': true, true: true, false: false }[text];
    case 'texts':
      return [text];
    case 'ids':
      return text.split(',').map((id) => (/^\s*\d+\s*$/.test(id) ? Number(id) : Number.NaN));
    case 'object':
    case 'idLists':
    case 'biases':
      try {
        return JSON.parse(text);
      } catch {
        return undefined;
      }
    default:
      return text;
  }
}
