/**
 * Options from strings: the query of the chat page and the attributes of the widget are the names of src/options/ with
 * dashes, and the same values.
 */
import { NibbleError } from '../errors';
import { ENGINE_OPTIONS } from '../options/engine';
import { fromText, namedInText, type Specs } from '../options/spec';
import { type EngineOptions, HUB_ID } from '../protocol';

const ENGINE_NAMES = namedInText<EngineOptions>(ENGINE_OPTIONS, 'page');

/** The engine's options that a query or an attribute can name. */
export const OPTION_NAMES: readonly string[] = [...ENGINE_NAMES.keys()];

/**
 * @param entries names as in OPTION_NAMES, and their values
 * @throws NibbleError invalid-option: an unknown name, a value out of range, a name given twice
 */
export function parseOptions(entries: Iterable<readonly [name: string, value: string]>): EngineOptions {
  const options: Record<string, unknown> = {};
  for (const [flag, value] of entries) {
    const name = ENGINE_NAMES.get(flag);
    if (name === undefined) {
      throw new NibbleError('invalid-option', `There is no option "${flag}". There are: ${OPTION_NAMES.join(', ')}.`, {
        option: flag,
        known: OPTION_NAMES,
      });
    }
    if (name in options)
      throw new NibbleError('invalid-option', `The option ${flag} is given twice.`, { option: flag });
    options[name] = fromText((ENGINE_OPTIONS as Specs)[name], flag, value);
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
