/** json.dumps of Python, as transformers gives it to templates. */

import { sorted } from './compare';
import { Dict, fail, floatText, gather, intText, isText, Tuple, text, truthy, typeName, type Value } from './values';
import { make, replaceEach, spend } from './work';

export interface JsonStyle {
  ascii: boolean;
  /** what one level is indented by; null for all on one line */
  indent: string | null;
  separators: [item: string, key: string];
  sortKeys: boolean;
}

export function json(value: Value, style: JsonStyle, depth = 0): string {
  spend(1);
  if (value === null) return 'null';
  if (typeof value === 'boolean') return String(value);
  if (isText(value)) return quoted(text(value), style.ascii);
  if (typeof value === 'bigint') return intText(value);
  if (typeof value === 'number') return float(value);
  if (value instanceof Dict) {
    const pairs = style.sortKeys
      ? sorted(
          value.pairs().map((pair) => new Tuple(pair)),
          (pair) => (pair as Tuple).items[0],
          false,
        ).map((pair) => (pair as Tuple).items)
      : value.pairs();
    return bracketed(
      '{}',
      pairs.map(
        ([key, item]) => quoted(keyText(key), style.ascii) + style.separators[1] + json(item, style, depth + 1),
      ),
      style,
      depth,
    );
  }
  const items = value instanceof Tuple ? value.items : value;
  if (!Array.isArray(items)) fail(`a value of type ${typeName(value)} cannot be written as JSON`);
  return bracketed(
    '[]',
    (items as Value[]).map((item) => json(item, style, depth + 1)),
    style,
    depth,
  );
}

function bracketed(
  [open, close]: string,
  parts: string[],
  { indent, separators: [comma] }: JsonStyle,
  depth: number,
): string {
  if (!parts.length) return open + close;
  if (indent === null) return gather([open, gather(parts, comma), close]);
  make(indent.length * (depth + 1) * (parts.length + 1));
  const line = (level: number) => `\n${indent.repeat(level)}`;
  return gather([open, line(depth + 1), gather(parts, comma + line(depth + 1)), line(depth), close]);
}

const float = (value: number) =>
  Number.isFinite(value) ? floatText(value) : Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity';

function keyText(key: Value): string {
  if (isText(key)) return text(key);
  if (key === null) return 'null';
  if (typeof key === 'boolean') return String(key);
  if (typeof key === 'number') return float(key);
  return typeof key === 'bigint' ? intText(key) : fail(`a key of type ${typeName(key)} cannot be written as JSON`);
}

const SPECIAL = /["\\\p{Cc}]/gu;
function quoted(plain: string, ascii: boolean): string {
  make(2 * plain.length);
  const safe = replaceEach(plain, SPECIAL, (c) => JSON.stringify(c).slice(1, -1));
  return `"${ascii ? replaceEach(safe, /[^\0-\x7f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`) : safe}"`;
}

/** The arguments of tojson. */
export function jsonStyle(ascii: Value, indent: Value, separators: Value, sortKeys: Value): JsonStyle {
  const given = separators instanceof Tuple ? separators.items : separators;
  const pair = Array.isArray(given) && given.length === 2 ? given.map(text) : [indent === null ? ', ' : ',', ': '];
  return {
    ascii: truthy(ascii),
    indent: indent === null ? null : isText(indent) ? text(indent) : ' '.repeat(width(indent)),
    separators: pair as [string, string],
    sortKeys: truthy(sortKeys),
  };
}

function width(indent: Value): number {
  if (typeof indent !== 'bigint' && typeof indent !== 'boolean') fail('indent needs an int or a string');
  make(Number(indent));
  return Math.max(0, Number(indent));
}
