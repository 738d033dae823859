/** str.format(): fields by position, by name and by what stands behind a dot or in brackets of their values. */
import { formatted } from './numbers';
import { fail, gather, hex, type Keywords, Markup, orElse, repr, text, type Value } from './values';
import { read, replaceEach, spend } from './work';

/** What stands behind a dot, and in brackets. */
export interface Look {
  attribute(of: Value, name: string): Value;
  item(of: Value, key: Value): Value;
}

export const ascii = (s: string) => replaceEach(s, /[^\0-\x7f]/gu, (c) => hex(c.codePointAt(0)!));

/** text.format(...) */
export function format(template: string, args: readonly Value[], keywords: Keywords, look: Look): string {
  let automatic: boolean | null = null;
  let next = 0;
  const position = (name: string): Value => {
    const auto = name === '';
    if (automatic !== null && automatic !== auto) fail('cannot mix automatic and manual field numbers');
    automatic = auto;
    return args[auto ? next++ : Number(name)] ?? absent(args, auto ? next - 1 : Number(name));
  };
  const field = (source: string, depth: number): string => {
    // name, !conversion and :specification, which may hold fields itself
    const [, path, conversion, , spec = ''] =
      /^([^!:[\]]*(?:\[[^\]]*\][^!:[\]]*)*)(?:!(.))?(:([\s\S]*))?$/u.exec(source) ??
      fail('a format field is malformed');
    const first = /^[^.[]*/.exec(path)![0];
    let value =
      path === '' || /^\d+$/.test(first)
        ? position(first)
        : orElse(keywords.get(first), () => fail(`format has no value for '${first}'`));
    for (const [part, attribute, item] of path.slice(first.length).matchAll(/\.([^.[]+)|\[([^\]]+)\]|[\s\S]/g)) {
      if (attribute === undefined && item === undefined) fail(`unexpected '${part}' in a format field`);
      spend(1);
      value =
        attribute !== undefined
          ? look.attribute(value, attribute)
          : look.item(value, /^\d+$/.test(item) ? BigInt(item) : item);
    }
    if (conversion === 'r') value = repr(value);
    else if (conversion === 's') value = text(value);
    else if (conversion === 'a') value = ascii(repr(value));
    else if (conversion !== undefined) fail(`unknown conversion '${conversion}'`);
    return formatted(value instanceof Markup ? value.text : value, expand(spec, depth + 1));
  };
  const expand = (source: string, depth: number): string => {
    if (depth > 2) fail('format fields nest too deeply');
    read(2 * source.length);
    const parts: string[] = [];
    const brace = /[{}]/g;
    for (let i = 0; i < source.length; ) {
      brace.lastIndex = i;
      const at = brace.exec(source)?.index ?? -1;
      if (at < 0) {
        parts.push(source.slice(i));
        break;
      }
      parts.push(source.slice(i, at));
      spend(1);
      if (depth === 0 && source[at + 1] === source[at]) {
        parts.push(source[at]);
        i = at + 2;
        continue;
      }
      if (source[at] === '}') fail("single '}' in a format string");
      let open = 1;
      let end = at + 1;
      for (; end < source.length && open; end++) open += source[end] === '{' ? 1 : source[end] === '}' ? -1 : 0;
      if (open) fail("single '{' in a format string");
      parts.push(field(source.slice(at + 1, end - 1), depth));
      i = end;
    }
    return gather(parts);
  };
  return expand(template, 0);
}

const absent = (args: readonly Value[], index: number): Value =>
  index < args.length ? args[index] : fail('format has too few arguments');
