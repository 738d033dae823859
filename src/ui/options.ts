/**
 * Options from strings: the query of the chat page and the attributes of the widget are the names of src/options/ with
 * dashes, and the same values. A bad value is refused. Unknown names are passed over, since others add theirs to
 * addresses and elements (utm_source, _ngcontent-x); who mistyped one finds it in the console.
 */
import { NibbleError } from '../errors';
import { ENGINE_OPTIONS } from '../options/engine';
import { parseModelName } from '../options/model-name';
import { REQUEST_OPTIONS } from '../options/request';
import { fromText, namedInText, type Specs } from '../options/spec';
import type { EngineOptions, SamplingOptions } from '../protocol';

const ENGINE_NAMES = namedInText<EngineOptions>(ENGINE_OPTIONS, 'page');
const SAMPLING_NAMES = namedInText<SamplingOptions>(REQUEST_OPTIONS, 'page');

/** The options that a query or an attribute can name: those of load(), and those of every answer. */
export const OPTION_NAMES: readonly string[] = [...ENGINE_NAMES.keys(), ...SAMPLING_NAMES.keys()];

/** How many letters are to be put in, taken out or replaced to make one word of the other. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      next.push(Math.min(row[j + 1] + 1, next[j] + 1, row[j] + (letter === b[j] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length];
}

/** The known name that an unknown one was meant for: at most two letters off, dashes and case not counted. */
export function likelyName(unknown: string, known: readonly string[]): string | undefined {
  const bare = (name: string) => name.toLowerCase().replace(/[-_]/g, '');
  const meant = bare(unknown).slice(0, 99);
  // of a short name two letters are too much of it
  const off = (name: string) => distance(meant, bare(name)) / Math.min(2, Math.floor(bare(name).length / 3));
  return known.find((name) => off(name) <= 1);
}

/** The sentence about a name that is passed over. @param what 'This page knows no option "colour"' */
export function describeUnknown(what: string, unknown: string, known: readonly string[]): string {
  const likely = likelyName(unknown, known);
  return likely ? `${what}. Did you mean "${likely}"?` : `${what}. It knows: ${known.join(', ')}.`;
}

/**
 * @param entries names and values; what is not in OPTION_NAMES is passed over
 * @throws NibbleError invalid-option: a value out of range, a name given twice
 */
export function parseOptions(entries: Iterable<readonly [name: string, value: string]>): {
  engine: EngineOptions;
  sampling: SamplingOptions;
} {
  const engine: Record<string, unknown> = Object.create(null);
  const sampling: Record<string, unknown> = Object.create(null);
  for (const [flag, value] of entries) {
    const ofEngine = ENGINE_NAMES.get(flag);
    const name = ofEngine ?? SAMPLING_NAMES.get(flag);
    if (name === undefined) continue;
    const options = ofEngine ? engine : sampling;
    if (name in options)
      throw new NibbleError('invalid-option', `The option ${flag} is given twice.`, { option: flag });
    options[name] = fromText((ofEngine ? (ENGINE_OPTIONS as Specs) : (REQUEST_OPTIONS as Specs))[name], flag, value);
  }
  return { engine, sampling };
}

/**
 * What load() is given for a model named in a query or an attribute: a path becomes a URL, a Hub id stays.
 * @throws NibbleError invalid-option for anything else, and for another origin where `sameOrigin` is set
 */
export function parseModel(model: string, base: string, sameOrigin: boolean): string {
  const refuse = (text: string) => new NibbleError('invalid-option', text, { option: 'model', value: model });
  const named = parseModelName(model, base);
  if (!named) throw refuse(`The model "${model}" is neither a path such as /models/name/ nor a Hub id.`);
  if (named.kind === 'hub') return model;
  const { href, origin } = named.url;
  if (sameOrigin && origin !== new URL(base).origin)
    throw refuse(`This page loads models from its own origin only, and ${model} is elsewhere.`);
  return href;
}
