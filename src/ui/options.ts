/**
 * EngineOptions from strings: the query of the chat page and the attributes of the widget are the same names with the
 * same values, and an unknown one is refused.
 */
import { NibbleError } from '../errors';
import { type EngineOptions, HUB_ID } from '../protocol';

type Setter = (value: string) => EngineOptions;

const refuse = (name: string, value: string, allowed: string): never => {
  throw new NibbleError('invalid-option', `${name} is "${value}"; it must be ${allowed}.`, { option: name, value });
};

const oneOf =
  <K extends keyof EngineOptions>(name: string, key: K, values: readonly (EngineOptions[K] & string)[]): Setter =>
  (value) => {
    const found = values.find((allowed) => allowed === value);
    return found === undefined ? refuse(name, value, `one of ${values.join(', ')}`) : { [key]: found };
  };

/** A whole number of at least `least`, or one of some words. */
const count =
  (name: string, key: keyof EngineOptions, words: readonly string[] = [], least = 1): Setter =>
  (value) => {
    if (words.includes(value)) return { [key]: value };
    const number = Number(value);
    if (/^\d+$/.test(value) && Number.isSafeInteger(number) && number >= least) return { [key]: number };
    return refuse(name, value, [`a whole number of at least ${least}`, ...words].join(', or '));
  };

const OPTIONS: Record<string, Setter> = {
  backend: oneOf('backend', 'backend', ['auto', 'webgpu', 'cpu']),
  weights: oneOf('weights', 'weights', ['keep', 'nf4', 'q8', 'f16', 'f32']),
  kv: oneOf('kv', 'kv', ['f16', 'f32', 'int8']),
  'kv-capacity': count('kv-capacity', 'kvCapacity', ['auto', 'full']),
  'max-context': count('max-context', 'maxContext'),
  'memory-budget': count('memory-budget', 'memoryBudget'),
  snapshots: count('snapshots', 'snapshots', [], 0),
  chunk: count('chunk', 'chunk'),
  tune: (value) => ({ tune: value }),
  limits: oneOf('limits', 'limits', ['adapter', 'default']),
  features: oneOf('features', 'features', ['all', 'none']),
  storage: oneOf('storage', 'storage', ['indexeddb', 'if-room', 'none']),
};

export const OPTION_NAMES: readonly string[] = Object.keys(OPTIONS);

/**
 * @param entries names as in OPTION_NAMES, and their values
 * @throws NibbleError invalid-option: an unknown name, a value out of range, a name given twice
 */
export function parseOptions(entries: Iterable<readonly [name: string, value: string]>): EngineOptions {
  const seen = new Set<string>();
  let options: EngineOptions = {};
  for (const [name, value] of entries) {
    const setter = Object.hasOwn(OPTIONS, name) ? OPTIONS[name] : undefined;
    if (setter === undefined) {
      throw new NibbleError('invalid-option', `There is no option "${name}". There are: ${OPTION_NAMES.join(', ')}.`, {
        option: name,
        known: OPTION_NAMES,
      });
    }
    if (seen.has(name)) throw new NibbleError('invalid-option', `The option ${name} is given twice.`, { option: name });
    seen.add(name);
    options = { ...options, ...setter(value) };
  }
  return options;
}

/**
 * What load() is given for a model named in a query or an attribute: a path becomes a URL, a Hub id stays.
 * @throws NibbleError invalid-option for anything else, and for another origin where `sameOrigin` is set
 */
export function parseModel(model: string, base: string, sameOrigin: boolean): string {
  if (HUB_ID.test(model)) return model;
  const url = /^(\.{0,2}\/|https?:\/\/)/.test(model) && URL.canParse(model, base) ? new URL(model, base) : null;
  if (url === null) {
    throw new NibbleError(
      'invalid-option',
      `The model "${model}" is neither a path such as /models/name/ nor a Hub id.`,
      {
        option: 'model',
        value: model,
      },
    );
  }
  if (sameOrigin && url.origin !== new URL(base).origin) {
    throw new NibbleError(
      'invalid-option',
      `This page loads models from its own origin only, and ${model} is elsewhere.`,
      {
        option: 'model',
        value: model,
      },
    );
  }
  return url.href;
}
