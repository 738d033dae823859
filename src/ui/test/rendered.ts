/** What stands in templates, without a document: their text, the addresses that they link to, how deep they go. */

interface Template {
  strings: readonly string[];
  values: readonly unknown[];
}

const isTemplate = (part: unknown): part is Template => typeof part === 'object' && part !== null && 'strings' in part;
/** guard()'s and later()'s: what it depends on, and what it shows, or makes that */
const isGuarded = (part: unknown): part is { values: [unknown, unknown] } =>
  typeof part === 'object' && part !== null && '_$litDirective$' in part;

export interface Seen {
  text: string;
  hrefs: string[];
  tags: Set<string>;
  depth: number;
}

export function seen(part: unknown, into: Seen = { text: '', hrefs: [], tags: new Set(), depth: 0 }, depth = 0): Seen {
  into.depth = Math.max(into.depth, depth);
  if (Array.isArray(part)) for (const each of part) seen(each, into, depth);
  else if (isGuarded(part)) {
    const [, shown] = part.values;
    seen(typeof shown === 'function' ? shown() : shown, into, depth);
  } else if (isTemplate(part)) {
    for (const [, tag] of part.strings.join('').matchAll(/<([\w-]+)/g)) into.tags.add(tag);
    part.values.forEach((value, index) => {
      if (part.strings[index].endsWith('href=')) into.hrefs.push(value as string);
      else if (!part.strings[index].endsWith('=')) seen(value, into, depth + 1);
    });
  } else if (typeof part === 'string') into.text += part;
  return into;
}
