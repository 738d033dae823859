/** The functions that every template can call. */
import { bind, callable } from './arguments';
import { makeDict } from './attributes';
import { strftime } from './strftime';
import { type Dict, fail, Namespace, needInteger, Range, Thing, Tuple, text, type Value } from './values';
import { make, Refusal } from './work';

const MAX_RANGE = 100_000; // of Jinja's sandbox

const GLOBALS: Thing[] = [
  callable('range', 'start stop? step?', (first, second, by = 1n) => {
    const [start, stop] = second === undefined ? [0, needInteger(first)] : [needInteger(first), needInteger(second)];
    const step = needInteger(by);
    if (step === 0) fail('the step of range() cannot be 0');
    const range = new Range(start, stop, step);
    return range.length > MAX_RANGE
      ? fail(`range() of ${range.length} numbers, at most ${MAX_RANGE} are allowed`)
      : range;
  }),
  makeDict,
  new Thing('namespace', (args, keywords) => {
    const attributes = makeDict.call!(args, keywords) as Dict;
    for (const [name] of attributes.pairs()) checkName(name);
    return new Namespace(attributes);
  }),
  new Thing('cycler', (items) => {
    if (!items.length) fail('cycler() needs at least one item');
    let at = 0;
    const move = (to: number) => {
      const before = items[at];
      at = to;
      return before;
    };
    return new Thing('cycler', undefined, (name) => {
      if (name === 'current') return items[at];
      if (name === 'pos') return BigInt(at);
      if (name === 'items') return new Tuple(items);
      if (name === 'reset')
        return callable(name, '', () => {
          move(0);
          return null;
        });
      return name === 'next' ? callable(name, '', () => move((at + 1) % items.length)) : undefined;
    });
  }),
  callable('joiner', 'sep?', (separator = ', ') => {
    let used = false;
    return new Thing('joiner', (args, keywords) => {
      bind('joiner', '', args, keywords);
      const before = used;
      used = true;
      return before ? separator : '';
    });
  }),
  callable('raise_exception', 'message', (message) => {
    throw new Refusal(text(message!));
  }),
  callable('strftime_now', 'format', (format) => {
    const wanted = typeof format === 'string' ? format : fail('strftime_now needs a string');
    make(wanted.length * 16); // the longest of all codes gives 24 characters for 2
    return strftime(wanted, new Date());
  }),
  new Thing('lipsum', () => fail('lipsum() is not supported')),
];

export const globals = (): [string, Value][] => GLOBALS.map((thing) => [thing.name, thing]);

/** @throws TemplateError for a name that transformers' namespaces refuse */
export function checkName(name: Value): void {
  if (typeof name === 'string' && name.startsWith('_')) fail(`a namespace cannot have the attribute '${name}'`);
}
