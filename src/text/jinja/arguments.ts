/** Arguments of a call, put where the parameters are. */
import { type Call, fail, type Keywords, Thing, type Value } from './values';

/**
 * @param parameters names; those that may be left out end in `?`
 * @returns a value for each name, undefined where none was given
 */
export function bind(
  what: string,
  parameters: string,
  args: readonly Value[],
  keywords: Keywords,
): (Value | undefined)[] {
  const names = parameters ? parameters.split(' ') : [];
  if (args.length > names.length) fail(`${what} takes ${names.length} arguments, ${args.length} were given`);
  const left = new Map(keywords);
  const bound = names.map((name, i) => {
    const plain = name.replace('?', '');
    if (left.has(plain) && i < args.length) fail(`${what} was given '${plain}' twice`);
    const value = i < args.length ? args[i] : left.get(plain);
    left.delete(plain);
    if (value === undefined && plain === name) fail(`${what} needs '${plain}'`);
    return value;
  });
  for (const name of left.keys()) fail(`${what} does not know the argument '${name}'`);
  return bound;
}

/** A function that a template can call. */
export function callable(name: string, parameters: string, run: (...args: (Value | undefined)[]) => Value): Thing {
  const call: Call = (args, keywords) => run(...bind(name, parameters, args, keywords));
  return new Thing(name, call);
}
